"""How far rollouts are, in kubectl's sentences, and what a Deployment's revisions were.

Counted from the pods themselves, against the template in force: Git's, or the one that a pin holds. A rollout that
was rolled back automatically has failed, however well the old revision runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from control.models import AnalysisRun, AnalysisTick, Deployment, Pod, ReplicaSet, Work
from control.selectors import deployment_facts
from control.selectors.pods import Counts, counts_by_set
from deployer.core.canary.kept import load_state
from deployer.core.canary.values import ENDED
from deployer.core.workloads.progress import ABORTED, COMPLETE, FAILED, TIMED_OUT


@dataclass(frozen=True, slots=True)
class RolloutState:
    """`sentence` is kubectl's. `failure` is one sentence, "" unless it failed; `log_tail` the last lines then.

    `trouble` is what a pod of the new revision is waiting for, in words, "" when none is; `evidence` what the newest
    look at a canary said.
    """

    namespace: str
    name: str
    sentence: str
    done: bool = False
    failure: str = ""
    log_tail: str = ""
    trouble: str = ""
    evidence: str = ""

    @property
    def ended(self) -> bool:
        return self.done or bool(self.failure)


@dataclass(frozen=True, slots=True)
class RevisionLine:
    """A line of `rollout history`."""

    revision: int
    commit: str
    state: str
    images: tuple[str, ...]
    created_at: float
    change_cause: str


def rollout_states(rows: Sequence[Deployment], now: float) -> list[RolloutState]:
    """In the order of `rows`; three queries however many they are."""
    owners = {row.uid: row for row in rows}
    sets = list(ReplicaSet.objects.filter(deployment__in=owners).defer("spec", "config"))
    counts = counts_by_set(sets, owners, now)
    return [_state(row, [one for one in sets if one.deployment_id == row.uid], counts, now) for row in rows]


def rollout_state(row: Deployment, now: float) -> RolloutState:
    return rollout_states([row], now)[0]


def in_force(row: Deployment) -> str:
    """The template hash that should run."""
    return deployment_facts.in_force(row.pin, row.live_hash)


def pin_sentence(row: Deployment) -> str:
    """The banner of a pinned Deployment; "" for another."""
    if not row.pin:
        return ""
    pin = row.pin
    skipped = str(pin.get("skipped_commit", ""))[:7] or "another template"
    return (
        f"pinned to revision {pin['revision']}, Git is at {skipped}: {pin.get('reason', '')}. `rollout resume "
        f"{row.kind.lower()}/{row.name} -n {row.namespace}` rolls Git's template out again, and so does a newer commit"
    )


def history(row: Deployment, sets: Iterable[ReplicaSet] | None = None) -> list[RevisionLine]:
    """The oldest first. The current revision's state says so."""
    current = in_force(row)
    found = sorted(sets if sets is not None else row.replica_sets.all(), key=lambda one: (one.revision, one.name))
    return [
        RevisionLine(
            revision=one.revision,
            commit=one.commit,
            state=", ".join([*(["current"] if one.template_hash == current else []), revision_state(one)]),
            images=set_images(one),
            created_at=one.created_at,
            change_cause=one.change_cause or str(_annotations(one).get("kubernetes.io/change-cause", "")),
        )
        for one in found
    ]


def revision_state(one: ReplicaSet) -> str:
    if one.failed:
        return "failed"
    if one.healthy:
        return "healthy"
    return "adopted" if one.adopted else "not complete"


def set_images(one: ReplicaSet) -> tuple[str, ...]:
    spec = (one.spec.get("template") or {}).get("spec") or {}
    return tuple(container["image"] for container in spec.get("containers") or ())


def _state(row: Deployment, sets: list[ReplicaSet], counts: dict[str, Counts], now: float) -> RolloutState:
    wanted = in_force(row)
    new = next((one for one in sets if one.template_hash == wanted), None)
    sentence = _sentence(row, new, {one.uid: counts[one.uid] for one in sets})
    if failed := _failure(row, new, now):
        failure, log_tail = failed
        return RolloutState(row.namespace, row.name, sentence, failure=failure, log_tail=log_tail)
    if not sentence:
        done = f'{row.kind.lower()} "{row.name}" successfully rolled out'
        return RolloutState(row.namespace, row.name, done, done=True)
    trouble = _trouble(new)[0] if new else ""
    evidence = canary_evidence(row) if load_state(row.canary).is_under_way else ""
    return RolloutState(row.namespace, row.name, sentence, trouble=trouble, evidence=evidence)


def _sentence(row: Deployment, new: ReplicaSet | None, counts: dict[str, Counts]) -> str:
    """What is being waited for (kubectl `DeploymentStatusViewer`), "" when nothing is. `counts`: of its sets."""
    title = f'{row.kind.lower()} "{row.name}"'
    if row.deleted_at is not None:
        return f"Waiting for {title} to be deleted..."
    if row.progress.get("observed_generation", 0) < row.generation or new is None:
        if row.paused or row.spec.get("paused"):
            return f"Waiting for {title}, which is paused: `rollout resume` goes on..."
        return f"Waiting for {row.kind.lower()} spec update to be observed..."
    state = load_state(row.canary)
    if (state.is_under_way and state.phase != "Promoting") or state.phase == "Aborting":
        return f"Waiting for {title} rollout to finish: {_progressing(row) or 'its canary begins'}..."
    desired = row.replicas
    mine = counts[new.uid]
    everything = sum(one.present for one in counts.values())
    waiting = f"Waiting for {title} rollout to finish: "
    if mine.present < desired:
        return f"{waiting}{mine.present} out of {desired} new replicas have been updated..."
    if everything > mine.present:
        return f"{waiting}{everything - mine.present} old replicas are pending termination..."
    if mine.available < mine.present:
        return f"{waiting}{mine.available} of {mine.present} updated replicas are available..."
    if row.progress.get("reason") not in (COMPLETE, *FAILED):
        return f"{waiting}{mine.available} of {mine.present} updated replicas are available, and must stay so..."
    return ""


def _failure(row: Deployment, new: ReplicaSet | None, now: float) -> tuple[str, str] | None:
    """(sentence, last log lines) of a rollout that failed."""
    pin, title = row.pin, f'{row.kind.lower()} "{row.name}"'
    if pin and pin.get("skipped_hash") == row.live_hash and (pin.get("automatic") or pin.get("aborted")):
        what = "" if pin.get("aborted") else "was rolled back automatically"
        return f"{title} {what}: {pin.get('reason', '')}".replace(" :", ":"), str(pin.get("log_tail", ""))
    reason = row.progress.get("reason", "")
    if new is not None and reason in FAILED and _settled(row, now):
        trouble, log_tail = _trouble(new)
        what = "exceeded its progress deadline" if reason == TIMED_OUT else f"cannot get on ({reason})"
        if reason == ABORTED:
            return f"{title}: {_progressing(row)}", log_tail
        what = f"{title} {what}: revision {new.revision}"
        return what + (f", {trouble}" if trouble else ""), log_tail
    return None


def canary_evidence(row: Deployment) -> str:
    """What the newest look of an analysis that is going on said: "errors: go on: ...", "" before the first."""
    runs = AnalysisRun.objects.filter(deployment=row).exclude(phase__in=ENDED)
    tick = AnalysisTick.objects.filter(run__in=runs).order_by("-at", "-id").first()
    if tick is None:
        return ""
    return ": ".join(part for part in (tick.metric, tick.verdict, tick.message) if part)


def _progressing(row: Deployment) -> str:
    conditions = row.status.get("conditions") or ()
    return next((str(one["message"]) for one in conditions if one["type"] == "Progressing"), "")


def _settled(row: Deployment, now: float) -> bool:
    """The stored status is of what is asked for now: nobody has a look at it, and none is due."""
    if row.progress.get("observed_generation", 0) < row.generation:
        return False
    work = Work.objects.filter(loop="reconcile", key=row.uid).first()
    return work is None or (work.due_at > now and work.leased_until <= now)


def _trouble(new: ReplicaSet) -> tuple[str, str]:
    """Why a pod of the revision is not ready, in words, and its last log lines. The worst first: it crashed."""
    pods = Pod.objects.filter(replica_set=new, deleted_at=None, ready=False).exclude(waiting="", message="")
    found = sorted(pods, key=lambda pod: (not pod.log_tail, not pod.waiting, pod.name))
    if not found:
        return "", ""
    pod = found[0]
    said = ": ".join(part for part in (pod.waiting, pod.message) if part)
    return f"pod {pod.name}: {said}", pod.log_tail


def _annotations(one: ReplicaSet) -> dict[str, Any]:
    meta = (one.spec.get("template") or {}).get("metadata") or {}
    return meta.get("annotations") or {}
