"""What people may do with a canary: promote, go on, skip a step, pause, abort, try again. Pure transitions.

Each answers the state to keep; the next pass acts on it. Each refuses what makes no sense now, in a sentence with what
is going on. Words are Argo Rollouts'.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from deployer.core.canary import steps, turn
from deployer.core.canary.kept import steps_hash
from deployer.core.canary.values import CanaryState, Pause, Strategy


class CommandRefused(Exception):
    """`sentence` says why not, and what is going on."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Asked:
    """`live_hash` is the template that Git asks for, `who` the person's name."""

    state: CanaryState
    strategy: Strategy | None
    live_hash: str
    who: str
    now: float


def promote(asked: Asked) -> CanaryState:
    """Skip all steps that are left: the canary replaces the old pods now, and nothing is analysed any more."""
    state, strategy = _under_way(asked)
    return replace(turn.promoted(state, strategy, asked.now), gone_on=len(strategy.steps))


def resume(asked: Asked) -> CanaryState:
    """Go on: past a pause of the steps, after an analysis that could not decide, after a person's pause."""
    state, strategy = _under_way(asked)
    if state.phase != "Paused":
        raise CommandRefused(f"it is not paused: {_going_on(asked)}")
    waived = (*state.waived, state.paused_run) if state.paused_run else state.waived
    is_untimed = isinstance(step := steps.step_of(strategy, state.step), Pause) and step.seconds is None
    goes_past = state.paused_by == steps.BY_STEP or (is_untimed and state.paused_by != steps.BY_ANALYSIS)
    gone_on = state.step if goes_past else state.gone_on
    return replace(steps.going(state), gone_on=gone_on, waived=waived)


def skip(asked: Asked) -> CanaryState:
    """The current step is over, whatever it waits for."""
    state, strategy = _under_way(asked)
    if state.step + 1 >= len(strategy.steps):
        return turn.promoted(state, strategy, asked.now)
    waived = (*state.waived, state.paused_run) if state.paused_run else state.waived
    return replace(steps.going(state), step=state.step + 1, step_at=asked.now, waived=waived)


def pause(asked: Asked) -> CanaryState:
    """It stays where it is, with the traffic that it has, until a person goes on."""
    state, strategy = _under_way(asked)
    if steps.waits_for_person(state, strategy):
        raise CommandRefused(f"it is paused already: {_going_on(asked)}")
    return steps.paused(state, _name(asked.who), f"{asked.who} paused it", asked.now)


def abort(asked: Asked) -> CanaryState:
    """No traffic from now on; its pods go when no router sends it any more, and the commit is skipped."""
    state = asked.state
    if not state.is_under_way or state.aborted_by:
        raise CommandRefused(f"there is no canary to abort: {_going_on(asked)}")
    if state.phase == "Promoting":  # how fast, the next pass knows: stable pods may be few by now
        return replace(state, aborted_by=asked.who, why=f"{asked.who} aborted it")
    return turn.to_zero(state, f"{asked.who} aborted it", asked.now, by=asked.who)


def retry(asked: Asked) -> CanaryState:
    """An aborted canary begins anew, from its first step."""
    state = asked.state
    if state.phase != "Aborted":
        raise CommandRefused(f"there is no aborted canary to try again: {_going_on(asked)}")
    if state.template_hash != asked.live_hash:
        raise CommandRefused("Git asks for another template by now than that of the aborted canary")
    return again(state, asked.strategy, asked.now)


def again(state: CanaryState, strategy: Strategy | None, now: float) -> CanaryState:
    """The next attempt of the same canary."""
    return CanaryState(
        template_hash=state.template_hash, stable_hash=state.stable_hash, phase="Progressing",
        attempt=state.attempt + 1, step_at=now, started_at=now,
        steps_hash=steps_hash(strategy) if strategy is not None else state.steps_hash,
    )  # fmt: skip


VERBS: dict[str, Callable[[Asked], CanaryState]] = {
    "promote": promote, "resume": resume, "skip": skip, "pause": pause, "abort": abort, "retry": retry,
}  # fmt: skip


def _under_way(asked: Asked) -> tuple[CanaryState, Strategy]:
    state, strategy = asked.state, asked.strategy
    if strategy is None or state.phase not in ("Progressing", "Paused"):
        raise CommandRefused(f"no canary is in its steps: {_going_on(asked)}")
    return state, strategy


def _going_on(asked: Asked) -> str:
    return going_on(asked.state, asked.strategy)


def going_on(state: CanaryState, strategy: Strategy | None) -> str:
    """What is going on, as half a sentence."""
    if strategy is None:
        return "new revisions come in by a rolling update, without steps"
    match state.phase:
        case "Progressing" | "Paused":
            why = f", paused: {state.why}" if state.phase == "Paused" else ""
            return f"it is at {turn.step_words(strategy, state)} with {steps.percent(state.weight)} of the traffic{why}"
        case "Promoting":
            return "its steps are over and it replaces the old pods"
        case "Aborting":
            return f"it is being aborted: {state.why}"
        case "Aborted":
            return f"it was aborted: {state.why}"
        case "Completed":
            return "the newest revision came in whole"
        case _:
            return "no revision has come in yet"


def _name(who: str) -> str:
    """A person may be called as a reason is."""
    return f"user {who}" if who in ("", steps.BY_STEP, steps.BY_ANALYSIS) else who
