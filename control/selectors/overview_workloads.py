"""Workloads as the first page shows them: Deployments, and pods that nothing owns."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from django.db.models import Count, Q

from control.models import Deployment, Pod, ReplicaSet
from control.selectors.deployment_facts import TERMINATING, TURN, Facts
from control.selectors.health import health_of_deployment, health_of_pod
from control.selectors.rollouts import in_force
from control.selectors.undo import undo_revision
from control.selectors.words import Moment, State, commit, log, sentence, state_of

TROUBLED = 200


@dataclass(frozen=True, slots=True)
class Bar:
    """Pods of a rollout in percent of those that there should be or are: new ready, new not ready, old."""

    ready: int
    waiting: int
    old: int
    sentence: str

    @property
    def begun(self) -> int:
        return self.ready + self.waiting


@dataclass(frozen=True, slots=True)
class WorkloadLine:
    """`revision`, `commit` and `images` are of what should run now: Git's, or what a pin holds.

    `undo` is the revision that an undo goes to, 0 when there is none. `bar` is there while it rolls.
    """

    kind: str
    namespace: str
    name: str
    state: State
    revision: int
    commit: str
    images: tuple[str, ...]
    ready: int
    desired: int
    message: str
    log_tail: str
    pin: str
    undo: int
    changed: Moment
    bar: Bar | None = None

    @property
    def key(self) -> str:
        """Of its elements in the page."""
        return f"{self.kind.lower()}-{self.namespace}-{self.name}"


@dataclass(frozen=True, slots=True)
class PodCount:
    present: int = 0
    ready: int = 0


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a pod is not ready, and its last log lines."""

    sentence: str = ""
    log_tail: str = ""


def workload_line(row: Deployment, now: float) -> WorkloadLine:
    """One of them, for its own page."""
    of = Q(pk=row.pk)
    (sets, counts), troubles = _sets(of), _troubles(of)
    return _deployment(row, sets[row.uid], counts[row.uid], troubles.get(row.uid, {}), now)


def workload_lines(everything: Iterable[Facts], bare: Iterable[Pod], shown: int, now: float) -> list[WorkloadLine]:
    """At most `shown` of them: rollouts under way first, then the worst. Three queries."""
    first = heapq.nsmallest(shown, everything, key=attrgetter("turn"))
    of = Q(pk__in=[one.uid for one in first])
    (sets, counts), troubles = _sets(of), _troubles(of)
    rows = Deployment.objects.filter(of).defer("annotations", "labels")
    lines = [_deployment(row, sets[row.uid], counts[row.uid], troubles.get(row.uid, {}), now) for row in rows]
    lines += [_pod(row, now) for row in bare]
    return sorted(lines, key=lambda line: (TURN[line.state.tone], line.namespace, line.name, line.kind))[:shown]


def state_of_pod(row: Pod) -> State:
    """Of a bare one."""
    if row.orphaned:
        return State("Orphaned", "warn")
    return TERMINATING if row.deleted_at else state_of(health_of_pod(row))


def _sets(of: Q) -> tuple[dict[str, list[ReplicaSet]], dict[str, dict[str, PodCount]]]:
    """Deployment uid -> its sets; and -> template hash -> pods that are not leaving. One query."""
    sets: dict[str, list[ReplicaSet]] = defaultdict(list)
    counts: dict[str, dict[str, PodCount]] = defaultdict(dict)
    staying = Q(pods__deleted_at=None)
    rows = ReplicaSet.objects.filter(**_owner("deployment", of)).annotate(
        present=Count("pods", filter=staying), up=Count("pods", filter=staying & Q(pods__ready=True))
    )
    for one in rows.defer("spec", "config", "labels", "annotations", "status"):
        sets[one.deployment_id].append(one)
        alike = counts[one.deployment_id].get(one.template_hash, PodCount())
        counts[one.deployment_id][one.template_hash] = PodCount(alike.present + one.present, alike.ready + one.up)
    return sets, counts


def _owner(path: str, of: Q | None) -> dict[str, Any]:
    """A condition on the Deployment that `path` leads to; none for all."""
    return {f"{path}__in": Deployment.objects.filter(of)} if of is not None else {}


def _troubles(of: Q | None = None) -> dict[str, dict[str, Trouble]]:
    """Deployment uid -> template hash -> the worst pod's trouble: one that has last words comes first."""
    columns = ("replica_set__deployment_id", "template_hash", "name", "waiting", "message", "log_tail")
    pods = Pod.objects.filter(replica_set__isnull=False, ready=False, deleted_at=None).exclude(waiting="", message="")
    pods = pods.filter(**_owner("replica_set__deployment", of))
    rows = sorted(pods.order_by("-restarts", "name").values_list(*columns)[:TROUBLED], key=_worst_pod_first)
    found: dict[str, dict[str, Trouble]] = defaultdict(dict)
    for owner, template, name, waiting, message, log_tail in rows:
        said = ": ".join(part for part in (waiting, message) if part)
        found[owner].setdefault(template, Trouble(f"pod {name}: {said}", log_tail))
    return found


def _worst_pod_first(row: Sequence[Any]) -> tuple[bool, bool, str]:
    return (not row[5], not row[3], row[2])


def _deployment(
    row: Deployment,
    sets: Sequence[ReplicaSet],
    counts: Mapping[str, PodCount],
    troubles: Mapping[str, Trouble],
    now: float,
) -> WorkloadLine:
    wanted = in_force(row)
    current = next((one for one in sets if one.template_hash == wanted), None)
    state = state_of(health := health_of_deployment(row)) if row.deleted_at is None else TERMINATING
    desired = 0 if row.deleted_at else row.replicas
    trouble = Trouble() if state.tone == "good" else troubles.get(wanted, Trouble())
    held = wanted != row.live_hash
    tail = str(row.pin.get("log_tail", "")) if held and row.pin.get("automatic") else trouble.log_tail
    return WorkloadLine(
        kind=row.kind,
        namespace=row.namespace,
        name=row.name,
        state=state,
        revision=current.revision if current else 0,
        commit=commit(current.commit if current else row.commit),
        images=_images(row, current, held=held),
        ready=sum(one.ready for one in counts.values()),
        desired=desired,
        message="" if state.tone == "good" or row.deleted_at else _message(health.message, trouble),
        log_tail=log(tail),
        pin=_pin(row) if held else "",
        undo=0 if row.deleted_at else undo_revision(list(sets), wanted),
        changed=Moment(float(row.progress.get("last_progress_at") or row.created_at), now),
        bar=_bar(counts, wanted, desired) if state.tone in ("busy", "bad") else None,
    )


def _message(said: str, trouble: Trouble) -> str:
    """The trouble of a pod is often what the sentence ends with already."""
    cause = trouble.sentence.partition(": ")[2]
    return sentence(said if not cause or cause in said else f"{said}; {trouble.sentence}")


def _images(row: Deployment, current: ReplicaSet | None, *, held: bool) -> tuple[str, ...]:
    if held:
        return tuple(sorted(current.images)) if current else ()
    spec = (row.spec.get("template") or {}).get("spec") or {}
    return tuple(one["image"] for one in spec.get("containers") or ())


def _pin(row: Deployment) -> str:
    pin = row.pin
    skipped = commit(str(pin.get("skipped_commit", ""))) or "another template"
    why = "" if pin.get("automatic") else f" {pin.get('reason', '')}."
    return sentence(
        f"Pinned to revision {pin['revision']}, Git is at {skipped}.{why} A newer commit resumes by itself."
    )


def _bar(counts: Mapping[str, PodCount], wanted: str, desired: int) -> Bar | None:
    """desired 4; 2 new of which 1 is ready, 3 old: of 5 pods 20 % ready, 20 % waiting, 60 % old."""
    new = counts.get(wanted, PodCount())
    old = sum(one.present for template, one in counts.items() if template != wanted)
    whole = max(desired, new.present + old)
    if not whole or (new.ready == desired and not old):
        return None
    said = f"{new.ready} of {desired} new pods ready" + (f", {old} old" if old else "")
    ready, begun = _percent(new.ready, whole), _percent(new.present, whole)
    return Bar(ready, begun - ready, _percent(new.present + old, whole) - begun, said)


def _percent(part: int, whole: int) -> int:
    return round(100 * part / whole)


def _pod(row: Pod, now: float) -> WorkloadLine:
    state = state_of_pod(row)
    said = "" if row.deleted_at or state.tone == "good" else health_of_pod(row).message
    if row.orphaned:
        said = f"found on {row.node}; nothing that Git says owns it"
    return WorkloadLine(
        kind=row.kind,
        namespace=row.namespace,
        name=row.name,
        state=state,
        revision=row.revision,
        commit=commit(row.commit),
        images=tuple(one["image"] for one in row.spec.get("containers") or ()),
        ready=int(row.ready),
        desired=0 if row.deleted_at else 1,
        message=sentence(said),
        log_tail="" if state.tone == "good" else log(row.log_tail),
        pin="",
        undo=0,
        changed=Moment(row.ready_at or row.created_at, now),
    )
