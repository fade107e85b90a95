"""collect: on one node, remove what is ours and needed by nothing any more. Runs inside the node's converge lease."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Protocol

from deployer.core.collection import Needed, surplus
from deployer.ports import Engine, EngineError

log = logging.getLogger("pierhead.collect")
EVERY_SECONDS = 300.0


class CollectionStore(Protocol):
    def needed(self, node: str) -> Needed: ...
    def pulled(self, node: str) -> Mapping[str, str]: ...
    def collected(self, node: str, images: list[str]) -> None: ...


def run(node: str, engine: Engine, store: CollectionStore) -> int:
    """Returns how many things went. What is in use after all is left; the engine refuses to remove it."""
    pulled = store.pulled(node)
    found = surplus(store.needed(node), engine.volumes(), engine.networks(), engine.images() if pulled else (), pulled)
    gone = _remove(found.volumes, engine.remove_volume) + _remove(found.networks, engine.remove_network)
    images = _remove(found.images, engine.remove_image)
    if images:
        store.collected(node, images)
    return len(gone) + len(images)


def _remove(names: tuple[str, ...], remove: Callable[[str], None]) -> list[str]:
    gone = []
    for name in names:
        try:
            remove(name)
        except EngineError as error:
            log.info("%s stays for now: %s", name, error.sentence)
        else:
            gone.append(name)
    return gone
