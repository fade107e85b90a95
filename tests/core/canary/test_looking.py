"""What a router is asked about a workload, and what is made of its answers."""

from __future__ import annotations

import pytest

from deployer.core.canary.looking import LATENCIES, SERVERS, commands, read

WEB, CANARY = "svc.shop.web.80", "svc.shop.web.80:canary"
BOTH = frozenset({WEB, CANARY})
ASKED = commands(BOTH, {6, 7})
STAT = (
    "# pxname,svname,stot,econ,eresp,hrsp_5xx,\n{0},shop.web-1,100,1,0,2,\n{0},BACKEND,100,0,0,0,\n"
    "svc.shop.other.80,shop.other-1,5,0,0,0,"
)
TABLE = "# table: table.latency, type: string, size:5120, used:9\n0x1: key={} use=0 exp=0 gpc0=90 gpc1=10"


def answers(last: str = "") -> list[str]:
    return [STAT.format(WEB), "No such proxy.", TABLE.format(f"{WEB}|6"), "", "", last]


def test_few_backends_are_asked_for_by_name() -> None:
    assert (
        f"show stat {WEB} 4 -1", f"show stat {CANARY} 4 -1",
        f"{LATENCIES} key {WEB}|6", f"{LATENCIES} key {WEB}|7",
        f"{LATENCIES} key {CANARY}|6", f"{LATENCIES} key {CANARY}|7",
    ) == ASKED  # fmt: skip


def test_many_are_asked_for_at_once() -> None:
    backends = [f"svc.shop.web.{port}" for port in range(9)]
    assert commands(backends[:8], {6, 7})[0] == "show stat svc.shop.web.0 4 -1"
    assert commands(backends, {6, 7}) == (SERVERS, LATENCIES)
    found = read((SERVERS, LATENCIES), [STAT.format(WEB), TABLE.format("svc.shop.other.80|6")], BOTH)
    assert found is not None
    assert (dict(found.servers), dict(found.latencies)) == ({(WEB, "shop.web-1"): (100, 3)}, {})


def test_answers_are_counters_of_these_backends_alone() -> None:
    found = read(ASKED, answers(), BOTH)
    assert found is not None
    assert found.servers == {(WEB, "shop.web-1"): (100, 3)}
    assert found.latencies == {(WEB, 6): (90, 10, *[0] * 14)}


@pytest.mark.parametrize("strange", ["No such table", "Permission denied", "Unknown command", "No such proxy."])
def test_an_answer_that_is_none_makes_no_look(strange: str) -> None:
    assert read(ASKED, answers(last=strange), BOTH) is None
    assert read(ASKED, [strange if strange != "No such proxy." else "", *answers()[1:]], BOTH) is None
    assert read(ASKED, answers()[:-1], BOTH) is None
    assert read((SERVERS, LATENCIES), [STAT.format(WEB), ""], BOTH) is None


def test_a_router_without_the_backends_has_counted_nothing() -> None:
    found = read(ASKED, ["No such proxy."] * 2 + [""] * 4, BOTH)
    assert found is not None
    assert (dict(found.servers), dict(found.latencies)) == ({}, {})
