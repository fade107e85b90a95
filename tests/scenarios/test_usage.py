"""What pods use, from simulated hosts to rows: restarts, hosts that hang or are away, hours that pass."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from control.models import PodUsage, WorkloadUsage
from control.selectors.usage import latest_pod_usage, node_usage, pod_usage, workload_usage
from control.store import usage
from deployer.adapters.clock import WallClock
from deployer.adapters.simulated import Faults
from deployer.core.usage import FINE_SECONDS, LONGEST_GAP_SECONDS, Usage
from deployer.loops.usage_watch import LOOK_SECONDS, UsageLook, UsageWatch, spread
from deployer.ports import EngineUnreachable
from tests.scenarios.world import World, pods_of, web

pytestmark = pytest.mark.django_db
DEADLINE_SECONDS = 10.0


class Watched:
    """A cluster with a look at each node every 15 s."""

    def __init__(self, folder: Path, nodes: str = "ab", replicas: int = 4) -> None:
        self.world = World(folder)
        for name in nodes:
            self.world.add_node(name)
        self.world.push(web(replicas=replicas))
        self.world.watch(10)
        self.began_at = self.world.clock.now()
        self.looks = {
            name: UsageLook(self.world.node(name).uid, engine, usage.record, self.world.clock)
            for name, engine in self.world.engines.items()
        }

    def looks_on(self, times: int = 1) -> None:
        for _ in range(times):
            self.world.clock.sleep(FINE_SECONDS)
            for one in self.looks.values():
                one.look()

    def points(self, pod: str) -> list[Any]:
        return pod_usage("shop", pod, self.began_at, self.world.clock.now())


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_every_pod_has_a_row_each_15_seconds(watched: Watched) -> None:
    watched.looks_on(9)
    pods = watched.world.pods()
    for pod in pods:
        found = watched.points(pod.name)
        assert [one.at - found[0].at for one in found] == list(range(0, 8 * 15, 15))
        assert all(one.seconds == 15 and 0 < one.cpu_millicores < 200 and one.memory_bytes > 1 << 20 for one in found)
    sums = workload_usage("shop", "web", watched.began_at, watched.world.clock.now())
    assert [(one.revision, one.total.pods) for one in sums] == [(1, 4)] * 8
    latest = latest_pod_usage("shop", watched.world.clock.now())
    nodes = node_usage([watched.world.node(name) for name in "ab"], watched.world.clock.now())
    assert sum(one.point.cpu_millicores for one in nodes.values()) > sum(one.cpu_millicores for one in latest.values())


def test_a_container_that_restarts_counts_from_zero(watched: Watched) -> None:
    watched.looks_on(8)
    pod = watched.world.pods()[0]
    engine = watched.world.engines[pod.node.name]  # type: ignore[union-attr]
    before = watched.points(pod.name)
    engine.host.kill(next(one.name for one in pods_of(engine) if pod.name in one.name))
    watched.looks_on(2)
    after = watched.points(pod.name)[len(before) :]
    assert len(after) == 2
    assert all(0 <= one.cpu_millicores <= 2 * max(each.cpu_millicores for each in before) for one in after)


def test_a_new_pod_has_figures_at_the_next_look(watched: Watched) -> None:
    watched.looks_on(2)
    watched.world.push(web(replicas=4, image="shop/web:2"))
    watched.world.watch(30)
    watched.looks_on(1)
    names = {pod.name for pod in watched.world.pods()}
    assert names == {name for _, name in latest_pod_usage("shop", watched.world.clock.now())} & names
    assert {row.revision for row in PodUsage.objects.exclude(namespace="").order_by("at").filter(pod__in=names)} == {2}


def test_a_host_that_is_away_costs_the_others_nothing_and_begins_anew(watched: Watched) -> None:
    watched.looks_on(4)
    watched.world.engines["b"].host.cut_off()
    count = LONGEST_GAP_SECONDS // FINE_SECONDS + 4
    watched.looks_on(count)
    pods = {pod.name: pod.node.name for pod in watched.world.pods() if pod.node}
    rows = {name: len(watched.points(name)) for name in pods}
    assert {rows[name] for name, node in pods.items() if node == "a"} == {3 + count}
    assert {rows[name] for name, node in pods.items() if node == "b"} == {3}
    watched.world.engines["b"].host.reconnect()
    watched.looks_on(2)
    back = next(name for name, node in pods.items() if node == "b")
    assert [one.seconds for one in watched.points(back)] == [15] * 4, "nobody tells what was used meanwhile"


def test_one_look_that_is_missed_is_made_up_for(watched: Watched) -> None:
    watched.looks_on(2)
    watched.world.engines["a"].host.misbehave(Faults(failing=("usage",)))
    watched.looks_on(1)
    watched.world.engines["a"].host.misbehave(Faults())
    watched.looks_on(1)
    pod = next(pod for pod in watched.world.pods() if pod.node and pod.node.name == "a")
    assert [one.seconds for one in watched.points(pod.name)] == [15, 30]


def test_a_host_that_takes_longer_than_there_is_time_is_left(watched: Watched) -> None:
    watched.looks_on(2)
    watched.world.engines["a"].host.misbehave(Faults(slow_seconds=LOOK_SECONDS + 1))
    watched.looks["a"].look()
    assert watched.looks["a"].containers > 0
    pod = next(pod for pod in watched.world.pods() if pod.node and pod.node.name == "a")
    assert len(watched.points(pod.name)) == 1


def test_hours_go_by_and_the_table_stays_small(tmp_path: Path) -> None:
    watched = Watched(tmp_path, "a", 1)
    for _ in range(5):
        watched.looks_on(3600 // FINE_SECONDS)
        assert PodUsage.objects.count() <= 2 * 760, "of one pod and one node"
        usage.roll_up(watched.world.clock.now())
        assert PodUsage.objects.count() <= 2 * 520
    now = watched.world.clock.now()
    (name,) = [pod.name for pod in watched.world.pods()]
    assert len(pod_usage("shop", name, now - 3600, now)) == 240
    found = workload_usage("shop", "web", now - 6 * 3600, now)
    assert len(found) in (60, 61) and all(one.total.pods == 1 for one in found)
    assert WorkloadUsage.objects.filter(namespace="").count() == WorkloadUsage.objects.exclude(namespace="").count()


# The engine that does not answer in full, and the thread


class Partial:
    """Two of its containers hang: nothing is read from the second of them on."""

    def __init__(self, engine: Any, hanging: Sequence[str]) -> None:
        self.engine, self.hanging = engine, hanging
        self.containers = engine.containers

    def usage(self, containers: Sequence[str], within_seconds: float) -> dict[str, Usage]:
        read, silences = {}, 0
        for one in containers:
            silences += one in self.hanging
            if silences >= 2:
                break
            if one not in self.hanging:
                read |= self.engine.usage([one], within_seconds)
        if silences and not read:
            raise EngineUnreachable("Unreachable", "no answer")
        return read


def test_two_containers_that_hang_do_not_keep_the_others_from_being_read(tmp_path: Path) -> None:
    watched = Watched(tmp_path, "a", 6)
    engine = watched.world.engines["a"]
    stuck = sorted(one.id for one in pods_of(engine))[:2]
    watched.looks["a"].engine = Partial(engine, stuck)  # type: ignore[assignment]
    watched.looks_on(20)
    rows = {pod.name: len(watched.points(pod.name)) for pod in watched.world.pods()}
    assert sorted(rows.values())[:2] == [0, 0]
    assert all(count >= 3 for count in sorted(rows.values())[2:]), rows


class Lookout:
    def __init__(self, uid: str, waits_for: threading.Event | None = None) -> None:
        self.uid, self.waits_for = uid, waits_for
        self.looked = self.forgot = 0

    def look(self, offset: float) -> None:
        self.looked += 1
        if self.waits_for:
            self.waits_for.wait(DEADLINE_SECONDS)

    def forget(self) -> None:
        self.forgot += 1


def test_a_host_that_hangs_holds_its_own_thread_only() -> None:
    released = threading.Event()
    lookouts = Lookout("a", released), Lookout("b"), Lookout("c")
    leads = [True, True, False]
    watches = [
        UsageWatch(one, WallClock(), lambda: 1, lambda leads=leads, at=at: leads[at])  # type: ignore[arg-type, misc]
        for at, one in enumerate(lookouts)
    ]
    for watch in watches:
        watch.start()
    until = time.monotonic() + DEADLINE_SECONDS
    while (lookouts[1].looked < 2 or not lookouts[2].forgot) and time.monotonic() < until:
        threading.Event().wait(0.02)
    assert (lookouts[0].looked, lookouts[1].looked >= 2, lookouts[2].looked) == (1, True, 0)
    released.set()
    for watch in watches:
        watch.stopped.set()
        watch.join(DEADLINE_SECONDS)
        assert not watch.is_alive()


def test_nodes_are_not_all_looked_at_at_once() -> None:
    parts = sorted(spread(f"{number:08x}-0000") for number in range(100))
    assert 0 <= parts[0] < 0.2 and 0.8 < parts[-1] < 1
