"""The bulk reads of the safety net."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Iterator

from django.db import transaction

from control.models import Application, Deployment, ImagePolicy, Node, Pod, ReplicaSet, Repository, Work
from control.store import analyses, commit_statuses, draining, incidents, notices, stranded, waking
from control.store.statuses import deployment_status
from control.store.workload_values import snapshot
from control.store.workloads import Loaded, pods_by_owner, resumed
from deployer.core.workloads import values
from deployer.ports import Wake

UNTOLD_SECONDS = 60.0


def load_all(now: float) -> Iterator[Loaded]:
    """Every Deployment with its replica sets and pods, in four queries; one more for each that has a strategy."""
    sets: dict[str, dict[str, ReplicaSet]] = defaultdict(dict)
    for one in ReplicaSet.objects.defer("spec", "config"):
        sets[one.deployment_id][one.uid] = one
    pods = pods_by_owner(Pod.objects.filter(replica_set__isnull=False), sets, now)
    runs = analyses.runs_of_all()
    for row in Deployment.objects.order_by("namespace", "name"):
        mine = sets.get(row.uid, {})
        seen = snapshot(row, mine.values(), pods.get(row.uid, ()), now, runs.get(row.uid, ()))
        yield Loaded(row, mine, seen)


def settled(loaded: Loaded, plan: values.Plan) -> bool:
    row = loaded.row
    if plan.moves or plan.rollback or resumed(row):
        return False
    status = deployment_status(row.status, plan, loaded.snapshot.now)
    return bool(dataclasses.asdict(plan.progress) == row.progress and status == row.status)


def keys_without_work() -> Iterable[tuple[str, str]]:
    """Keys that should have a work row and have none: a database that was restored or edited by hand.

    Of analyses also those that are not due at any time.
    """
    have = set(Work.objects.values_list("loop", "key"))
    should = [("converge", uid) for uid in Node.objects.values_list("uid", flat=True)]
    should += [("route", uid) for _, uid in should]
    should += [("poll", uid) for uid in Repository.objects.values_list("uid", flat=True)]
    should += [("sync", uid) for uid in Application.objects.filter(deleted_at=None).values_list("uid", flat=True)]
    policies = ImagePolicy.objects.order_by().values_list("deployment", flat=True).distinct()
    should += [("images", uid) for uid in policies]
    should += [(incidents.LOOP, uid) for uid in incidents.subjects_to_watch()]
    return [*(key for key in should if key not in have), *((analyses.LOOP, uid) for uid in analyses.unwoken())]


def untold(now: float) -> list[tuple[str, str]]:
    """Channels with notices, and applications with statuses of commits, that nobody came for."""
    found = [(incidents.NOTIFY, uid) for uid in notices.waiting_channels(now - UNTOLD_SECONDS)]
    return [*found, *(("status", uid) for uid in commit_statuses.waiting(now))]


def overdue(wake: Wake, now: float) -> None:
    """Bare pods, which no reconcile looks after: on dead nodes, and on those that are drained. And all pods of nodes
    that evict."""
    with transaction.atomic():
        stranded.overdue(wake, now)
    for node in Node.objects.filter(draining=True, ready=True).order_by("uid").values_list("uid", flat=True):
        wake(draining.LOOP, node)
    waking.wake_evictions(wake)


def has_pending_pods() -> bool:
    return Pod.objects.filter(node=None, deleted_at=None, orphaned=False).exists()
