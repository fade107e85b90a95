"""When to look at probes again, of what HAProxy tells: what is still open, and what has changed since the last look.

A poller asks often and parses little: `probe_states` reads only the rows of probes, and two readings that are equal
need no pass. Some findings come by time alone (a server that is down for `fall` periods has failed): `decided_at`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from deployer.core.network.probes import server_name
from deployer.core.network.runtime import PEERS, PROBES, StatRow, read_cells
from deployer.core.network.values import ContainerProbe, ProbeResult, RoutedPod

LEAST_SECONDS, OPEN_SECONDS = 0.3, 1.0
_COLUMNS = ("pxname", "svname", "status", "check_status", "chkfail", "check_fall")
_OPEN = ("", "INI", "UNK", "SOCKERR")


@dataclass(frozen=True, slots=True)
class ProbeState:
    """Of one server. `is_over`: it failed as often in a row as counts; `is_open`: no check has come to an end yet."""

    status: str
    found: str
    is_over: bool

    @property
    def is_open(self) -> bool:
        return self.found in _OPEN


def probe_states(stat: str) -> dict[str, ProbeState]:
    """Server name -> state, of the probes in what `show stat` prints; those of peers are none."""
    states: dict[str, ProbeState] = {}
    for proxy, server, status, found, failures, fall in read_cells(stat, PROBES, _COLUMNS):
        if proxy != PEERS:
            is_over = _number(failures) >= (_number(fall) or 1)
            states[server] = ProbeState(status.split(" ")[0], found.removeprefix("* "), is_over)
    return states


def decided_at(
    pods: Iterable[RoutedPod],
    rows: Iterable[StatRow],
    found: Mapping[str, tuple[ProbeResult, ...]],
    now: float,
) -> float | None:
    """When time alone may tell more of a probe: its first check ends, or its server has been up or down for so long
    that this is the finding. None: never."""
    by_name = {row.server: row for row in rows if row.proxy.startswith(PROBES)}
    moments = [
        at
        for pod in pods
        for probe in pod.probes
        if (row := by_name.get(server_name(pod, probe))) is not None
        and (at := _decided_at(probe, row, _known(found.get(pod.uid, ()), probe), now)) is not None
    ]
    return min(moments, default=None)


def _decided_at(probe: ContainerProbe, row: StatRow, known: bool | None, now: float) -> float | None:
    check, is_up = probe.check, row.status.startswith("UP")
    if row.check_status.removeprefix("* ") in _OPEN:
        return now + OPEN_SECONDS if known is None else None
    if known is is_up or "MAINT" in row.status:
        return None
    patience = (check.rise - 1 if is_up else check.fall - 1) * check.period_seconds
    patience += 0 if is_up else check.timeout_seconds
    return now + max(LEAST_SECONDS, patience - row.lastchg)


def _known(found: Iterable[ProbeResult], probe: ContainerProbe) -> bool | None:
    run = (probe.container, probe.kind, probe.started_at)
    return next((one.passing for one in found if (one.container, one.kind, one.started_at) == run), None)


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0
