"""What a person can do to a canary in the state it is in, and what would come of it: told before the button."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from control.models import Deployment
from control.selectors import canary_rows as rows_of
from control.selectors.canary_words import Sides, sides, step_words, weight
from control.selectors.words import commit
from deployer.core.canary.values import Analyse, CanaryState, Strategy

RESUME, PAUSE, SKIP, PROMOTE, ABORT, RETRY = "resume", "pause", "skip", "promote", "abort", "retry"
VERBS = (RESUME, PAUSE, SKIP, PROMOTE, ABORT, RETRY)
AT_ONCE = frozenset({RESUME, PAUSE})
"""Pressed on the canary's own page, without a question: each is the other's way back."""
_WORDS = {
    RESUME: "Go on",
    PAUSE: "Pause",
    SKIP: "Skip this step",
    PROMOTE: "Promote fully",
    ABORT: "Abort",
    RETRY: "Retry",
}
_WHEN: dict[str, tuple[str, ...]] = {
    "Progressing": (PAUSE, SKIP, PROMOTE, ABORT),
    "Paused": (RESUME, SKIP, PROMOTE, ABORT),
    "Promoting": (ABORT,),
    "Aborted": (RETRY,),
}


@dataclass(frozen=True, slots=True)
class Action:
    verb: str
    words: str
    at_once: bool
    is_main: bool

    @property
    def place(self) -> str:
        """The name of its route."""
        return f"canary-{self.verb}"


@dataclass(frozen=True, slots=True)
class Question:
    """`points`: what happens, one after the other. `refused`: why it cannot be done now, "" when it can."""

    namespace: str
    name: str
    verb: str
    words: str
    title: str
    points: tuple[str, ...]
    seen: str
    refused: str = ""


def actions(state: CanaryState) -> tuple[Action, ...]:
    verbs = _WHEN.get(state.phase, ())
    main = RESUME if RESUME in verbs else RETRY
    return tuple(Action(verb, _WORDS[verb], verb in AT_ONCE, verb == main) for verb in verbs)


def seen_of(state: CanaryState) -> str:
    """Another one later means that somebody, or the canary itself, was faster (`services.canaries.mark`)."""
    return f"{state.template_hash}/{state.attempt}/{state.step}/{state.phase}"


def question(namespace: str, name: str, verb: str) -> Question | None:
    """None when there is no such workload."""
    row = Deployment.objects.filter(namespace=namespace, name=name, deleted_at=None).first()
    if row is None:
        return None
    state, strategy = rows_of.state_of(row), rows_of.strategies([row])[row.uid]
    names = sides(strategy)
    refused = ""
    if verb not in _WHEN.get(state.phase, ()):
        word = state.phase or "no canary is under way"
        refused = f"That is not possible now ({word}). It has changed since you opened the page, or ended."
    return Question(
        namespace, name, verb, _WORDS[verb], f"{_WORDS[verb]}: {names.new} of {namespace}/{name}",
        tuple(_points(row, strategy, state, verb, names)), seen_of(state), refused,
    )  # fmt: skip


def done_words(found: Question) -> str:
    return {
        RESUME: "goes on",
        PAUSE: "is paused",
        SKIP: "goes on with the next step",
        PROMOTE: "is promoted",
        ABORT: "is aborted: its weight goes to 0 first, then its pods go",
        RETRY: "starts over",
    }[found.verb]


def _points(row: Deployment, strategy: Strategy | None, state: CanaryState, verb: str, names: Sides) -> Iterable[str]:
    steps = strategy.steps if strategy else ()
    left = steps[state.step + 1 :]
    current = step_words(steps[state.step], names) if state.step < len(steps) else ""
    if verb == ABORT:
        yield f"Its weight goes from {weight(state.weight)} to 0 in all routers, at once. Header routes to it end."
        yield "When all routers have that (15 s at most), its pods go."
        yield f"Commit {commit(row.commit) or 'of Git'} is skipped until a newer one comes, or somebody presses Retry."
        if state.phase == "Promoting":
            yield f"If too few {names.old} pods are left by now, the weight stays until they are back."
        else:
            yield f"The {names.old} pods go on as they are."
    elif verb == PROMOTE:
        untold = sum(isinstance(step, Analyse) for step in steps[state.step :])
        if untold:
            yield f"{untold} analys{'is is' if untold == 1 else 'es are'} not waited for."
        if strategy and strategy.background:
            yield "The analysis beside the steps ends."
        yield f"{len(steps) - state.step} step{'' if len(steps) - state.step == 1 else 's'} are left out."
        yield f"All {row.replicas} pods are replaced one after the other; the weight follows the share of new pods."
    elif verb == SKIP:
        yield f"Not waited for any longer: {current or 'the current step'}."
        yield f"Then: {step_words(left[0], names) if left else 'all pods are replaced one after the other'}."
    elif verb == RETRY:
        yield f"The pin ends, and the {names.new} of commit {commit(row.commit)} starts over with the first step."
        yield f"It is attempt {state.attempt + 1}; what was measured of the earlier one is kept and not counted."
    elif verb == RESUME:
        yield f"Then: {step_words(left[0], names) if left else 'all pods are replaced one after the other'}."
    else:
        yield f"Its weight stays {weight(state.weight)}, and nothing is decided until somebody goes on."
