"""The steps of a canary as a list, and what happens next, when, and whether somebody has to do something."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from control.models import AnalysisRun
from control.selectors.canary_rows import Counted, judged_since
from control.selectors.canary_words import PHASES, Sides, about, analysis_words, sides, span, state_of_run, step_words
from control.selectors.words import Moment, State, sentence
from deployer.core.canary.values import (
    Analyse,
    Analysis,
    CanaryState,
    Judge,
    Pause,
    SetCanaryScale,
    SetHeaderRoute,
    SetWeight,
    Strategy,
)

Ticks = Mapping[str, Mapping[str, Counted]]
"""Run uid -> metric -> what was counted."""
_DONE, _TO_COME = State("Done", "good"), State("To come", "idle")
_LAST = "All pods are of the new revision, one after the other"


@dataclass(frozen=True, slots=True)
class StepLine:
    """`number` counts from 1. `result`: how its analysis is or ended, and `message` its sentence."""

    number: int
    words: str
    state: State
    is_current: bool = False
    result: State | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Next:
    """`sentence` says what is waited for, `until` when it comes to pass by itself (falsy: nobody knows)."""

    sentence: str
    until: Moment
    left: str = ""
    then: str = ""


def step_lines(strategy: Strategy | None, state: CanaryState, runs: Sequence[AnalysisRun]) -> list[StepLine]:
    """Every step and the promotion behind them; nothing when the steps are not known. `runs`: of the newest canary."""
    if strategy is None:
        return []
    by_step = {run.step: run for run in runs}
    names = sides(strategy)
    whole = [step_words(one, names) for one in strategy.steps]
    lines = [_line(number, words, state, by_step.get(number)) for number, words in enumerate(whole)]
    return [*lines, _line(len(whole), _LAST, state, None)]


def progress_words(strategy: Strategy | None, state: CanaryState) -> str:
    """step 2 of 5."""
    if state.phase in ("Promoting", "Completed"):
        return "promotion" if state.phase == "Promoting" else "completed"
    if strategy is None or not strategy.steps:
        return f"step {state.step + 1}"
    return f"step {min(state.step + 1, len(strategy.steps))} of {len(strategy.steps)}"


def what_next(
    strategy: Strategy | None, state: CanaryState, runs: Sequence[AnalysisRun], ticks: Ticks, now: float
) -> Next:
    """In the state it is in. `runs`: of the newest canary."""
    never = Moment(0, now)
    told: dict[str, str] = {
        "": "Nothing is under way. The next change of its template goes through the steps below.",
        "Promoting": "New pods replace the old ones; the weight follows their share.",
        "Completed": "It is done. The next change of its template starts over.",
        "Aborting": "The weight of 0 is on its way to all routers; then the pods of the new revision go.",
        "Aborted": "The commit is skipped. A newer one starts over by itself; Retry tries this one again.",
    }
    if state.phase in told:
        return Next(told[state.phase], never)
    found = replace(_current(strategy, state, runs, ticks, now), then=_then(strategy, state))
    if state.phase != "Paused" or state.paused_by == "step":
        return found
    return Next("It waits for a person to go on or to abort.", never, then=found.then)


def _line(number: int, words: str, state: CanaryState, run: AnalysisRun | None) -> StepLine:
    current = state.step == number and state.phase not in ("", "Completed")
    if state.phase == "Promoting":
        current = words == _LAST
    done = state.phase == "Completed" or (state.phase != "" and number < state.step) or (
        state.phase == "Promoting" and words != _LAST
    )  # fmt: skip
    where = PHASES[state.phase] if current else _DONE if done else _TO_COME
    if not current and not done and state.phase in ("Aborting", "Aborted"):
        where = State("Not reached", "idle")
    result = state_of_run(run.phase) if run else None
    return StepLine(number + 1, words, where, current, result, sentence(run.message) if run else "")


def _then(strategy: Strategy | None, state: CanaryState) -> str:
    if strategy is None or state.phase in ("Aborting", "Aborted"):
        return ""
    coming = strategy.steps[state.step + 1 :]
    return step_words(coming[0], sides(strategy)) if coming else _LAST


def _current(
    strategy: Strategy | None, state: CanaryState, runs: Sequence[AnalysisRun], ticks: Ticks, now: float
) -> Next:
    never = Moment(0, now)
    if strategy is None or state.step >= len(strategy.steps):
        return Next("The next pass moves it on.", never)
    step, names = strategy.steps[state.step], sides(strategy)
    if isinstance(step, Pause):
        if step.seconds is None:
            return Next("It waits until a person goes on.", never)
        return _until("It goes on by itself", state.step_at + step.seconds, now)
    if isinstance(step, Analyse):
        run = next((one for one in runs if one.step == state.step), None)
        return _of_analysis(step.analysis, run, ticks.get(run.uid, {}) if run else {}, now)
    return Next(_of_pods(step, names), never)


def _of_pods(step: SetWeight | SetCanaryScale | SetHeaderRoute, names: Sides) -> str:
    if isinstance(step, SetHeaderRoute):
        return "Routers are told."
    return f"{names.new.capitalize()} pods become ready" + (
        ", then routers are told." if step.kind == "setWeight" else "."
    )


def _of_analysis(analysis: Analysis, run: AnalysisRun | None, seen: Mapping[str, Counted], now: float) -> Next:
    if run is None or not run.started_at:
        return Next("Its analysis begins.", Moment(0, now))
    if analysis.judge is None:
        return Next(f"{analysis_words(analysis)}: it ends with its measurements.", Moment(0, now))
    return _of_judge(analysis.judge, run, seen, now)


def _of_judge(judge: Judge, run: AnalysisRun, seen: Mapping[str, Counted], now: float) -> Next:
    since = judged_since(run)
    soonest, latest = since + judge.min_seconds, since + judge.max_seconds
    missing = max((one.last.missing or 0 for one in seen.values()), default=0)
    if not missing:
        if now < soonest:
            return _until("It goes on when all is well", soonest, now, "at the soonest")
        return _until("It is decided", latest, now, "at the latest")
    needs = f"It needs {about(missing)} more requests to the canary"
    seconds = _seconds_left(judge, seen.values(), since)
    if seconds is not None:
        needs += f", about {span(seconds)} at its present rate"
    if seconds is None or now + seconds > latest:
        return _until(f"{needs}, and may not get them; {_UNDECIDED[judge.on_inconclusive]}", latest, now)
    if now < soonest:
        return _until(f"{needs}, and goes on", soonest, now, "at the soonest")
    return _until(f"{needs}; it is decided", latest, now, "at the latest")


_UNDECIDED = {"pause": "a person decides", "promote": "it goes on all the same", "abort": "it is aborted"}
"""What becomes of a canary of which nobody can say whether it is good."""


def _seconds_left(judge: Judge, seen: Iterable[Counted], since: float) -> float | None:
    """Until the metric that needs most has enough requests, at the rate that it had so far. None: it gets none."""
    found = 0.0
    for one in seen:
        counted = one.last.at - since - (0 if one.is_warm else judge.warmup_seconds)
        if one.last.missing and not one.canary_requests:
            return None
        if one.last.missing:
            found = max(found, one.last.missing * max(counted, judge.interval_seconds) / one.canary_requests)
    return found


def _until(what: str, at: float, now: float, bound: str = "") -> Next:
    left = at - now
    when = f"in {span(left // 5 * 5 or 5)}" if left >= 5 else "any moment now"
    return Next(f"{what} {when}{f' {bound}' if bound and left >= 5 else ''}.", Moment(at, now), left=when)
