"""Many threads on one database, on SQLite and (test_production.py) on PostgreSQL: nobody twice, nobody stuck."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import pytest
from django.db import connections

from control.models import NEVER, Namespace, Node, Pod, Work
from control.services import nodes
from control.services.audit import Actor
from control.store import objects, workloads
from control.store.work import WorkRows
from deployer.brief import brief
from deployer.loops import reconcile
from tests.control import factories

ANN = Actor("ann")
NOW = 1_000_000.0
THREADS = 8
TURNS = 12
IDLE_TRANSACTION = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'"

pytestmark = pytest.mark.django_db(transaction=True)


def rows(name: str = "one") -> WorkRows:
    return WorkRows(name, lambda loop, keys: None)


def side_by_side(*bodies: Callable[[], None]) -> list[Exception]:
    """Run them all at once, each in a thread of its own; what they raised."""
    gate, raised = threading.Barrier(len(bodies)), list[Exception]()

    def run(body: Callable[[], None]) -> None:
        gate.wait()
        try:
            body()
        except Exception as error:  # noqa: BLE001 - handed to the test
            raised.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_no_two_workers_are_ever_at_one_key() -> None:
    """Each turn adds to a number between its claim and its release: two at a time would lose a turn."""
    for key in ("a", "b"):
        rows().wake("sync", key)
    taken, inside, seen_together = {"a": 0, "b": 0}, {"a": 0, "b": 0}, []

    def worker(name: str) -> None:
        work, key = rows(name), "ab"[int(name) % 2]
        while taken[key] < TURNS:
            lease = work.claim("sync", key, NOW)
            if lease is None:
                continue
            inside[key] += 1
            seen_together.append(inside[key])
            taken[key] += 1
            inside[key] -= 1
            work.release(lease, 0.0)

    assert side_by_side(*(partial(worker, str(number)) for number in range(THREADS))) == []
    assert set(seen_together) == {1}
    assert sum(taken.values()) == sum(Work.objects.values_list("epoch", flat=True))


def test_labels_and_taints_of_several_people_are_all_kept() -> None:
    """Each is made from what the node has; read before the transaction, the last one to write won."""
    factories.node("n1")

    def label(key: str) -> None:
        for turn in range(TURNS):
            nodes.label("n1", {f"{key}-{turn}": "yes"}, ANN)

    def taint(key: str) -> None:
        for turn in range(TURNS):
            nodes.taint("n1", [{"key": f"{key}-{turn}", "value": "", "effect": "NoSchedule"}], [], ANN)

    people = [partial(body, key) for body in (label, taint) for key in "ab"]
    assert side_by_side(*people) == []
    row, wanted = Node.objects.get(), {f"{key}-{turn}" for key in "ab" for turn in range(TURNS)}
    assert {one["key"] for one in row.taints} == wanted
    assert set(row.labels) >= wanted


def test_transactions_that_touch_each_others_rows_wait_for_each_other() -> None:
    """A node's turn changes a pod and wakes its Deployment, whose turn makes a pod and wakes the node: both pass."""

    def turns(mine: str, other: str) -> None:
        work = rows(mine)
        for number in range(TURNS):
            work.wake("sync", mine)
            lease = work.claim("sync", mine, NOW)
            assert lease is not None
            with work.fenced(lease):
                objects.create([Namespace(name=f"{mine}-{number}")])
                work.wake("sync", other, at=NEVER)
            work.release(lease, None)

    assert side_by_side(lambda: turns("a", "b"), lambda: turns("b", "a")) == []
    assert Namespace.objects.count() == 2 * TURNS


def test_threads_that_live_long_keep_no_connection() -> None:
    """Twice as many as the pool has connections, all of them alive after their call."""
    many = 2 * 16
    all_called = threading.Barrier(many)

    def thread() -> None:
        brief(rows()).wake("sync", "a")
        all_called.wait(timeout=60)

    assert side_by_side(*[thread] * many) == []


def test_a_brief_call_inside_a_transaction_leaves_it_whole() -> None:
    work = brief(rows())
    work.wake("sync", "a")
    lease = work.claim("sync", "a", NOW)
    assert lease is not None
    with work.fenced(lease):
        objects.create([Namespace(name="kept")])
        work.wake("reconcile", "b")
    assert Namespace.objects.get().name == "kept"
    assert work.due(NOW) == [("reconcile", "b")]


def test_two_workloads_never_spend_one_budget_twice() -> None:
    """Their reconciles side by side, each with a pod on a drained node and another one that serves for it: one of the
    two pods may go, whoever is first. Counting and writing are one transaction."""
    far, near = factories.node("far", draining=True, cordoned=True), factories.node("near")
    uids = []
    for name in ("web", "api", "shop"):
        owner = factories.deployment(name, replicas=1, status={})
        current = factories.replica_set(owner, 2, replicas=1)
        for place, node in enumerate((far, near)):
            factories.pod(current, f"{name}-{place}", node=node)
        uids.append(owner.uid)
    factories.budget("all", minAvailable=5, selector={})

    def reconciled(uid: str) -> None:
        work = rows(uid)
        work.wake("reconcile", uid)
        reconcile.run([uid], work, workloads, At(factories.NOW))

    assert side_by_side(*(partial(reconciled, uid) for uid in uids)) == []
    assert Pod.objects.filter(deleted_at__isnull=False).count() == 1
    assert Pod.objects.filter(message__startswith="budget shop/all allows no disruption now: 5 healthy").count() == 2
    assert {row.due_at for row in Work.objects.filter(loop="reconcile", key__in=uids)} >= {factories.NOW + 1}


class At:
    """A clock that stands still."""

    def __init__(self, at: float) -> None:
        self.at = at

    def now(self) -> float:
        return self.at
