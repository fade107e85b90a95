"""One pass of an analysis: what is to be looked at, and what follows from what was seen.

    Scene (the analysis, who is who, the state of the last pass) -> looks, answers -> passed -> Outcome

Pierhead's own judge and an AnalysisTemplate's metrics go side by side, from the same counters. The worst word counts:
one that failed, erred or cannot say ends the analysis at once; content it is when all are. Beside the steps (a
background analysis) the judge is never content: it watches until the old pods are gone, for failures alone.

Time that nobody looked at has not passed for the judge, be it that the control plane was down or its clock was set: a
warm-up is not over because nobody was there. What the routers counted meanwhile is not lost: it is one look.

Nothing here knows a clock, a router or a record.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from deployer.core.canary import measuring
from deployer.core.canary.counting import Kept, Reading, Sides, counted
from deployer.core.canary.judge import begun, judged
from deployer.core.canary.judge_states import Judged, JudgeState, Tick
from deployer.core.canary.measuring import Answer, History
from deployer.core.canary.traffic import Window
from deployer.core.canary.values import ENDED, Analysis, Judge, Metric, RunPhase, Traffic
from deployer.core.network.measurements import NO_BUCKETS, Counters

GAP_INTERVALS = 3
"""Between two passes; more than this means that nobody looked."""
EARLY_SECONDS = 0.5
"""A pass that is woken so much before its time is one that waits for no other."""
LOOK_SECONDS = 10.0
"""How often routers are looked at for our own metrics, and whoever could not be measured is tried again."""
_PHASES: dict[str, RunPhase] = {
    "running": "Running", "successful": "Successful", "failed": "Failed", "inconclusive": "Inconclusive",
}  # fmt: skip
_WORST_FIRST: tuple[RunPhase, ...] = ("Failed", "Error", "Inconclusive")


@dataclass(frozen=True, slots=True)
class RunState:
    """What the next pass goes on from. JSON by pydantic's `TypeAdapter(RunState)`.

    `began_at`: of the first pass, `looked_at`: of the last one (0: none yet), `next_at`: when the next one is due.
    `windows` and `histories` are by the metrics' names.
    """

    kept: Kept = field(default_factory=Kept)
    judge: JudgeState = field(default_factory=JudgeState)
    windows: Mapping[str, Window] = field(default_factory=dict)
    histories: Mapping[str, History] = field(default_factory=dict)
    began_at: float = 0.0
    looked_at: float = 0.0
    next_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Scene:
    """`backends`: the workload's, in the routers. `before`: what the stable pods answered before the canary, as 16
    counts by latency. `background`: it runs beside the steps."""

    analysis: Analysis
    state: RunState
    sides: Sides
    backends: frozenset[str]
    before: tuple[int, ...] = NO_BUCKETS
    background: bool = False

    @property
    def needs_routers(self) -> bool:
        return self.analysis.judge is not None or any(
            isinstance(one.provider, Traffic) for one in self.analysis.metrics
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that is saved of a pass. `wake_at`: when the next one is due, None when it ended."""

    state: RunState
    ticks: tuple[Tick, ...]
    phase: RunPhase
    message: str
    wake_at: float | None


def due_at(scene: Scene, now: float) -> float:
    """When the next pass is; not after `now` when it is due. A clock that was set back is no reason to wait."""
    state = scene.state
    return state.next_at if state.looked_at <= now and state.next_at > now + EARLY_SECONDS else now


def questions(scene: Scene, now: float) -> tuple[Metric, ...]:
    """The metrics whose providers are to be asked in this pass."""
    state = _caught_up(scene, now)
    return measuring.questions(scene.analysis.metrics, state.histories, state.began_at, now)


def patience_seconds(scene: Scene, metric: Metric) -> float:
    """How long a provider may take: beside a judge no longer than until its next look."""
    asked, judge = metric.provider, scene.analysis.judge
    seconds = LOOK_SECONDS if isinstance(asked, Traffic) else asked.timeout_seconds
    return min(seconds, judge.interval_seconds) if judge is not None else seconds


def passed(scene: Scene, looks: Mapping[str, Counters | None], answers: Mapping[str, Answer], now: float) -> Outcome:
    """`looks`: by the name of each node whose router counts; None where it could not be read. `answers`: by metric."""
    if scene.analysis.problem:
        return Outcome(scene.state, (), "Error", scene.analysis.problem, None)
    state = _caught_up(scene, now)
    kept, reading = counted(state.kept, looks, scene.sides)
    state = replace(state, kept=kept, looked_at=now)
    parts = []
    if scene.analysis.judge is not None:
        parts.append(_judged(scene.analysis.judge, scene, state, reading, now))
        state = parts[-1].state
    if scene.analysis.metrics:
        parts.append(_measured(scene, state, reading, answers, now))
        state = parts[-1].state
    phase = _together([one.phase for one in parts])
    said = [one.message for one in parts if phase in (one.phase, "Running", "Successful")]
    wake_at = min((one.wake_at for one in parts if one.wake_at is not None), default=now + LOOK_SECONDS)
    ticks = tuple(tick for one in parts for tick in one.ticks)
    message = "; ".join(filter(None, said)) or "there is nothing to analyse"
    if phase in ENDED:
        return Outcome(state, ticks, phase, message, None)
    return Outcome(replace(state, next_at=wake_at), ticks, phase, message, wake_at)


def ending(analysis: Analysis, state: RunState, now: float) -> tuple[RunPhase, str]:
    """What a run has found when its steps are over and it is not needed any more. Who never saw anything cannot say."""
    if analysis.metrics:
        found = measuring.standings(analysis.metrics, state.histories, state.began_at, now, ending=True)
        if found.phase != "Successful":
            return found.phase, found.message
    seen = [one.warm + one.sums for one in state.judge.metrics]
    if analysis.judge is not None and not any(one.canary_requests for one in seen):
        return "Inconclusive", "it ended before anybody used the canary"
    return "Successful", "nothing was found against it"


def _judged(judge: Judge, scene: Scene, state: RunState, reading: Reading | None, now: float) -> Outcome:
    settings = replace(judge, max_seconds=math.inf) if scene.background else judge
    before = state.judge if state.judge.started_at else begun(now, scene.before)
    found: Judged = judged(settings, before, reading, now)
    phase = _PHASES[found.verdict]
    if scene.background and phase == "Successful":
        phase = "Running"
    return Outcome(replace(state, judge=found.state), found.ticks, phase, found.message, now + found.next_seconds)


def _measured(
    scene: Scene, state: RunState, reading: Reading | None, answers: Mapping[str, Answer], now: float
) -> Outcome:
    metrics, began_at = scene.analysis.metrics, state.began_at or now
    windows = measuring.opened(metrics, state.windows, reading, began_at, now)
    histories, windows, ticks = measuring.advanced(
        metrics, state.histories, windows, answers, state.judge.bucket, readable=reading is not None,
        began_at=began_at, now=now,
    )  # fmt: skip
    found = measuring.standings(metrics, histories, began_at, now)
    wake_at = max(found.wake_at or now, now + LOOK_SECONDS) if found.due else found.wake_at
    if scene.needs_routers and found.phase not in ENDED:
        wake_at = min(wake_at or math.inf, now + LOOK_SECONDS)
    state = replace(state, began_at=began_at, windows=windows, histories=histories)
    return Outcome(state, ticks, found.phase, found.message or measuring.said(metrics, histories), wake_at)


def _together(phases: list[RunPhase]) -> RunPhase:
    worst = [one for one in _WORST_FIRST if one in phases]
    if worst or not phases:
        return worst[0] if worst else "Inconclusive"
    return "Successful" if all(one == "Successful" for one in phases) else "Running"


def _caught_up(scene: Scene, now: float) -> RunState:
    """The state as if the time since the last pass were one interval, where nobody looked for longer, or where the
    clock was set back. Metrics have times of their own, and only the latter concerns them."""
    state, judge = scene.state, scene.analysis.judge
    gap, interval = now - state.looked_at, judge.interval_seconds if judge is not None else LOOK_SECONDS
    if not state.looked_at or 0 <= gap <= GAP_INTERVALS * interval:
        return state if state.began_at else replace(state, began_at=now)
    lost = gap - interval
    times = replace(state.judge, started_at=state.judge.started_at + lost, read_at=state.judge.read_at + lost)
    state = replace(state, judge=times if state.judge.started_at else state.judge)
    if gap > 0:
        return state
    return replace(
        state, began_at=state.began_at + lost,
        windows={name: replace(one, since=one.since + lost) for name, one in state.windows.items()},
        histories={name: replace(one, finished_at=one.finished_at + lost) for name, one in state.histories.items()},
    )  # fmt: skip
