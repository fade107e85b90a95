"""The networks that a node has already are told once per process, before any addresses are given out for it.

After the database was lost, a network keeps the addresses that running containers have on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from deployer.loops.images import NodeImages
from deployer.ports import Engine


class NetworkStore(Protocol):
    def adopt_networks(self, node: str, found: Mapping[str, str]) -> bool: ...


def tell(node: str, engine: Engine, images: NodeImages, store: NetworkStore) -> None:
    """Raises EngineError."""
    if not images.networks_told:
        store.adopt_networks(node, engine.subnets())
        images.networks_told = True
