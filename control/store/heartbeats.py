"""What the heartbeat concludes about nodes, as rows, and what follows for their pods.

    serving -> not serving    its pods are not ready, as far as anybody can tell; routers leave them out
    -> dead, evicting         its pods are replaced elsewhere (`workloads.py` counts them out, `stranded.py` bare ones)
    -> seen again             its containers are read before anything is placed there; what is too much there goes

Every write is guarded by the state that was concluded from: two watchers that conclude the same write it once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from control.models import Node, Pod
from control.store import incidents, objects, stranded, waking
from control.store.leaving import wake_released
from deployer.core.heartbeat import Pulse
from deployer.core.scheduling.cluster import ZONE
from deployer.core.survival.guards import Verdict
from deployer.core.survival.judge import Host
from deployer.core.survival.states import CUT_OFF, DEAD, READY, RETURNING, SEEN, UNKNOWN, serves
from deployer.ports import Wake

_REASONS = {
    READY: "NodeReady", RETURNING: "NodeReturning", UNKNOWN: "NodeUnknown", CUT_OFF: "NodeCutOff", DEAD: "NodeDead",
}  # fmt: skip


def host(row: Node) -> Host:
    """A node's row as the judge knows it, but for its pulse."""
    return Host(
        uid=row.uid, name=row.name, pulse=Pulse(), state=row.reason or UNKNOWN, message=row.message,
        zone=row.labels.get(ZONE, ""), read_at=row.observed_at, evicting_at=row.evicting_at, held=row.held,
        declared_dead=bool(row.declared_dead_by), witnesses=row.witnesses,
    )  # fmt: skip


@dataclass
class _Outcomes:
    """Nodes by what became of them, to be followed up together: fifty that die at once wake everybody once."""

    unreachable: list[Node] = field(default_factory=list)  # by us
    lost: list[Node] = field(default_factory=list)
    evicted: list[Node] = field(default_factory=list)
    back: list[Node] = field(default_factory=list)
    moved: list[Node] = field(default_factory=list)  # from serving to not, or the other way


def changed(found: Iterable[tuple[Host, Verdict]], wake: Wake, now: float) -> None:
    """What is concluded of hosts as they were. To be called in a fenced transaction."""
    concluded = {before.uid: (before, verdict) for before, verdict in found}
    outcomes = _Outcomes()
    for row in Node.objects.filter(pk__in=list(concluded)).order_by("name"):
        before, verdict = concluded[row.uid]
        if (row.reason or UNKNOWN, row.evicting_at) == (before.state, before.evicting_at):
            _conclude(row, before, verdict, outcomes, wake, now)
    if outcomes.unreachable:
        wake_released(wake)  # nobody waits for their routers any more
    _lose(outcomes.lost)
    stranded.evict(outcomes.evicted, wake, now)
    _return(outcomes.back, wake)
    if outcomes.moved:
        waking.wake_all(wake)
        _wake_owners(outcomes.moved, wake)


def _conclude(row: Node, before: Host, verdict: Verdict, outcomes: _Outcomes, wake: Wake, now: float) -> None:
    was_ready, was_serving, was_evicting = row.ready, serves(row.ready, row.reason), row.evicting_at
    _take_over(row, verdict, now)
    objects.touch("Node", "", row.name)
    is_serving = serves(row.ready, row.reason)
    if row.reason != before.state:
        _tell(row, now)
        wake(incidents.LOOP, row.uid)
    if was_ready and not row.ready:
        outcomes.unreachable.append(row)
    if was_serving and not is_serving:
        outcomes.lost.append(row)
    if row.evicting_at and not was_evicting:
        outcomes.evicted.append(row)
    if row.ready and not was_ready:
        outcomes.back.append(row)
    if (was_ready, was_serving) != (row.ready, is_serving):
        outcomes.moved.append(row)


def seen(nodes: Iterable[str], now: float) -> None:
    Node.objects.filter(pk__among=nodes).update(heartbeat_at=now)


def _take_over(row: Node, verdict: Verdict, now: float) -> None:
    ready = verdict.state in SEEN
    if row.ready != ready:
        row.ready, row.ready_changed_at = ready, now
    if row.reason != verdict.state:
        row.reason, row.reason_changed_at, row.message = verdict.state, now, verdict.message
    if verdict.state == DEAD:
        row.observed_at = 0  # whatever it holds when it is back is read first
    elif ready:
        row.declared_dead_by = ""
    row.evicting_at, row.held, row.witnesses = verdict.evicting_at, verdict.held, dict(verdict.witnesses)
    row.save(update_fields=[
        "ready", "ready_changed_at", "reason", "reason_changed_at", "message", "observed_at", "declared_dead_by",
        "evicting_at", "held", "witnesses",
    ])  # fmt: skip


def _tell(row: Node, now: float) -> None:
    level = "Normal" if row.ready else "Warning"
    message = f"{row.message}; its pods are not replaced yet: {row.held}" if row.held else row.message
    objects.record_event("Node", "", row.name, level, _REASONS[row.reason], message, node=row.name, at=now)


def _lose(rows: Collection[Node]) -> None:
    """What was observed there last does not hold any more. Of pods that were ready, routers have to be told."""
    if rows:
        lost = Pod.objects.filter(node__in=rows, orphaned=False).exclude(settled="", ready=False)
        objects.update_alike(lost.only("uid", "namespace", "name"), settled="", ready=False)


def _return(rows: Collection[Node], wake: Wake) -> None:
    if rows:
        Pod.objects.filter(node__in=rows).update(settled="")
        wake("converge", [row.uid for row in rows])
        wake("schedule", "cluster")
        waking.wake_evictions(wake, [row.uid for row in rows])


def _wake_owners(rows: Collection[Node], wake: Wake) -> None:
    pods = Pod.objects.filter(node__in=rows, orphaned=False).exclude(replica_set=None)
    wake("reconcile", set(pods.values_list("replica_set__deployment_id", flat=True)))
