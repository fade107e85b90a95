"""One pass of an analysis: what is to be looked at, and what follows from what was seen.

    Scene (the analysis, who is who, the state of the last pass) -> looks, answers -> passed -> Outcome

Pierhead's own judge and an AnalysisTemplate's metrics go side by side, from the same counters. The worst word counts:
one that failed ends the analysis at once; content it is when all are. Beside the steps (a background analysis) the
judge is never content: it watches until the steps are over, for failures alone.

Time that nobody looked at has not passed for the judge, be it that the control plane was down or its clock was set: a
warm-up is not over because nobody was there. What the routers counted meanwhile is not lost: it is one look.

Nothing here knows a clock, a router or a record.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from deployer.core.canary.counting import Kept, Reading, Sides, counted
from deployer.core.canary.judge import begun, judged
from deployer.core.canary.judge_states import Judged, JudgeState, Tick
from deployer.core.canary.traffic import Window
from deployer.core.canary.values import Analysis, Judge, RunPhase
from deployer.core.network.measurements import NO_BUCKETS, Counters

GAP_INTERVALS = 3
"""Between two passes; more than this means that nobody looked."""
EARLY_SECONDS = 0.5
"""A pass that is woken so much before its time is one that waits for no other."""
_PHASES: dict[str, RunPhase] = {
    "running": "Running", "successful": "Successful", "failed": "Failed", "inconclusive": "Inconclusive",
}  # fmt: skip
_WORST: tuple[RunPhase, ...] = ("Failed", "Error", "Inconclusive", "Running", "Successful")


@dataclass(frozen=True, slots=True)
class RunState:
    """What the next pass goes on from. JSON by pydantic's `TypeAdapter(RunState)`.

    `looked_at` and `next_at`: of the last pass, and when the next one is due (0: before the first).
    """

    kept: Kept = field(default_factory=Kept)
    judge: JudgeState = field(default_factory=JudgeState)
    windows: Mapping[str, Window] = field(default_factory=dict)
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


def passed(scene: Scene, looks: Mapping[str, Counters | None], now: float) -> Outcome:
    """`looks`: by the name of each node whose router counts; None where it could not be read."""
    state = _caught_up(scene, now)
    kept, reading = counted(state.kept, looks, scene.sides)
    state = replace(state, kept=kept, looked_at=now)
    judge = scene.analysis.judge
    assert judge is not None
    found = _judged(judge, scene, state, reading, now)
    phase = _PHASES[found.verdict]
    if scene.background and phase == "Successful":
        phase = "Running"
    wake_at = now + found.next_seconds
    state = replace(state, judge=found.state, next_at=wake_at)
    return Outcome(state, found.ticks, phase, found.message, wake_at if phase == "Running" else None)


def _judged(judge: Judge, scene: Scene, state: RunState, reading: Reading | None, now: float) -> Judged:
    settings = replace(judge, max_seconds=math.inf) if scene.background else judge
    before = state.judge if state.judge.started_at else begun(now, scene.before)
    return judged(settings, before, reading, now)


def _caught_up(scene: Scene, now: float) -> RunState:
    """The state as if the time since the last pass were one interval, where nobody looked for longer."""
    state, judge = scene.state, scene.analysis.judge
    if not state.looked_at or judge is None:
        return state
    gap = now - state.looked_at
    if 0 <= gap <= GAP_INTERVALS * judge.interval_seconds:
        return state
    lost = gap - judge.interval_seconds
    times = replace(state.judge, started_at=state.judge.started_at + lost, read_at=state.judge.read_at + lost)
    return replace(state, judge=times)
