"""Maps of a running HAProxy are replaced whole: a new version is filled, then put in the old one's place at once."""

from __future__ import annotations

from collections.abc import Mapping

from deployer.core.network.commands import is_entry, prepare_map, read_version
from deployer.core.network.maps import map_path
from deployer.core.network.routing import Routed
from deployer.loops.router_access import RouterAccess
from deployer.ports import EngineError

_UNKNOWN = "Unknown map identifier"


def push_maps(node: RouterAccess, routed: Routed, maps: Mapping[str, Mapping[str, str]]) -> None:
    """Those that are not known to be the same. Raises EngineError: MapRefused."""
    for name, entries in sorted(node.memory.unmapped(maps).items()):
        _replace(node, routed, map_path(name), entries)
        node.memory.mapped({name: entries})


def _replace(node: RouterAccess, routed: Routed, path: str, entries: Mapping[str, str]) -> None:
    (said,) = node.ask(routed, [prepare_map(path)])
    version = read_version(said)
    if version is None and said.startswith(_UNKNOWN):
        return  # nothing that runs reads it
    if version is None:
        raise EngineError("MapRefused", f"the router of {node.name} does not take map {path}: {said}")
    lines = [f"{key} {value}" for key, value in sorted(entries.items()) if is_entry(key, value)]
    add = [f"add map @{version} {path} <<\n" + "\n".join(lines) + "\n"] if lines else []
    answers = node.ask(routed, [*add, f"commit map @{version} {path}"])
    if any(answers):
        raise EngineError("MapRefused", f"the router of {node.name} does not take map {path}: {' '.join(answers)}")
