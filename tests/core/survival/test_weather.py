"""Under seeded schedules of faults nobody is evicted by mistake, and who is dead is found dead.

More of them: `python -m tests.benchmarks.false_evictions --schedules 10000`.
"""

from __future__ import annotations

import pytest

from tests.core.survival.weather import Fault, Report, Weather

SCHEDULES = 60


def words(report: Report) -> str:
    faults = "\n".join(map(str, report.faults))
    return f"seed {report.seed}: evicted though it could be seen: {report.false}; faults:\n{faults}"


@pytest.mark.parametrize("first", range(0, SCHEDULES, 20))
def test_no_false_eviction(first: int) -> None:
    for seed in range(first, first + 20):
        report = Weather(seed).run()
        assert not report.false, words(report)


@pytest.mark.parametrize("hosts", [2, 3, 5, 8])
def test_a_host_without_power_is_evicted_within_seconds(hosts: int) -> None:
    report = Weather(1, [Fault("power", ("h1",), 20.0, 1000.0)], hosts).run()
    assert [word.split()[0] for word in report.evicted] == ["h1"]
    assert float(report.evicted[0].split()[2]) <= 26.0


@pytest.mark.parametrize(
    "fault",
    [
        Fault("deaf", ("h1",), 20.0, 1000.0),
        Fault("engine", ("h1",), 20.0, 1000.0),
        Fault("slow", ("h0", "h1"), 20.0, 1000.0, 5.0),
        Fault("alone", ("h1",), 20.0, 1000.0),
        Fault("router", ("h0", "h1", "h2"), 20.0, 1000.0),
        Fault("pause", (), 20.0, 80.0),
        Fault("power", ("h0", "h1", "h2"), 20.0, 1000.0),
    ],
    ids=lambda fault: fault.what,
)
def test_what_is_no_death_evicts_nobody(fault: Fault) -> None:
    assert Weather(1, [fault], 3).run().evicted == []


def test_a_short_loss_of_power_is_no_death() -> None:
    assert Weather(1, [Fault("power", ("h1",), 20.0, 21.5)], 3).run().evicted == []
