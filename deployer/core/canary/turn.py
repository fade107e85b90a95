"""One look at a canary: whether it begins, goes on, is promoted, is aborted or superseded.

    "" -> Progressing <-> Paused -> Promoting -> Completed
              \\_____________/________/ -> Aborting -> Aborted      (a retry: Progressing again)

It is Aborting while routers still may send the canary requests: its weight is 0 at once, and its pods stay until all
routers that count have that, or RELEASED_AFTER_SECONDS have passed. Only then does the workload go `back`. A newer
template ends a canary the same way before its own begins, because routers know one canary of a workload at a time.

Without steps come: the first revision, one that was healthy before, one that is held by a pin. Those are Completed
from the start, and what follows is an ordinary rolling update. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from deployer.core.canary import steps
from deployer.core.canary.kept import steps_hash
from deployer.core.canary.steps import Counts
from deployer.core.canary.values import BACKGROUND, WHOLE, CanaryState, EndedRun, NewRun, Run, Strategy

RELEASED_AFTER_SECONDS = 15.0
"""As `control.store.leaving`: nobody waits longer for a router."""


@dataclass(frozen=True, slots=True)
class Scene:
    """`template_hash` is in force; `pinned`: by a pin. `stable_hash` is what a canary that begins now is compared with,
    `skip` why it needs no steps ("" when it does).

    `counts` are of the canary in `state`. `suffices`: the stable pods alone are as many as there must be. `crash` is
    the sentence about a container of the canary that fell over, with the last lines that it wrote. `words` name the
    revision in force, "revision 3 (commit abc1234)". `alone`: no other revision has pods. `orphan`: there is
    no stable revision any more. `routers_at` is the version
    that all routers have, None when none counts.
    """

    workload: str
    strategy: Strategy
    state: CanaryState
    template_hash: str
    desired: int
    counts: Counts
    now: float
    stable_hash: str = ""
    skip: str = ""
    pinned: bool = False
    paused: bool = False
    suffices: bool = True
    runs: tuple[Run, ...] = ()
    routers_at: int | None = None
    crash: str = ""
    log_tail: str = ""
    words: str = "the new revision"
    alone: bool = False
    orphan: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """An event."""

    reason: str
    message: str
    type: Literal["Normal", "Warning"] = "Normal"


@dataclass(frozen=True, slots=True)
class Turn:
    """What follows. `back`: the workload goes back to `state.stable_hash` now. `doomed`: the revision whose pods all
    go now. `waits_for` as in `steps.Walk`, and "routers"."""

    state: CanaryState
    waits_for: str = ""
    begin: tuple[NewRun, ...] = ()
    end: tuple[EndedRun, ...] = ()
    said: tuple[Said, ...] = ()
    back: bool = False
    doomed: str = ""
    wake_at: float | None = None
    changed: bool = False


def turn(scene: Scene) -> Turn:
    found = _turn(scene)
    return replace(found, end=_ended(scene, found.state), changed=found.state != scene.state)


def _turn(scene: Scene) -> Turn:
    state = scene.state
    is_held = state.phase == "Aborted" and scene.pinned and scene.template_hash == state.stable_hash
    if state.template_hash != scene.template_hash and not is_held:
        return _another(scene)
    match state.phase:
        case "Progressing" | "Paused":
            return _under_way(scene)
        case "Promoting":
            return _promoting(scene, state)
        case "Aborting":
            return _aborting(scene)
        case "Aborted":
            return _aborted(scene)
        case _:
            return Turn(state)


def _another(scene: Scene) -> Turn:
    """Another template is in force than the state's."""
    state = scene.state
    is_open = state.phase in ("Progressing", "Paused")
    if scene.paused:
        return _under_way(scene) if is_open else Turn(state)
    if is_open and (state.weight or state.headers):
        why = f"superseded by {scene.words}"
        said = Said("CanarySuperseded", f"the canary ends, its traffic first: it is {why}")
        return _to_zero(scene, state, why, "", said=said)
    if state.phase == "Aborting" and not is_acknowledged(state, scene.routers_at, scene.now):
        return _waiting_for_routers(state)
    return _beginning(scene)


def _beginning(scene: Scene) -> Turn:
    old, now = scene.state, scene.now
    attempt = 1 + max((run.attempt for run in scene.runs if run.template_hash == scene.template_hash), default=0)
    made = CanaryState(
        template_hash=scene.template_hash, stable_hash=scene.stable_hash, attempt=attempt, started_at=now, step_at=now,
        steps_hash=steps_hash(scene.strategy),
    )  # fmt: skip
    gone = old.template_hash if old.phase in ("Progressing", "Paused", "Aborting", "Aborted") else ""
    doomed = gone if gone not in (scene.template_hash, scene.stable_hash) else ""
    if scene.skip:
        said = Said("CanarySkipped", f"{scene.words} comes in without the steps of a canary: {scene.skip}")
        done = replace(made, phase="Completed", why=scene.skip, ended_at=now)
        return Turn(done, doomed=doomed, said=() if scene.alone else (said,))
    count = len(scene.strategy.steps)
    how = f"of {count} step{'' if count == 1 else 's'}" if count else "without steps: it replaces the old pods"
    said = Said("CanaryStarted", f"{scene.words} begins as a canary {how}")
    return Turn(replace(made, phase="Progressing"), "pods", said=(said,), doomed=doomed)


def whole(template_hash: str, why: str, now: float) -> CanaryState:
    """A revision that comes in without steps."""
    return CanaryState(
        template_hash=template_hash, phase="Completed", attempt=1, why=why, started_at=now, step_at=now, ended_at=now
    )


def _under_way(scene: Scene) -> Turn:
    if scene.crash:
        return aborted(scene, scene.state, scene.crash, scene.log_tail)
    state, said = _rewritten(scene)
    runs = _own_runs(scene, state)
    frozen = scene.paused or state.template_hash != scene.template_hash
    found = steps.walk(
        scene.strategy, state, scene.counts, scene.desired, runs, scene.workload, scene.now, frozen=frozen
    )
    if found.failed:
        return aborted(scene, found.state, found.failed, scene.log_tail)
    said += tuple(_step_said(scene.strategy, number) for number in found.done)
    after = found.state
    if after.phase == "Paused" and state.phase != "Paused" and found.waits_for != "time":
        said += (Said("CanaryPaused", f"paused at {step_words(scene.strategy, after)}: {after.why}"),)
    if not found.waits_for or scene.orphan:
        promoting = promoted(after, scene.strategy, scene.now)
        over = Said("CanaryPromoted", f"all steps of the canary are over: {scene.words} replaces the old pods")
        again = _promoting(scene, promoting)
        return replace(again, said=(*said, over, *again.said))
    return Turn(after, found.waits_for, found.begin, said=said, wake_at=found.wake_at)


def _own_runs(scene: Scene, state: CanaryState) -> dict[str, Run]:
    return {run.name: run for run in scene.runs if (run.template_hash, run.attempt) == _identity(state)}


def _identity(state: CanaryState) -> tuple[str, int]:
    return state.template_hash, state.attempt


def _rewritten(scene: Scene) -> tuple[CanaryState, tuple[Said, ...]]:
    """Steps that were written anew for the same template hold from the same number on, if there is such a step."""
    state, strategy = scene.state, scene.strategy
    fresh = steps_hash(strategy)
    if state.steps_hash == fresh or state.template_hash != scene.template_hash:
        return state, ()
    changed = replace(state, steps_hash=fresh, changes=state.changes + 1, gone_on=-1)
    if changed.paused_by in (steps.BY_STEP, steps.BY_ANALYSIS):
        changed = steps.going(changed)
    if state.step < len(strategy.steps):
        where = f"the canary goes on at {step_words(strategy, changed)}"
    else:
        changed = replace(changed, step=0, step_at=scene.now)
        where = f"there is no step {state.step + 1} any more, so the canary starts over"
    return changed, (Said("StepsChanged", f"the steps were written anew: {where}"),)


def promoted(state: CanaryState, strategy: Strategy, now: float) -> CanaryState:
    """Past all steps."""
    return replace(steps.going(state), phase="Promoting", step=len(strategy.steps), step_at=now, scale=None)


def _promoting(scene: Scene, state: CanaryState) -> Turn:
    """The weight follows the pods and never falls below what it was; blue-green: all at once, then the old ones stay
    for a while. What runs beside the steps goes on until the old pods are gone."""
    if state.aborted_by:  # a person asked for it: see `commands.abort`
        return aborted(scene, state, state.why, by=state.aborted_by)
    runs = _own_runs(scene, state)
    if failed := steps.failed(runs) if _is_watched(scene.strategy, state) else "":
        return aborted(scene, state, failed, scene.log_tail)
    begin = steps.beside(scene.strategy, state, scene.counts, runs, scene.workload) if scene.desired else ()
    return replace(_replacing(scene, state), begin=begin)


def _is_watched(strategy: Strategy, state: CanaryState) -> bool:
    """Not when a person skipped all that was left of the steps: see `commands.promote`."""
    return strategy.background is not None and state.gone_on != state.step


def _replacing(scene: Scene, state: CanaryState) -> Turn:
    counts, strategy = scene.counts, scene.strategy
    is_whole = counts.trusted >= scene.desired
    if not counts.available or not scene.desired:
        weight = 0
    elif strategy.kind == "BlueGreen":
        weight = WHOLE if is_whole else state.weight
    else:
        weight = max(state.weight, counts.available * WHOLE // max(1, counts.everybody))
    if strategy.kind == "BlueGreen" and weight == WHOLE != state.weight:
        state = replace(state, step_at=scene.now)  # from now on the old pods only stay in case they are needed
    state = replace(state, weight=weight)
    if scene.desired and is_whole and (at := old_pods_until(state, strategy)) is not None and at > scene.now:
        return Turn(state, "time", wake_at=at)
    return Turn(state)


def old_pods_until(state: CanaryState, strategy: Strategy) -> float | None:
    """Blue-green: how long the old pods stay while it is promoted; None in a canary, which replaces them one by one."""
    if strategy.kind != "BlueGreen" or state.phase != "Promoting":
        return None
    return state.step_at + strategy.scale_down_delay_seconds


def completed(scene: Scene, found: Turn) -> Turn:
    """Everybody is served by it: there is nothing to split."""
    done = replace(found.state, phase="Completed", weight=0, scale=None, headers=(), ended_at=scene.now)
    return replace(found, state=done, begin=(), end=_ended(scene, done), changed=True)


def aborted(scene: Scene, state: CanaryState, why: str, log_tail: str = "", by: str = "") -> Turn:
    """It goes back. While it replaces old pods that are too few by now to serve everybody, traffic follows the pods."""
    said = Said("RolloutAborted", f"the canary is aborted: {why}", "Warning")
    if state.phase == "Promoting" and not scene.suffices:
        ended = replace(steps.going(state), phase="Aborted", why=why, log_tail=log_tail, aborted_by=by,
                        ended_at=scene.now, headers=())  # fmt: skip
        return Turn(ended, back=True, said=(said,), end=_ended(scene, ended), changed=True)
    return _to_zero(scene, state, why, log_tail, by, said)


def _to_zero(scene: Scene, state: CanaryState, why: str, log_tail: str, by: str = "", said: Said | None = None) -> Turn:
    zero = to_zero(state, why, scene.now, log_tail, by)
    found = replace(_waiting_for_routers(zero), said=(said,) if said else ())
    return replace(found, end=_ended(scene, zero), changed=True)


def to_zero(state: CanaryState, why: str, now: float, log_tail: str = "", by: str = "") -> CanaryState:
    """No traffic from now on."""
    return replace(
        steps.going(state), phase="Aborting", weight=0, headers=(), why=why, log_tail=log_tail, aborted_by=by,
        ended_at=now, zero_version=0,
    )  # fmt: skip


def _waiting_for_routers(state: CanaryState) -> Turn:
    return Turn(state, "routers", wake_at=state.ended_at + RELEASED_AFTER_SECONDS)


def is_acknowledged(state: CanaryState, routers_at: int | None, now: float) -> bool:
    """All routers that count send it nothing any more, or they were waited for long enough."""
    if routers_at is None or now >= state.ended_at + RELEASED_AFTER_SECONDS:
        return True
    return 0 < state.zero_version <= routers_at


def _aborting(scene: Scene) -> Turn:
    state = scene.state
    if not is_acknowledged(state, scene.routers_at, scene.now):
        return _waiting_for_routers(state)
    return Turn(replace(state, phase="Aborted"), back=True)


def _aborted(scene: Scene) -> Turn:
    """What traffic it still has is what the stable pods cannot carry yet."""
    state, counts = scene.state, scene.counts
    weight = 0
    if state.weight and counts.available and not scene.suffices:
        weight = min(state.weight, counts.available * WHOLE // max(1, counts.everybody))
    until = pods_until(state, scene.strategy)
    return Turn(replace(state, weight=weight), wake_at=until if until > scene.now else None)


def pods_until(state: CanaryState, strategy: Strategy) -> float:
    """How long the pods of an aborted canary stay, without traffic."""
    return state.ended_at + strategy.abort_scale_down_delay_seconds


def _ended(scene: Scene, after: CanaryState) -> tuple[EndedRun, ...]:
    """Analyses that still run although nobody waits for them."""
    needed = set()
    if after.phase in ("Progressing", "Paused"):
        needed = {steps.run_name(scene.workload, after, step) for step in (after.step, BACKGROUND)}
    elif after.phase == "Promoting" and _is_watched(scene.strategy, after):
        needed = {steps.run_name(scene.workload, after, BACKGROUND)}
    running = steps.unended({run.name: run for run in scene.runs})
    found = {run.name: run for run in scene.runs}
    return tuple(_end(found[name], after) for name in running if name not in needed)


def _end(run: Run, after: CanaryState) -> EndedRun:
    is_over = after.phase in ("Promoting", "Completed") and run.template_hash == after.template_hash
    if run.step == BACKGROUND and is_over:
        return EndedRun(run.name, "all steps of the canary are over", "Successful")
    if (run.template_hash, run.attempt) == _identity(after) and after.phase in ("Progressing", "Paused", "Promoting"):
        return EndedRun(run.name, "its step is over")
    return EndedRun(run.name, f"the canary ended: {after.why}" if after.why else "the canary ended")


def _step_said(strategy: Strategy, number: int) -> Said:
    what = steps.described(strategy.steps[number])
    return Said("RolloutStepCompleted", f"step {number + 1} of {len(strategy.steps)} is done: {what}")


def step_words(strategy: Strategy, state: CanaryState) -> str:
    """ "step 2 of 5 (pause 10m)"."""
    step = steps.step_of(strategy, state.step)
    what = f" ({steps.described(step)})" if step is not None else ""
    return f"step {min(state.step + 1, len(strategy.steps))} of {len(strategy.steps)}{what}"
