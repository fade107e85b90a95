"""Maps of a running HAProxy are replaced whole: a new version is filled, then put in the old one's place at once.

But whoever takes traffic from a canary waits for it, so that is done in place and before anything else (`ease`). What
gives it more comes last, when its servers are there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from deployer.core.network.commands import batches, is_entry, prepare_map, read_map, read_version
from deployer.core.network.maps import map_path
from deployer.core.network.routing import Routed
from deployer.core.network.splits import easing
from deployer.loops.router_access import RouterAccess
from deployer.ports import EngineError

_UNKNOWN = "Unknown map identifier"


def push_maps(node: RouterAccess, routed: Routed, maps: Mapping[str, Mapping[str, str]]) -> None:
    """Those that are not known to be the same. Raises EngineError: MapRefused."""
    for name, entries in sorted(node.memory.unmapped(maps).items()):
        _replace(node, routed, map_path(name), entries)
        node.memory.mapped({name: entries})


def ease(node: RouterAccess, ask: Callable[[Sequence[str]], list[str]], first: Mapping[str, Mapping[str, str]]) -> None:
    """Take from what runs the header routes that are over and what weights are too high. Two short looks, none when
    nothing is new. A router that does not answer now is told of by the pass itself."""
    unsure = node.memory.unmapped(first)
    if not unsure:
        return
    try:
        answers = ask([f"show map {map_path(name)}" for name in sorted(unsure)])
        running = {name: read_map(said) or {} for name, said in zip(sorted(unsure), answers, strict=True)}
        if commands := easing(running, unsure):
            ask(batches(commands))
    except EngineError:
        node.hang_up()


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
