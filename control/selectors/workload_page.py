"""One Deployment or Rollout: revisions, the rollout as it happens, pods by node, events, what its services answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from control.models import Deployment, Node, Pod, Service
from control.selectors.canary_lines import CanaryLine, canary_line
from control.selectors.event_lines import EventLine, events_of
from control.selectors.image_policies import ImageLine, image_lines
from control.selectors.narrowing import page_of
from control.selectors.overview_workloads import WorkloadLine, workload_line
from control.selectors.plots import Plot, traffic_plots
from control.selectors.pod_lines import PodLine, pod_lines
from control.selectors.pods import seconds_of
from control.selectors.rollouts import in_force, rollout_state
from control.selectors.undo import Choice, UndoQuestion, undo_question
from control.selectors.use_plots import workload_plots
from control.selectors.words import Moment, sentence

ANNOTATION = "pierhead.io/image-policy"
PODS = 50
_NO_NODE = "not placed yet"


@dataclass(frozen=True, slots=True)
class Berth:
    """A node, and the workload's pods there: those of the revision that should run, and others."""

    node: str
    is_seen: bool
    new: tuple[PodLine, ...]
    old: tuple[PodLine, ...]


@dataclass(frozen=True, slots=True)
class WorkloadPage:
    """`sentence`: what the rollout waits for, "" when it is done. `paused`: by whom, "" when it is not.

    `canary`: the newest one, under way or ended; `has_canaries`: its new revisions come in step by step. `pods`: page
    `number` of `pages`.
    """

    line: WorkloadLine
    canary: CanaryLine | None
    has_canaries: bool
    sentence: str
    failure: str
    paused: str
    can_resume: bool
    replicas: int
    scaled: str
    application: str
    revisions: tuple[Choice, ...]
    current: int
    berths: tuple[Berth, ...]
    pods: tuple[PodLine, ...]
    number: int
    pages: int
    events: tuple[EventLine, ...]
    plots: tuple[Plot, ...]
    conditions: tuple[tuple[str, str, str, Moment], ...]
    images: tuple[ImageLine, ...]


def workload_page(namespace: str, name: str, now: float, number: int = 1) -> WorkloadPage | None:
    """None when there is none. About twenty queries, however many pods it has. `number`: the page of them."""
    row = Deployment.objects.select_related("application").filter(namespace=namespace, name=name).first()
    if row is None:
        return None
    wanted = in_force(row)
    sets = {one.uid: one for one in row.replica_sets.defer("config", "spec")}
    found = list(Pod.objects.filter(replica_set__in=sets).select_related("node").defer("spec", "annotations"))
    lines = pod_lines(found, now)
    shown, number, pages = page_of(lines, number, PODS)
    current = next((one.revision for one in sets.values() if one.template_hash == wanted), 0)
    question = undo_question(namespace, name, now)
    state = rollout_state(row, now)
    return WorkloadPage(
        line=workload_line(row, now),
        canary=canary_line(row, now),
        has_canaries=row.has_strategy,
        sentence="" if state.done else sentence(state.sentence),
        failure=sentence(state.failure),
        paused=_paused(row),
        can_resume=row.paused,
        replicas=row.replicas,
        scaled=_scaled(row),
        application=row.application.name if row.application else "",
        revisions=_revisions(question),
        current=current,
        berths=tuple(_berths(lines, current)),
        pods=tuple(shown),
        number=number,
        pages=pages,
        events=tuple(events_of(row.kind, namespace, name, now, owns=("Pod", "ReplicaSet"))),
        plots=(*traffic_plots(namespace, _services(row), now), *workload_plots(namespace, name, now)),
        conditions=tuple(_conditions(row, now)),
        images=tuple(image_lines(now, namespace=namespace, workload=name)) if ANNOTATION in row.annotations else (),
    )


def _revisions(question: UndoQuestion | None) -> tuple[Choice, ...]:
    """The one in force first."""
    if question is None:
        return ()
    return (question.current, *question.choices) if question.current else question.choices


def _paused(row: Deployment) -> str:
    if row.paused:
        return "by rollout pause"
    return "by its manifest (spec.paused)" if row.spec.get("paused") else ""


def _scaled(row: Deployment) -> str:
    """Who set the number of replicas, "" when it was Git."""
    if not row.is_scaled:
        return ""
    said = f"scaled to {row.scale['replicas']} by {row.scale['by']}; Git asks for {row.scale['instead_of']}"
    return sentence(f"{said}, and has its way again when it asks for another number")


def _berths(lines: Iterable[PodLine], current: int) -> Iterable[Berth]:
    """Every node that has pods of it, those that are seen first."""
    by_node: dict[str, list[PodLine]] = defaultdict(list)
    for line in lines:
        by_node[line.node].append(line)
    seen = dict(Node.objects.filter(name__in=by_node).values_list("name", "ready"))
    for node in sorted(by_node, key=lambda name: (name == "", not seen.get(name, False), name)):
        there = sorted(by_node[node], key=lambda line: line.name)
        new = tuple(line for line in there if line.revision == current)
        yield Berth(node or _NO_NODE, seen.get(node, node == ""), new, tuple(set(there) - set(new)))


def _services(row: Deployment) -> Sequence[str]:
    """Services of the namespace that select its pods."""
    labels = (((row.spec.get("template") or {}).get("metadata") or {}).get("labels")) or {}
    found = Service.objects.filter(namespace=row.namespace, deleted_at=None).order_by("name").only("name", "spec")
    return [one.name for one in found if (selector := one.spec.get("selector")) and selector.items() <= labels.items()]


def _conditions(row: Deployment, now: float) -> Iterable[tuple[str, str, str, Moment]]:
    """(type, status, words, since)."""
    for one in row.status.get("conditions") or ():
        words = sentence(": ".join(part for part in (one.get("reason", ""), one.get("message", "")) if part))
        yield one["type"], one["status"], words, Moment(seconds_of(one.get("lastTransitionTime", "")), now)
