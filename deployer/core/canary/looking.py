"""One look at one router: what it is asked about a workload's backends, and what it said.

    backends, revisions -> commands -> answers -> Counters, of these backends alone

Few backends are asked for by name, so that a look costs the same however large the cluster is; many of them, or many
revisions, by one question each for all there is. A backend that a router does not have yet has counted nothing. An
answer that is no answer makes the whole look one that could not be read: counters that are missing from one look would
be new, and counted once more, in the next.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from deployer.core.network.commands import command_word
from deployer.core.network.latency import TABLE
from deployer.core.network.measurements import Counters, read_counters

MOST_COMMANDS = 24
"""Each is a way to the router and back: beyond, two long answers are sooner there."""
SERVERS, LATENCIES = "show stat -1 4 -1", f"show table {TABLE}"
_NO_BACKEND, _STAT, _TABLE = "No such proxy.", "# pxname,svname,", "# table: "


def commands(backends: Collection[str], revisions: Collection[int]) -> tuple[str, ...]:
    """For `read`, which takes the answers in the same order.

    Example: ("svc.shop.web.80",) and (7,) -> "show stat svc.shop.web.80 4 -1" and
    "show table table.latency key svc.shop.web.80|7".
    """
    if len(backends) * (1 + len(revisions)) > MOST_COMMANDS:
        return (SERVERS, LATENCIES)
    named = sorted(backends)
    keys = (f"{backend}|{revision}" for backend in named for revision in sorted(revisions))
    return (
        *(f"show stat {command_word(backend)} 4 -1" for backend in named),
        *(f"{LATENCIES} key {command_word(key)}" for key in keys),
    )


def read(asked: Sequence[str], answers: Sequence[str], backends: Collection[str]) -> Counters | None:
    """None when any of the answers is none."""
    if len(asked) != len(answers) or not all(map(_is_answer, asked, answers)):
        return None
    servers: dict[tuple[str, str], tuple[int, int]] = {}
    latencies: dict[tuple[str, int], tuple[int, ...]] = {}
    for text in answers:
        found = read_counters(text, "") if text.startswith(_STAT) else read_counters("", text)
        servers |= {key: counts for key, counts in found.servers.items() if key[0] in backends}
        latencies |= {key: counts for key, counts in found.latencies.items() if key[0] in backends}
    return Counters(servers, latencies)


def _is_answer(asked: str, text: str) -> bool:
    """HAProxy answers with nothing for a key that has not been counted."""
    if asked.startswith("show stat "):
        return text.startswith(_STAT) or text == _NO_BACKEND
    return text.startswith(_TABLE) or (not text and " key " in asked)
