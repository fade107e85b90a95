"""An analysis through everything that happens to hosts, routers, workers and the control plane: no request counts
twice, and nobody is promoted or killed because somebody could not look."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from control.models import AnalysisTick, Node
from control.store import analyses
from control.store.work import LEASE_SECONDS
from deployer.adapters.simulated import Faults
from deployer.adapters.simulated_router import SimulatedLine
from deployer.core.canary.values import Analysis
from tests.scenarios.analysis import NODES, QUICK, Stage
from tests.scenarios.guillotine import Guillotine, Icebox, Killed
from tests.scenarios.standing import standing
from tests.scenarios.test_router import service

pytestmark = pytest.mark.django_db
LASTING = replace(QUICK, warmup_seconds=0, min_seconds=9000, max_seconds=90_000)
CALLS: list[tuple[type, str]] = [(SimulatedLine, "ask")]


@pytest.fixture(scope="module")
def base(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    yield from standing(django_db_blocker, lambda: Stage.stood(tmp_path_factory.mktemp("base")))


@pytest.fixture
def stage(base: Stage, db: None, tmp_path: Path) -> Stage:
    return base.twin(tmp_path)


def test_a_router_that_is_reloaded_loses_one_look_at_most(stage: Stage) -> None:
    stage.quiet.discard("route")
    run = stage.begin(Analysis(LASTING))
    stage.traffic(50, canary=(100, 1), stable=(900, 9))
    assert stage.counted(run) == (500, 5, 4500, 45)
    stage.push(*stage.documents(service("other")))
    stage.pass_time(3)
    stage.traffic(50, canary=(100, 1), stable=(900, 9))
    stage.pass_time(10)
    assert stage.counted(run) == (1000, 10, 9000, 90), "nothing was counted between the last look and the reload"
    stage.dial(dict.fromkeys((*stage.canary, *stage.stable), (100, 100, 0)))
    stage.push(*stage.documents())
    stage.settle()
    stage.traffic(50, canary=(100, 1), stable=(900, 9))
    stage.pass_time(10)
    assert stage.counted(run) == (1500, 15, 13500, 135), "what a reload forgot is forgotten on both sides"
    assert stage.newest(run).phase == "Running"


def test_a_host_that_does_not_answer_is_caught_up_with(stage: Stage) -> None:
    run = stage.begin(Analysis(LASTING))
    stage.traffic(20, canary=(100, 1), stable=(900, 9))
    stage.engines["c"].host.misbehave(Faults(unseen=True))
    stage.traffic(30, canary=(100, 1), stable=(900, 9), nodes=("a", "b"))
    assert "c" in stage.newest(run).message
    Node.objects.filter(name="c").update(ready=False)
    stage.traffic(30, canary=(100, 1), stable=(900, 9), nodes=("a", "b"))
    assert "(" not in stage.newest(run).message, "one that is known to be away is not asked"
    before = stage.counted(run)
    assert before == (800, 8, 7200, 72)
    stage.dial({stage.canary[0]: (50, 0, 0)}, nodes=("c",))
    stage.engines["c"].host.reconnect()
    Node.objects.filter(name="c").update(ready=True)
    stage.traffic(20, canary=(100, 1), stable=(900, 9))
    stage.pass_time(10)
    assert stage.counted(run) == (1050, 10, 9000, 90)


def test_a_pass_that_is_killed_at_any_step_has_not_happened(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    run = stage.begin(Analysis(LASTING))
    killed, at, dialed = 0, 0, 0
    while killed == at:
        at += 1
        stage.until_due(run)
        stage.dial({stage.canary[0]: (10 + at, 0, 0), stage.stable[0]: (100, 1, 0)})
        dialed += 10 + at
        stage.clock.at += 1
        with monkeypatch.context() as patches:
            guillotine = Guillotine(patches, at, CALLS, armed=True)
            try:
                stage.run("analyse", run.uid)
            except Killed:
                killed += 1
            guillotine.armed = False
        stage.new_worker()
        stage.pass_time(LEASE_SECONDS + 10)
        assert stage.counted(run) == (dialed, 0, 100 * at, at), f"killed at step {at}"
    assert killed >= 6
    assert stage.newest(run).phase == "Running"


def test_of_two_workers_one_saves(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """One is stopped at every step of its pass in turn, for longer than its lease, while the other does the same."""
    run = stage.begin(Analysis(LASTING))
    slept, at, dialed = 0, 0, 0
    while slept == at:
        at += 1
        stage.until_due(run)
        stage.dial({stage.canary[0]: (10 + at, 0, 0), stage.stable[0]: (100, 1, 0)})
        dialed += 10 + at
        stage.clock.at += 1
        mine, other = stage.work, stage.another()
        asleep = []

        def meanwhile() -> None:
            asleep.append(True)  # noqa: B023 - likewise
            stage.clock.at += LEASE_SECONDS + 1
            stage.work = other  # noqa: B023 - called within this round
            stage.run("analyse", run.uid)
            stage.work = mine  # noqa: B023 - likewise

        with monkeypatch.context() as patches:
            icebox = Icebox(patches, at, CALLS, meanwhile)
            icebox.armed = True
            stage.run("analyse", run.uid)
            icebox.armed = False
        slept += len(asleep)
        stage.new_worker()
        stage.pass_time(LEASE_SECONDS + 10)
        assert stage.counted(run) == (dialed, 0, 100 * at, at), f"asleep at step {at}"
    assert slept >= 6


def test_what_is_ended_during_a_pass_stays_ended(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    run = stage.begin(Analysis(LASTING))
    stage.until_due(run)
    stage.clock.at += 1
    stage.dial({stage.canary[0]: (1000, 900, 0), stage.stable[0]: (1000, 0, 0)})
    with monkeypatch.context() as patches:
        row = stage.deployment()
        Icebox(
            patches, 2, CALLS, lambda: analyses.end(row, [run.name], stage.clock.now(), "it was aborted")
        ).armed = True  # fmt: skip
        stage.run("analyse", run.uid)
    found = stage.newest(run)
    assert (found.phase, found.message) == ("Inconclusive", "it was aborted")
    assert AnalysisTick.objects.filter(run=run).count() == 1
    stage.pass_time(60)
    assert (stage.due(), stage.newest(run).phase) == ([], "Inconclusive")


def test_who_cannot_be_read_is_not_held_against_the_canary(stage: Stage) -> None:
    run = stage.begin(Analysis(QUICK))
    stage.traffic(40, canary=(100, 1), stable=(900, 9))
    for name in NODES:
        stage.engines[name].host.misbehave(Faults(unseen=True))
    stage.pass_time(120)
    found = stage.newest(run)
    assert found.phase == "Running"
    assert AnalysisTick.objects.filter(run=run, verdict="unread").count() >= 10
    stage.pass_time(600)
    assert stage.newest(run).phase == "Inconclusive"
    assert stage.woken == 1


def test_all_is_read_again_after_a_while(stage: Stage) -> None:
    run = stage.begin(Analysis(QUICK))
    stage.traffic(40, canary=(100, 1), stable=(900, 9))
    for name in NODES:
        stage.engines[name].host.misbehave(Faults(unseen=True))
    stage.pass_time(200)
    for name in NODES:
        stage.engines[name].host.reconnect()
    stage.traffic(300, canary=(100, 1), stable=(900, 9))
    assert stage.newest(run).phase == "Successful"


@pytest.mark.parametrize("seen", [True, False])
def test_an_hour_without_a_control_plane_is_no_hour_of_analysis(stage: Stage, seen: bool) -> None:
    """In the middle of the warm-up. Its errors are the warm-up's; and the first look afterwards may fail, too."""
    run = stage.begin(Analysis(QUICK))
    stage.traffic(10, canary=(100, 1), stable=(900, 9))
    stage.dial({stage.canary[0]: (20_000, 400, 0), **dict.fromkeys(stage.stable, (60_000, 600, 0))})
    stage.clock.at += 3600
    stage.new_worker()
    for name in NODES if not seen else ():
        stage.engines[name].host.misbehave(Faults(unseen=True))
    stage.settle()
    assert stage.newest(run).phase == "Running", stage.newest(run).message
    for name in NODES if not seen else ():
        stage.engines[name].host.reconnect()
    stage.pass_time(10)
    found = stage.newest(run)
    assert found.phase == "Running", found.message
    assert found.state["judge"]["metrics"][0]["sums"]["canary_requests"] == 0, "the warm-up is not over"
    stage.traffic(20, canary=(100, 1), stable=(900, 9))
    assert stage.newest(run).phase == "Running", "it has not lasted for its least time yet"
    stage.traffic(250, canary=(100, 1), stable=(900, 9))
    assert stage.newest(run).phase == "Successful"
    assert stage.counted(run)[0] > 20_000, "what the routers counted meanwhile is not lost"


def test_a_clock_that_is_set_back_keeps_nobody_waiting(stage: Stage) -> None:
    run = stage.begin(Analysis(QUICK))
    stage.traffic(30, canary=(100, 1), stable=(900, 9))
    before = stage.newest(run)
    stage.clock.at -= 3600
    stage.work.wake("analyse", run.uid)
    with contextlib.suppress(AssertionError):
        stage.settle()
    stage.traffic(100, canary=(100, 1), stable=(900, 9))
    assert AnalysisTick.objects.filter(run=run, at__lt=before.started_at).count() >= 5
    stage.traffic(200, canary=(100, 1), stable=(900, 9))
    assert stage.newest(run).phase == "Successful"
