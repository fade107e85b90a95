"""Many workloads in one pass: what comes of each is what would come of it by itself, at the cost of one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from control.models import Deployment, Event, Pod, ReplicaSet, Work
from control.store import workloads
from control.store.work import LEASE_SECONDS, WorkRows
from deployer.core.survival.states import READY
from deployer.loops import reconcile
from tests.control import factories
from tests.scenarios.guillotine import Guillotine, Killed
from tests.scenarios.world import FakeClock, World, web

pytestmark = pytest.mark.django_db
NAMES = [f"web{number}" for number in range(6)]


def cluster(folder: Path, names: list[str], hosts: str = "abc") -> World:
    world = World(folder)
    for name in hosts:
        world.add_node(name, reason=READY)
    world.push(*(web(name, replicas=3) for name in names))
    world.pass_time(30)
    assert [world.ready(name) for name in names] == [3] * len(names)
    return world


def due(world: World) -> list[str]:
    return [key for loop, key in world.work.due(world.clock.now()) if loop == "reconcile"]


def written() -> dict[str, Any]:
    """Everything that passes write, without ids and versions."""
    pods = Pod.objects.order_by("name")
    return {
        "workloads": list(Deployment.objects.order_by("name").values_list("name", "status", "progress", "pin")),
        "sets": list(ReplicaSet.objects.order_by("name").values_list("name", "replicas", "created_count", "healthy")),
        "pods": list(pods.values_list("name", "labels", "placement", "deleted_at", "deletion_cost", "revision")),
        "events": sorted(Event.objects.values_list("kind", "name", "reason", "message", "count")),
        "woken": sorted(Work.objects.filter(due_at=0).exclude(loop="reconcile").values_list("loop", "key")),
    }


def in_vain(act: Callable[[], None]) -> dict[str, Any]:
    """What `act` writes, taken back."""
    with transaction.atomic():
        act()
        found = written()
        transaction.set_rollback(True)
    return found


def test_all_at_once_is_one_by_one(tmp_path: Path) -> None:
    """One rolls, one is scaled up and one down, one is deleted, one is left alone, one has lost a pod."""
    world = cluster(tmp_path, NAMES)
    world.push(
        web("web0", replicas=3, image="shop/web:2"), web("web1", replicas=5), web("web2", replicas=1),
        web("web4", replicas=3), web("web5", replicas=3),
    )  # fmt: skip
    for loop in ("poll", "sync"):
        for one, key in world.work.due(world.clock.now()):
            if one == loop:
                world.run(one, key)
    lost = world.pods("web5")[0]
    workloads.delete_pods([(lost.uid, "gone")], world.work.wake, world.clock.now())
    keys = list(Deployment.objects.order_by("name").values_list("uid", flat=True))
    world.work.wake("reconcile", keys)

    def one_by_one() -> None:
        for key in keys:
            world.run("reconcile", key)

    together = in_vain(lambda: world.run_all("reconcile", keys))
    assert together == in_vain(one_by_one)
    assert together != written()


def test_a_broken_one_stops_nobody_else(tmp_path: Path) -> None:
    world = cluster(tmp_path, NAMES[:3])
    world.push(*(web(name, replicas=4) for name in NAMES[:3]))
    for loop in ("poll", "sync"):
        world.run_all(loop, [key for one, key in world.work.due(world.clock.now()) if one == loop])
    broken = Deployment.objects.get(name="web1")
    Deployment.objects.filter(pk=broken.pk).update(progress={"no": "such field"})
    with pytest.raises(TypeError, match="no"):
        world.run_all("reconcile", due(world))
    made = {name: len(world.pods(name)) for name in NAMES[:3]}
    assert made == {"web0": 4, "web1": 3, "web2": 4}
    assert due(world) == []
    world.clock.at += LEASE_SECONDS
    assert broken.uid in due(world), "it is tried again"
    Deployment.objects.filter(pk=broken.pk).update(progress=broken.progress)


def test_several_broken_ones_are_all_named(tmp_path: Path) -> None:
    world = cluster(tmp_path, NAMES[:2])
    before = dict(Deployment.objects.values_list("uid", "progress"))
    Deployment.objects.update(progress={"no": "such field"})
    keys = list(Deployment.objects.values_list("uid", flat=True))
    world.work.wake("reconcile", keys)
    with pytest.raises(ExceptionGroup) as caught:
        world.run_all("reconcile", keys)
    assert len(caught.value.exceptions) == 2
    for uid, progress in before.items():
        Deployment.objects.filter(pk=uid).update(progress=progress)


def test_a_worker_killed_in_the_middle_has_written_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = cluster(tmp_path, NAMES[:3])
    world.push(*(web(name, replicas=4) for name in NAMES[:3]))
    for loop in ("poll", "sync"):
        world.run_all(loop, [key for one, key in world.work.due(world.clock.now()) if one == loop])
    with monkeypatch.context() as patches, contextlib.suppress(Killed), transaction.atomic():
        guillotine = Guillotine(patches, 1, [], armed=False)
        guillotine.armed = True
        world.run_all("reconcile", due(world))
    assert Pod.objects.count() == 9
    world.new_worker()
    world.pass_time(LEASE_SECONDS + 30)
    assert [world.ready(name) for name in NAMES[:3]] == [4, 4, 4]
    assert Pod.objects.count() == 12


def test_whose_lease_went_to_another_worker_is_left_out() -> None:
    clock = FakeClock()
    clock.at = factories.NOW
    uids = []
    for name in ("web", "api"):
        owner = factories.deployment(name, replicas=2, status={})
        factories.replica_set(owner, 2, replicas=2)
        uids.append(owner.uid)
    mine, other = WorkRows("mine", lambda *_: None), WorkRows("other", lambda *_: None)
    mine.wake("reconcile", uids)
    load = workloads.load

    class Late:
        """Another worker takes the first key over, while this one was stopped between its claim and its pass."""

        apply, tear_down = staticmethod(workloads.apply), staticmethod(workloads.tear_down)
        seen: ClassVar[list[list[str]]] = []

        @classmethod
        def load(cls, found: list[str], now: float) -> Any:
            cls.seen.append(list(found))
            return load(found, now)

    claim = mine.claim_many

    def stopped(*arguments: Any) -> Any:
        leases = claim(*arguments)
        Work.objects.filter(key=uids[0]).update(leased_until=0, due_at=0)
        assert other.claim("reconcile", uids[0], clock.now()) is not None
        return leases

    mine.claim_many = stopped  # type: ignore[method-assign]
    reconcile.run(uids, mine, Late, clock)
    assert Late.seen[0] == [uids[1]]
    assert not Pod.objects.filter(replica_set__deployment=uids[0]).exists()
    assert Pod.objects.filter(replica_set__deployment=uids[1]).count() == 2
    assert Work.objects.get(key=uids[0]).owner == "other"


def test_one_budget_is_spent_once(tmp_path: Path) -> None:
    """Each with a pod on a drained node and another one that serves for it: one of the three pods may go."""
    far, near = factories.node("far", draining=True, cordoned=True), factories.node("near")
    uids = []
    for name in ("web", "api", "shop"):
        owner = factories.deployment(name, replicas=1, status={})
        current = factories.replica_set(owner, 2, replicas=1)
        for place, node in enumerate((far, near)):
            factories.pod(current, f"{name}-{place}", node=node)
        uids.append(owner.uid)
    factories.budget("all", minAvailable=5, selector={})
    work, clock = WorkRows("one", lambda *_: None), FakeClock()
    clock.at = factories.NOW
    work.wake("reconcile", uids)
    reconcile.run(uids, work, workloads, clock)
    assert Pod.objects.filter(deleted_at__isnull=False).count() == 1
    assert Pod.objects.filter(message__startswith="budget shop/all allows no disruption now: 5 healthy").count() == 2


def test_what_is_asked_of_the_database_hardly_grows_with_them(tmp_path: Path) -> None:
    world = cluster(tmp_path, NAMES)
    asked = []
    for step, count in enumerate((2, 6), 1):
        world.push(*(web(name, replicas=3 + step * (number < count)) for number, name in enumerate(NAMES)))
        for loop in ("poll", "sync"):
            world.run_all(loop, [key for one, key in world.work.due(world.clock.now()) if one == loop])
        keys = due(world)
        assert len(keys) == count
        with CaptureQueriesContext(connection) as queries:
            world.run_all("reconcile", keys)
        asked.append(len(queries))
        world.pass_time(30)
    assert asked[1] - asked[0] <= 4 * 6, f"{asked}: each more is to cost its events; by itself it takes thirty"
