"""One canary: what it gets and what it should get, how it compares, what the judge thinks, what happens next and when.

    Deployment.canary, its Strategy, AnalysisRun and AnalysisTick rows, measurements, pods -> CanaryPage

Made from the database alone; the number of queries is the same however many steps, runs, ticks and pods there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Q

from control.models import AnalysisRun, Deployment, Pod, ReplicaSet
from control.selectors import canary_rows as rows_of
from control.selectors.canary_actions import Action, actions, seen_of
from control.selectors.canary_judged import Judged, evidence_words, judged, ticks_of
from control.selectors.canary_metrics import MetricRun, metric_run
from control.selectors.canary_past import Past, of_newest, past_canaries
from control.selectors.canary_steps import Next, StepLine, progress_words, step_lines, what_next
from control.selectors.canary_traffic import Measured, measured
from control.selectors.canary_words import PHASES, Sides, header_words, sides, step_words, sticky_words, weight
from control.selectors.event_lines import EventLine, events_of
from control.selectors.pod_lines import PodLine, pod_lines
from control.selectors.words import Moment, State, commit, sentence
from deployer.core.canary.kept import load_analysis
from deployer.core.canary.values import BACKGROUND, Analyse, CanaryState, Strategy

RUNS = 100
"""Of a workload; the newest."""
PODS = 50
"""Of each side."""


@dataclass(frozen=True, slots=True)
class Side:
    """The pods of one revision. `word`: canary, stable. `more` are not listed."""

    word: str
    revision: int
    commit: str
    images: tuple[str, ...]
    ready: int
    pods: tuple[PodLine, ...]
    more: int


@dataclass(frozen=True, slots=True)
class CanaryPage:
    """`weight` is asked of the routers, `measured` what they did. `why`: it is paused, or was aborted.

    `ended`: what there is to see is of a canary that is over, or none has begun yet. `headers`: who gets to it
    whatever its weight.
    """

    kind: str
    namespace: str
    name: str
    application: str
    names: Sides
    is_blue_green: bool
    state: State
    phase: str
    headline: str
    progress: str
    attempt: int
    weight: str
    basis_points: int
    sticky: str
    headers: tuple[str, ...]
    measured: Measured
    evidence: str
    next: Next
    why: str
    begun: Moment
    ended: Moment
    steps: tuple[StepLine, ...]
    background: str
    judged: tuple[Judged, ...]
    metrics: tuple[MetricRun, ...]
    sides: tuple[Side, ...]
    past: tuple[Past, ...]
    events: tuple[EventLine, ...]
    actions: tuple[Action, ...]
    seen: str

    @property
    def is_under_way(self) -> bool:
        return self.phase in rows_of.UNDER_WAY


def canary_page(namespace: str, name: str, now: float) -> CanaryPage | None:
    """None when there is no such workload, or when it neither has a strategy nor ever had a canary."""
    row = Deployment.objects.select_related("application").filter(namespace=namespace, name=name).first()
    if row is None or not (row.has_strategy or row.canary.get("phase")):
        return None
    state, strategy = rows_of.state_of(row), rows_of.strategies([row])[row.uid]
    sets = {one.template_hash: one for one in row.replica_sets.defer("config")}
    runs = list(rows_of.runs_of(Q(deployment=row)).order_by("-started_at")[:RUNS])
    mine = of_newest(runs, state)
    seen = rows_of.counted([run.uid for run in mine])
    names = sides(strategy)
    judges, metrics = _analyses(mine, seen, names, now)
    return CanaryPage(
        kind=row.kind,
        namespace=namespace,
        name=name,
        application=row.application.name if row.application else "",
        names=names,
        is_blue_green=strategy is not None and strategy.kind == "BlueGreen",
        state=PHASES[state.phase],
        phase=state.phase,
        headline=_headline(strategy, state, names),
        progress=progress_words(strategy, state),
        attempt=state.attempt,
        weight=weight(state.weight),
        basis_points=state.weight,
        sticky=sticky_words(strategy.sticky if strategy else None),
        headers=tuple(header_words(one) for one in state.headers if one.matches),
        measured=_measured(row, strategy, state, sets, names, now),
        evidence=evidence_words({metric: one for run in mine for metric, one in seen.get(run.uid, {}).items()}),
        next=what_next(strategy, state, mine, seen, now),
        why=sentence(state.why),
        begun=Moment(state.started_at, now),
        ended=Moment(state.ended_at, now),
        steps=tuple(step_lines(strategy, state, mine)),
        background=_background(strategy, names),
        judged=judges,
        metrics=metrics,
        sides=tuple(_sides(state, sets, names, now)),
        past=tuple(past_canaries(state, runs, sets, now)),
        events=tuple(events_of(row.kind, namespace, name, now)),
        actions=actions(state) if row.deleted_at is None else (),
        seen=seen_of(state),
    )


def _headline(strategy: Strategy | None, state: CanaryState, names: Sides) -> str:
    """canary at 5 %, step 2 of 5: Paused."""
    word = PHASES[state.phase].word
    if state.phase not in rows_of.UNDER_WAY:
        return f"no {names.new} yet" if not state.phase else f"{names.new} {word.lower()}"
    return f"{names.new} at {weight(state.weight)}, {progress_words(strategy, state)}: {word}"


def _background(strategy: Strategy | None, names: Sides) -> str:
    """What runs beside the steps, and from which on."""
    if strategy is None or strategy.background is None:
        return ""
    return f"{step_words(Analyse(strategy.background), names)}, beside the steps from {strategy.background_from + 1} on"


def _measured(
    row: Deployment, strategy: Strategy | None, state: CanaryState, sets: Mapping[str, ReplicaSet], names: Sides,
    now: float,
) -> Measured:  # fmt: skip
    new = sets.get(state.template_hash)
    return measured(row, strategy, new.revision if new else -1, state.started_at or now, names, state.ended_at or now)


def _analyses(
    runs: Sequence[AnalysisRun], seen: Mapping[str, Mapping[str, rows_of.Counted]],
    names: Sides, now: float,
) -> tuple[tuple[Judged, ...], tuple[MetricRun, ...]]:  # fmt: skip
    """The newest first: it is what is waited for."""
    ticks = ticks_of(run.uid for run in runs)
    judges, metrics = [], []
    for run in reversed(runs):
        analysis = load_analysis(run.spec)
        title = _title(run)
        mine = ticks.get(run.uid, [])
        if analysis.judge is not None:
            judges.append(judged(run, analysis.judge, seen.get(run.uid, {}), mine, title, names, now))
        if analysis.metrics:
            metrics.append(metric_run(run, analysis, mine, title, now))
    return tuple(judges), tuple(metrics)


def _title(run: AnalysisRun) -> str:
    return "beside the steps" if run.step == BACKGROUND else f"step {run.step + 1}"


def _sides(state: CanaryState, sets: Mapping[str, ReplicaSet], names: Sides, now: float) -> list[Side]:
    """The canary's first. One query for the pods of both."""
    found = [
        (word, sets[template])
        for word, template in ((names.new, state.template_hash), (names.old, state.stable_hash))
        if template in sets
    ]
    pods = Pod.objects.filter(replica_set__in=[one for _, one in found]).select_related("node")
    lines = list(pods.defer("spec", "annotations")) if found else []
    return [_side(word, one, [pod for pod in lines if pod.replica_set_id == one.uid], now) for word, one in found]


def _side(word: str, one: ReplicaSet, pods: Sequence[Pod], now: float) -> Side:
    lines = pod_lines(pods, now)
    ready = sum(pod.ready and pod.deleted_at is None for pod in pods)
    images = tuple(sorted(one.images)) or ()
    return Side(word, one.revision, commit(one.commit), images, ready, tuple(lines[:PODS]), max(len(lines) - PODS, 0))
