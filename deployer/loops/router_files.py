"""What is written into a router's volume: everything but haproxy.cfg, which is checked first."""

from __future__ import annotations

from collections.abc import Mapping

from deployer.core.container import FileEntry
from deployer.core.network.maps import map_text
from deployer.core.network.values import RouterConfig

SECRET_FOLDER = "tls/"  # noqa: S105 - a folder's name


def contents(config: RouterConfig) -> dict[str, bytes]:
    """Path below the router's folder -> content, maps among them."""
    return {**config.files, **{name: map_text(entries).encode() for name, entries in config.maps.items()}}


def entries(files: Mapping[str, bytes]) -> tuple[FileEntry, ...]:
    """In an order in which a reader that comes between finds what it names. Keys are for HAProxy alone."""
    return tuple(
        FileEntry(path, data, mode=0o600 if path.startswith(SECRET_FOLDER) else 0o644)
        for path, data in sorted(files.items())
    )
