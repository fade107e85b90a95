"""The engines that the contract is held against, each with what a test needs of its surroundings."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deployer.adapters.docker import open_engine
from deployer.adapters.docker_address import EngineAddress
from deployer.adapters.simulated import SimulatedEngine
from deployer.core.container import LABEL_ATTEMPT, LABEL_POD, LABEL_POD_UID, ContainerDetail, ContainerSpec
from deployer.ports import Engine, EngineError
from tests.engines import images
from tests.engines.hosts import Host
from tests.engines.servers import Registry

IMAGE = "test/busybox:1"
CLUSTER, OTHER_CLUSTER = "cluster-1", "cluster-2"
FOREVER = ("sleep", "3600")
_DEADLINE_SECONDS = 20.0


def shell(script: str) -> tuple[str, ...]:
    return ("sh", "-c", script)


def spec(name: str, *command: str, attempt: int = 0, **fields: Any) -> ContainerSpec:
    labels = {LABEL_POD: name, LABEL_POD_UID: f"uid-{name}", LABEL_ATTEMPT: str(attempt)}
    return ContainerSpec(
        name=name, image=fields.pop("image", IMAGE), labels=labels, command=command or FOREVER, **fields
    )


def reason_of(call: Callable[..., object], *arguments: object) -> str:
    with pytest.raises(EngineError) as caught:
        call(*arguments)
    assert caught.value.sentence == str(caught.value) != ""
    return caught.value.reason


@dataclass
class Bench:
    """An engine under test, a second cluster's view of the same host, and what differs between hosts."""

    engine: Engine
    other: Engine
    sleep: Callable[[float], None]
    pullable: Callable[[str], str]
    """A reference (of a name and tag) that can be pulled."""
    unreachable_image: str
    missing_image: str
    free_port: int = 18080

    def run(self, name: str, *command: str, **fields: Any) -> str:
        container = self.engine.create(spec(name, *command, **fields))
        self.engine.start(name)
        return container

    def eventually(self, condition: Callable[[], Any], *, seconds: float = _DEADLINE_SECONDS) -> Any:
        """Poll until `condition` gives something true, and return that."""
        waited = 0.0
        while True:
            found = condition()
            if found:
                return found
            assert waited < seconds, f"not true after {seconds} s"
            self.sleep(0.05)
            waited += 0.05

    def state(self, name: str) -> str:
        found = self.engine.inspect(name)
        return found.state if found else "gone"

    def detail(self, name: str) -> ContainerDetail:
        found = self.engine.inspect(name)
        assert found and found.detail
        return found.detail

    def health(self, name: str) -> str:
        """As the listing shows it."""
        return next(container.health for container in self.engine.containers() if container.name == name)

    def output(self, name: str) -> str:
        return b"".join(self.engine.logs(name)).decode()

    def clean(self) -> None:
        for engine in (self.engine, self.other):
            for container in sorted(engine.containers(), key=lambda c: c.name.endswith("pause")):
                engine.remove(container.id)
            for volume in engine.volumes():
                engine.remove_volume(volume.name)
            for network in engine.networks():
                engine.remove_network(network)
            for image in engine.images():
                engine.remove_image(image.id)


class MovingClock:
    """Time passes when somebody sleeps."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.time = now

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


@contextmanager
def simulated_bench(run_dir: Path) -> Iterator[Bench]:
    clock = MovingClock()
    engines = [
        SimulatedEngine("contract", cluster, run_dir=run_dir, clock=clock, sleep=clock.sleep)
        for cluster in (CLUSTER, OTHER_CLUSTER)
    ]
    engines[0].load_image(IMAGE)
    yield Bench(engines[0], engines[1], clock.sleep, lambda name: name, "unreachable/web:1", "team/missing:1")


@contextmanager
def docker_bench(host: Host, address: EngineAddress, registry: Registry, run_dir: Path) -> Iterator[Bench]:
    host.load(images.busybox(IMAGE))

    def pullable(name: str) -> str:
        host.load(images.busybox(name))
        reference = registry.push(host, name, name)
        host.docker("rmi", name)
        return reference

    engine, other = (open_engine(address, cluster, run_dir=run_dir) for cluster in (CLUSTER, OTHER_CLUSTER))
    try:
        yield Bench(
            engine, other, time.sleep, pullable, f"{host.gateway}:9/web:1", f"{registry.address}/team/missing:1"
        )
    finally:
        engine.close()
        other.close()
