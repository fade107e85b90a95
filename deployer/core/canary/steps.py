"""The steps of a canary: how far it may go now, how many pods it has by then, and which share of the traffic.

A step is done when what it asks for is there: a weight when enough canary pods are available for it, a scale likewise,
a pause when its time is over or a person goes on, an analysis when it is content. So pods come before traffic; on the
way down the weight goes first. What a step left behind (weight, scale, headers) follows from the steps and the number
of the current one alone, so that steps which were written anew hold at once.

Pure. Nothing here begins, ends or aborts a canary: see `turn.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from deployer.core.canary.values import (
    BACKGROUND,
    ENDED,
    WHOLE,
    Analyse,
    Analysis,
    CanaryState,
    HeaderRoute,
    NewRun,
    Pause,
    Run,
    SetCanaryScale,
    SetHeaderRoute,
    SetWeight,
    Step,
    Strategy,
)

BY_STEP, BY_ANALYSIS = "step", "analysis"


@dataclass(frozen=True, slots=True)
class Counts:
    """Pods now. `available` of the canary, of which `trusted` have stood their trial; `unseen` are on nodes that
    nobody sees; `everybody` are the available pods of all revisions. There is room for at `most` so many."""

    trusted: int = 0
    available: int = 0
    unseen: int = 0
    everybody: int = 0
    most: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Walk:
    """As far as it goes now. `failed` is why it has to go back, "" when it has not. `begin` are analyses to begin.

    `waits_for`: "pods" (they have their deadline), "nodes" that are not seen, "time" (see `wake_at`), "run", "person",
    "replicas" (none are asked for), "" at the end of the steps.
    `done` are the numbers of the steps that are over since.
    """

    state: CanaryState
    waits_for: str = ""
    failed: str = ""
    begin: tuple[NewRun, ...] = ()
    wake_at: float | None = None
    done: tuple[int, ...] = ()


def weight_at(strategy: Strategy, step: int) -> int:
    """What steps up to this one ask for, in basis points."""
    weights = [one.weight for one in strategy.steps[: step + 1] if isinstance(one, SetWeight)]
    return weights[-1] if weights else 0


def scale_at(strategy: Strategy, step: int) -> SetCanaryScale | None:
    """None: as many pods as the weight needs."""
    scales = [one for one in strategy.steps[: step + 1] if isinstance(one, SetCanaryScale)]
    return scales[-1] if scales and (scales[-1].replicas is not None or scales[-1].percent is not None) else None


def headers_at(strategy: Strategy, step: int) -> tuple[HeaderRoute, ...]:
    found: dict[str, HeaderRoute] = {}
    for one in strategy.steps[: step + 1]:
        if isinstance(one, SetHeaderRoute):
            found.pop(one.route.name, None)
            if one.route.matches:
                found[one.route.name] = one.route
    return tuple(found.values())


def size_at(strategy: Strategy, step: int, desired: int) -> int:
    """How many canary pods. Never fewer than one, unless no pod at all is desired.

    3 replicas: 5 % -> 1, 40 % -> 2; 10 replicas: 25 % -> 3
    """
    if desired == 0:
        return 0
    scale = scale_at(strategy, step)
    if scale is not None and scale.replicas is not None:
        return max(1, scale.replicas)
    share = scale.percent * 100 if scale is not None and scale.percent is not None else weight_at(strategy, step)
    return max(1, -(-share * desired // WHOLE))


def weighed(weight: int, goal: int, needed: int, counts: Counts) -> int:
    """The weight to ask for now. None without a pod that can answer; more only when there are pods for it."""
    if not counts.available:
        return 0
    return goal if goal <= weight or counts.trusted >= needed else weight


def run_name(workload: str, state: CanaryState, step: int) -> str:
    """web-7d9f-1-2: the canary's first attempt, step 2. Steps that were written anew are looked at anew."""
    where = "background" if step == BACKGROUND else str(step)
    changed = f"-{state.changes}" if state.changes else ""
    return f"{workload}-{state.template_hash}-{state.attempt}-{where}{changed}"


def waits_for_person(state: CanaryState, strategy: Strategy | None) -> bool:
    """It goes on when a person says so, and not before."""
    if state.phase != "Paused":
        return False
    step = step_of(strategy, state.step)
    return state.paused_by != BY_STEP or not isinstance(step, Pause) or step.seconds is None


def step_of(strategy: Strategy | None, step: int) -> Step | None:
    return strategy.steps[step] if strategy is not None and 0 <= step < len(strategy.steps) else None


def walk(
    strategy: Strategy, state: CanaryState, counts: Counts, desired: int, runs: Mapping[str, Run], workload: str,
    now: float, *, frozen: bool = False,
) -> Walk:  # fmt: skip
    """`state` is Progressing or Paused. `frozen`: the whole workload is paused, so no step is taken; what is bad is
    bad all the same. `runs`: those of this canary by name."""
    if bad := failed(runs):
        return Walk(state, failed=bad)
    if desired == 0:  # nothing to compare: it goes on when there are pods again
        return Walk(_at(strategy, state, 0), "replicas")
    background = runs.get(run_name(workload, state, BACKGROUND))
    undecided = background is not None and background.phase == "Inconclusive" and background.name not in state.waived
    if frozen or undecided or state.paused_by not in ("", BY_STEP, BY_ANALYSIS):
        held, missing = _weighed(strategy, state, counts, desired)
        return Walk(_undecided(held, background, now) if background and undecided else held, missing or "person")
    return _steps(strategy, state, counts, desired, runs, workload, now)


def _steps(
    strategy: Strategy, state: CanaryState, counts: Counts, desired: int, runs: Mapping[str, Run], workload: str,
    now: float,
) -> Walk:  # fmt: skip
    done: list[int] = []
    while True:
        state, missing = _weighed(strategy, state, counts, desired)
        if state.step >= len(strategy.steps):
            return Walk(going(state), done=tuple(done))
        found = _look(strategy.steps[state.step], state, runs, workload, now, missing)
        if found.waits_for:
            begin = (*found.begin, *beside(strategy, found.state, counts, runs, workload))
            return replace(found, done=tuple(done), begin=begin)
        done.append(state.step)
        state = replace(found.state, step=state.step + 1, step_at=now)


def _weighed(strategy: Strategy, state: CanaryState, counts: Counts, desired: int) -> tuple[CanaryState, str]:
    """With the weight that it may have, and what is missing for the step that it is in: "pods", "nodes" or nothing.

    Pods on nodes that nobody sees say nothing, for or against.
    """
    needed = min(size_at(strategy, state.step, desired), counts.most)
    weight = weighed(state.weight, weight_at(strategy, state.step), needed, counts)
    missing = "" if counts.trusted >= needed else "nodes" if counts.trusted + counts.unseen >= needed else "pods"
    return _at(strategy, state, weight), missing


def _at(strategy: Strategy, state: CanaryState, weight: int) -> CanaryState:
    scale, headers = scale_at(strategy, state.step), headers_at(strategy, state.step)
    return replace(state, weight=weight, scale=scale, headers=headers)


def _look(step: Step, state: CanaryState, runs: Mapping[str, Run], workload: str, now: float, missing: str) -> Walk:
    """Whether it is over (`waits_for` "") or what it waits for."""
    match step:
        case SetWeight():
            return Walk(going(state), "" if state.weight == step.weight else missing or "pods")
        case SetCanaryScale():
            return Walk(going(state), missing)
        case Pause():
            return _pausing(step, state, now, missing)
        case Analyse():
            return _analysing(step.analysis, state, runs, workload, now, missing)
        case _:
            return Walk(going(state))


def _pausing(step: Pause, state: CanaryState, now: float, missing: str) -> Walk:
    until = state.step_at + step.seconds if step.seconds is not None else None
    if state.gone_on == state.step or (until is not None and now >= until):
        return Walk(going(state))
    why = "the steps ask for a person to go on" if until is None else f"the steps ask for {lasting(step.seconds or 0)}"
    held = state if state.paused_by == BY_STEP else paused(state, BY_STEP, why, now)
    return Walk(held, missing or ("person" if until is None else "time"), wake_at=until)


def _analysing(
    analysis: Analysis, state: CanaryState, runs: Mapping[str, Run], workload: str, now: float, missing: str
) -> Walk:
    name = run_name(workload, state, state.step)
    run = runs.get(name)
    if run is None:
        new = NewRun(name, state.template_hash, state.attempt, state.step, analysis)
        return Walk(going(state), missing) if missing else Walk(going(state), "run", begin=(new,))
    if run.phase == "Successful" or name in state.waived:
        return Walk(going(state))
    if run.phase == "Inconclusive":
        return Walk(_undecided(state, run, now), missing or "person")
    return Walk(going(state), missing or "run")


def beside(
    strategy: Strategy, state: CanaryState, counts: Counts, runs: Mapping[str, Run], workload: str
) -> tuple[NewRun, ...]:
    """The analysis that runs beside the steps begins when the canary has a pod, and once."""
    name = run_name(workload, state, BACKGROUND)
    if strategy.background is None or state.step < strategy.background_from or name in runs or not counts.trusted:
        return ()
    return (NewRun(name, state.template_hash, state.attempt, BACKGROUND, strategy.background),)


def _undecided(state: CanaryState, run: Run, now: float) -> CanaryState:
    if state.paused_run == run.name:
        return state
    why = f"the analysis {run.name} could not decide" + (f": {run.message}" if run.message else "")
    return replace(paused(state, BY_ANALYSIS, why, now), paused_run=run.name)


def failed(runs: Mapping[str, Run]) -> str:
    """Why it has to go back, "" when no analysis failed."""
    bad = sorted((run.name, run) for run in runs.values() if run.phase in ("Failed", "Error"))
    return bad[0][1].message or f"the analysis {bad[0][0]} ended as {bad[0][1].phase}" if bad else ""


def going(state: CanaryState) -> CanaryState:
    """Not paused any more."""
    return replace(state, phase="Progressing", paused_by="", paused_at=0.0, paused_run="", why="")


def paused(state: CanaryState, by: str, why: str, now: float) -> CanaryState:
    return replace(state, phase="Paused", paused_by=by, paused_at=now, paused_run="", why=why)


def unended(runs: Mapping[str, Run]) -> list[str]:
    return sorted(name for name, run in runs.items() if run.phase not in ENDED)


def lasting(seconds: float) -> str:
    """ "45s", "10m", "2h": as manifests write it."""
    for unit, length in (("h", 3600), ("m", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:g}{unit}"
    return f"{seconds:g}s"


def percent(weight: int) -> str:
    """ "5 %", "0.25 %"."""
    return f"{weight / 100:g} %"


def described(step: Step) -> str:
    """A step in words: "setWeight 5 %", "pause 10m", "analysis"."""
    match step:
        case SetWeight():
            return f"setWeight {percent(step.weight)}"
        case Pause():
            return "pause until a person goes on" if step.seconds is None else f"pause {lasting(step.seconds)}"
        case SetCanaryScale():
            if step.replicas is not None:
                return f"setCanaryScale {step.replicas}"
            return f"setCanaryScale {step.percent} %" if step.percent is not None else "setCanaryScale by weight"
        case SetHeaderRoute():
            return f"setHeaderRoute {step.route.name}"
        case _:
            return "analysis"
