"""What a poller reads off `show stat`, and when time alone tells more of a probe."""

from __future__ import annotations

import pytest

from deployer.core.network.probe_times import LEAST_SECONDS, OPEN_SECONDS, ProbeState, decided_at, probe_states
from deployer.core.network.probes import server_name
from deployer.core.network.runtime import read_stats
from deployer.core.network.values import ContainerProbe, NetworkCheck, ProbeResult, RoutedPod

NOW = 1_750_000_000.0
HEAD = "# pxname,svname,scur,status,chkfail,chkdown,lastchg,check_status,check_rise,check_fall,mode,"
CHECK = NetworkCheck("http", 8080, period_seconds=10, timeout_seconds=2, rise=3, fall=3)
PROBE = ContainerProbe("web", "readiness", CHECK, "c1", 5.0)
POD = RoutedPod("u1", "shop", "web-x", "n1", "10.208.16.2", {}, probes=(PROBE,))
NAME = server_name(POD, PROBE)


def stat(*rows: str) -> str:
    return "\n".join([HEAD, *rows])


def row(status: str, found: str, *, failures: int = 0, changed: int = 0) -> str:
    return f"probe.http.2,{NAME},0,{status},{failures},0,{changed},{found},3,3,http,"


STATES = [
    (row("UP", "L7OK"), ProbeState("UP", "L7OK", False)),
    (row("UP 1/3", "* L7OK", failures=2), ProbeState("UP", "L7OK", False)),
    (row("DOWN 1/3", "L4CON", failures=3), ProbeState("DOWN", "L4CON", True)),
    (row("UP", "INI"), ProbeState("UP", "INI", False)),
]


@pytest.mark.parametrize(("line", "expected"), STATES)
def test_states(line: str, expected: ProbeState) -> None:
    service = "svc.shop.web.80,shop.web-x,0,UP,0,0,0,L4OK,1,2,http,"
    backend = "probe.http.2,BACKEND,0,UP,0,0,0,,,,http,"
    assert probe_states(stat(service, line, backend)) == {NAME: expected}
    assert expected.is_open == (expected.found == "INI")


def test_what_is_no_statistic_holds_no_state() -> None:
    assert probe_states("") == probe_states("Unknown command") == probe_states(stat()) == {}


TIMES = [
    ("the first check is under way", row("UP", "INI"), None, OPEN_SECONDS),
    ("under way again, after a reload", row("UP", "INI"), True, None),
    ("passes and is known to", row("UP", "L7OK"), True, None),
    ("fails and is known to", row("DOWN", "L7STS"), False, None),
    ("two more of three passes to come", row("UP", "L7OK", changed=5), False, 15.0),
    ("passed for long enough", row("UP", "L7OK", changed=25), False, LEAST_SECONDS),
    ("down: two periods and a timeout to go by", row("DOWN", "L4CON", changed=4), True, 18.0),
    ("in maintenance", row("MAINT", "L4CON", changed=4), True, None),
]  # fmt: skip


@pytest.mark.parametrize(("line", "known", "after"), [one[1:] for one in TIMES], ids=[one[0] for one in TIMES])
def test_when_time_tells(line: str, known: bool | None, after: float | None) -> None:
    found = {"u1": (ProbeResult("web", "readiness", 5.0, known),)}
    at = decided_at([POD], read_stats(stat(line)), found, NOW)
    assert at == (None if after is None else NOW + after)
