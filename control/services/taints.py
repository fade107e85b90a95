"""What a node's taints may be, and what they are after a change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from control.services.refusal import Refused
from deployer.core.taint import TIME_ADDED, stamped

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_BY_ITSELF = "Pierhead says so by itself while the host does not answer; if it is gone, use `node declare-dead`"
OWN = {
    "node.kubernetes.io/not-ready": _BY_ITSELF,
    "node.kubernetes.io/unreachable": _BY_ITSELF,
    "node.kubernetes.io/out-of-service": "to have the pods of a host that is gone replaced, use `node declare-dead`",
    "node.kubernetes.io/unschedulable": "use `node cordon`",
}
"""Keys that speak of a node's state. A taint of this kind set by hand would be a second truth beside it."""
Taint = Mapping[str, str]


def check(taint: Taint) -> None:
    """Refused by a sentence. One of OWN that is there already may be taken away."""
    if taint["effect"] not in EFFECTS:
        raise Refused(f"taint effect {taint['effect']!r} is not one of {', '.join(EFFECTS)}")
    if hint := OWN.get(taint["key"]):
        raise Refused(f"taint {taint['key']} is not set by hand: {hint}")


def merged(there: Sequence[Taint], added: Iterable[Taint], removed: Sequence[str], now: float) -> list[dict[str, str]]:
    """There is one of each key and effect. One that is there with this value has been there all the time."""
    fresh = {(one["key"], one["effect"]): one for one in added}
    known = {plain(one): dict(one) for one in there}
    kept = [dict(one) for one in there if (one["key"], one["effect"]) not in fresh and not _named(one, removed)]
    set_now = [known.get(plain(one)) or stamped(one, now) for one in fresh.values()]
    return sorted([*kept, *set_now], key=lambda one: (one["key"], one["effect"]))


def plain(taint: Taint) -> tuple[str, str, str]:
    """What a person writes of it."""
    return taint["key"], taint.get("value", ""), taint["effect"]


def without_time(taint: Taint) -> dict[str, str]:
    return {name: value for name, value in taint.items() if name != TIME_ADDED}


def _named(one: Taint, removed: Sequence[str]) -> bool:
    return one["key"] in removed or f"{one['key']}:{one['effect']}" in removed
