"""When the pods of a dead host may be replaced: Kubernetes' boundaries, a minute for a majority, and the pace."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pytest import param

from deployer.core.heartbeat import Pulse
from deployer.core.survival.guards import MAJORITY_SECONDS, PACE_SECONDS, SLOW_SECONDS, Verdict, judge
from deployer.core.survival.judge import Finding, Host
from deployer.core.survival.states import CUT_OFF, DEAD, READY, UNKNOWN

NOW = 1_000_000.0
LETTERS = {".": READY, "d": DEAD, "c": CUT_OFF, "u": UNKNOWN, "e": DEAD}


def judged(
    sketch: str, silent_for: float = MAJORITY_SECONDS, now: float = NOW, **changes: object
) -> dict[str, Verdict]:
    """`. ready, d dead, e dead and evicting, c cut off, u unknown`, one word for each zone."""
    found: dict[str, Finding] = {}
    made: list[Host] = []
    for zone, word in enumerate(sketch.split()):
        for place, letter in enumerate(word):
            name = f"{'abcdefgh'[zone]}{place:02}"
            pulse = Pulse(answered_at=now) if letter == "." else Pulse(3, "silence", now - silent_for)
            evicting = now - 1000 if letter == "e" else 0.0
            zones = f"z{zone}" if " " in sketch else ""
            made.append(replace(Host(name, name, pulse, LETTERS[letter], zone=zones, evicting_at=evicting), **changes))  # type: ignore[arg-type]
            found[name] = Finding(LETTERS[letter], "it is dead" if letter in "de" else "")
    return judge(made, found, now)


def evicting(verdicts: dict[str, Verdict]) -> str:
    return " ".join(name for name, one in sorted(verdicts.items()) if one.evicting_at)


@pytest.mark.parametrize(
    ("sketch", "expected"),
    [
        param("...", "", id="all are well"),
        param("d..", "a00", id="1 of 3 dead evicts"),
        param("d.", "a00", id="1 of 2"),
        param("dd.", "a00 a01", id="2 of 3, after a minute"),
        param("dd..", "a00 a01", id="2 of 4"),
        param("ddd.", "", id="3 of 4 does not"),
        param("ddd...", "a00 a01", id="3 of 6: half is not 55 %, two at a time"),
        param("ddd..", "", id="3 of 5: 60 %"),
        param("ddu.", "", id="who is unknown is away as well"),
        param("ddc.", "a00 a01", id="who is merely cut off from us is not"),
        param("eed.", "a00 a01", id="the third of 4 that goes one after the other: the first two stay given up"),
        param("ddd ... ...", "a00 a01", id="a zone that is gone as a whole, at the pace"),
        param("dd dd ..", "a00 a01", id="two zones of three: paced"),
        param("ddd. .... ....", "", id="most of a zone, not all of it"),
        param("d" * 29 + "." * 22, "a00", id="a large zone: slowly"),
    ],
)
def test_whose_pods_are_replaced(sketch: str, expected: str) -> None:
    assert evicting(judged(sketch)) == expected


def test_a_majority_that_falls_silent_together_is_given_a_minute() -> None:
    early = judged("dd.", MAJORITY_SECONDS - 1)
    assert evicting(early) == ""
    assert early["a00"].held == (
        "2 of 3 hosts fell silent together, rather a split of the network; they are given 60 s"
    )
    assert evicting(judged("ed.", 1)) == "a00 a01", "the second of three when the first was given up long ago"
    assert evicting(judged("d.", 1)) == "a00", "half is no majority"


def test_what_holds_an_eviction_back_is_told_with_counts() -> None:
    assert judged("ddd.")["a02"].held == (
        "3 of 4 hosts are away, which looks like a failure of the network; "
        "`manage.py node declare-dead a02` replaces them all the same"
    )
    assert judged("ddd. ....")["a00"].held.startswith("3 of 4 hosts of zone z0 are away")
    assert judged("ddd...")["a02"].held == "2 hosts are being replaced; 2 in 10 s"


def test_an_operator_is_not_asked_for_patience() -> None:
    assert evicting(judged("ddd.", 1, declared_dead=True)) == "a00 a01 a02"


def test_who_is_being_evicted_stays_so_and_who_is_not_dead_any_more_does_not() -> None:
    assert judged("e..")["a00"].evicting_at == NOW - 1000
    assert judged("c..", evicting_at=NOW - 5)["a00"].evicting_at == 0
    assert judged("...", evicting_at=NOW - 5)["a00"].evicting_at == 0


@pytest.mark.parametrize(("zone", "pace"), [("ddd" + "." * 17, PACE_SECONDS), ("d" * 29 + "." * 22, SLOW_SECONDS)])
def test_the_next_ones_come_at_the_pace(zone: str, pace: float) -> None:
    hosts = [
        Host(f"{n:02}", f"{n:02}", Pulse(3, "silence", NOW - 100) if letter == "d" else Pulse(answered_at=NOW),
             LETTERS[letter]) for n, letter in enumerate(zone)
    ]  # fmt: skip
    found = {host.uid: Finding(host.state, "") for host in hosts}
    first = judge(hosts, found, NOW)
    count = sum(bool(one.evicting_at) for one in first.values())
    for later, more in ((pace - 1, 0), (pace, 1)):
        after = [replace(host, evicting_at=first[host.uid].evicting_at) for host in hosts]
        second = judge(after, found, NOW + later)
        assert sum(bool(one.evicting_at) for one in second.values()) == count + more


def test_a_tenth_of_a_large_cluster_at_once() -> None:
    assert len(evicting(judged("d" * 40 + "." * 360)).split()) == 40
