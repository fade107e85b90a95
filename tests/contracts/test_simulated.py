"""What the simulated engine does beyond the contract: misbehave, share its state, be cheap."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from deployer.adapters.docker import open_engine
from deployer.adapters.docker_address import EngineAddress
from deployer.adapters.simulated import Faults, SimulatedEngine
from deployer.core.container import LABEL_CLUSTER, ContainerSpec, RegistryAuth
from deployer.ports import EngineError, EngineUnreachable
from tests.contracts.bench import IMAGE, MovingClock, reason_of, shell, spec


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock()


@pytest.fixture
def engine(tmp_path: Path, clock: MovingClock) -> Iterator[SimulatedEngine]:
    made = SimulatedEngine("node-1", "c1", run_dir=tmp_path, clock=clock, sleep=clock.sleep)
    made.load_image(IMAGE)
    yield made
    made.close()


def run(engine: SimulatedEngine, wanted: ContainerSpec) -> None:
    engine.create(wanted)
    engine.start(wanted.name)


def test_restarts_back_off_as_dockers_do(engine: SimulatedEngine, clock: MovingClock) -> None:
    """Runs of 0.1 s; pauses of 0.1, 0.2, 0.4 ... 51.2, then 60 s."""
    run(engine, spec("c", "crash", restart="always"))
    began = clock.time
    for _ in range(3000):
        clock.sleep(0.1)
        engine.containers()
    starts = [event.at - began for event in engine.events(0, clock.time) if event.action == "start"]
    pauses = [round(after - before - 0.1, 1) for before, after in pairwise(starts)]
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60.0, 60.0, 60.0]


def test_looking_late_tells_the_same_life(tmp_path: Path) -> None:
    lives = []
    for name, steps in (("often", 600), ("late", 1)):
        clock = MovingClock()
        engine = SimulatedEngine(name, "c1", run_dir=tmp_path, clock=clock, sleep=clock.sleep)
        engine.load_image(IMAGE)
        run(engine, spec("c", *shell("sleep 3; exit 2"), restart="on-failure"))
        for _ in range(steps):
            clock.sleep(600 / steps)
            engine.containers()
        lives.append([(event.action, round(event.at, 3)) for event in engine.events(0, clock.time)])
    assert lives[0] == lives[1] and len(lives[0]) > 20


def test_a_long_run_forgives_earlier_crashes(engine: SimulatedEngine, clock: MovingClock) -> None:
    run(engine, spec("c", *shell("sleep 20; exit 1"), restart="always"))
    clock.sleep(100)
    starts = [event.at for event in engine.events(0, clock.time) if event.action == "start"]
    assert {round(after - before, 2) for before, after in pairwise(starts)} == {20.11}


@pytest.mark.parametrize(
    ("faults", "call", "reason"),
    [
        (Faults(unreachable=True), "ping", "Unreachable"),
        (Faults(failing=("containers",)), "containers", "EngineFailed"),
    ],
)
def test_faults(engine: SimulatedEngine, faults: Faults, call: str, reason: str) -> None:
    engine.host.misbehave(faults)
    assert reason_of(getattr(engine, call)) == reason
    engine.host.misbehave(Faults())
    getattr(engine, call)()


def test_a_full_disk_and_a_slow_host(engine: SimulatedEngine, clock: MovingClock) -> None:
    engine.host.misbehave(Faults(disk_full=True, slow_seconds=2))
    before = clock.time
    assert reason_of(engine.pull, "web:1") == "DiskFull"
    assert clock.time - before == 2
    assert reason_of(engine.create, spec("c")) == "DiskFull"


@pytest.mark.parametrize(
    ("reference", "reason"),
    [("web:missing", "ImageNotFound"), ("denied/web:1", "PullDenied"), ("unreachable/web:1", "RegistryUnreachable")],
)
def test_an_images_name_decides_how_its_pull_goes(engine: SimulatedEngine, reference: str, reason: str) -> None:
    assert reason_of(engine.pull, reference) == reason


def test_credentials_open_a_closed_registry(engine: SimulatedEngine) -> None:
    assert engine.pull("denied/web:1", RegistryAuth("u", "p")).tags == ("denied/web:1",)


def test_a_lost_plug(engine: SimulatedEngine, clock: MovingClock) -> None:
    run(engine, spec("keeps", restart="always"))
    run(engine, spec("stays-down"))
    engine.host.power_off()
    with pytest.raises(EngineUnreachable):
        engine.containers()
    clock.sleep(5)
    engine.host.power_on()
    assert {c.name: c.state for c in engine.containers()} == {"keeps": "running", "stays-down": "exited"}
    keeps = engine.inspect("keeps")
    assert keeps and keeps.uptime_seconds == 0


def test_a_killed_container_is_brought_back(engine: SimulatedEngine, clock: MovingClock) -> None:
    run(engine, spec("victim", restart="always"))
    clock.sleep(60)
    engine.host.kill("victim")
    clock.sleep(0.2)
    seen = engine.inspect("victim")
    assert seen and seen.detail and (seen.state, seen.detail.restart_count) == ("running", 1)


def test_processes_share_a_host(tmp_path: Path) -> None:
    """As the web server and the worker of `up --simulate` do."""
    here = open_engine(EngineAddress("sim://node-1"), "c1", run_dir=tmp_path)
    here.pull("web:1")
    assert here.containers() == []
    script = f"""
import sys
from pathlib import Path
from deployer.adapters.docker import open_engine
from deployer.adapters.docker_address import EngineAddress
from deployer.core.container import ContainerSpec
there = open_engine(EngineAddress("sim://node-1"), "c1", run_dir=Path({str(tmp_path)!r}))
there.create(ContainerSpec("from-there", "web:1", {{}}))
there.start("from-there")
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)
    (seen,) = here.containers()
    assert (seen.name, seen.state, seen.labels[LABEL_CLUSTER]) == ("from-there", "running", "c1")
    assert [event.action for event in here.events(0, here.host_time())] == ["create", "start"]
    here.close()


def test_hosts_are_told_apart(tmp_path: Path) -> None:
    one, two = (open_engine(EngineAddress(f"sim://node-{n}"), "c1", run_dir=tmp_path) for n in (1, 2))
    one.pull("web:1")
    one.create(ContainerSpec("web", "web:1", {}))
    assert two.containers() == [] and one.info().engine_id != two.info().engine_id


def test_an_error_rolls_everything_back(engine: SimulatedEngine) -> None:
    with pytest.raises(EngineError):
        engine.create(spec("c", image="absent:1"))
    assert engine.containers() == [] and list(engine.events(0, engine.host_time())) == []
