"""Which canaries a workload had: each attempt of each revision that was analysed, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from control.models import AnalysisRun, ReplicaSet
from control.selectors.canary_rows import is_of
from control.selectors.canary_words import PHASES, state_of_run
from control.selectors.words import Moment, State, commit, sentence
from deployer.core.canary.values import CanaryState

SHOWN = 20


@dataclass(frozen=True, slots=True)
class Past:
    """`analyses`: (how they ended, how many). `why`: the sentence of the one that ended it, or of the abort."""

    revision: int
    commit: str
    attempt: int
    begun: Moment
    ended: Moment
    result: State
    analyses: tuple[tuple[State, int], ...]
    why: str


def past_canaries(
    state: CanaryState, runs: Sequence[AnalysisRun], sets: Mapping[str, ReplicaSet], now: float
) -> list[Past]:
    """The newest first, without the one that is under way. `sets` by template hash."""
    groups: dict[tuple[str, int], list[AnalysisRun]] = {}
    for run in sorted(runs, key=lambda one: one.started_at):
        groups.setdefault((run.template_hash, run.attempt), []).append(run)
    if state.phase in ("Completed", "Aborted"):
        groups.setdefault((state.template_hash, state.attempt), [])
    newest = {template: max(attempt for one, attempt in groups if one == template) for template, _ in groups}
    found = [
        _past(state, key, mine, sets.get(key[0]), newest[key[0]] > key[1], now)
        for key, mine in groups.items()
        if key != (state.template_hash, state.attempt) or state.phase in ("Completed", "Aborted")
    ]
    return sorted(found, key=lambda one: one.begun.at, reverse=True)[:SHOWN]


def _past(
    state: CanaryState, key: tuple[str, int], runs: Sequence[AnalysisRun], one: ReplicaSet | None, again: bool,
    now: float,
) -> Past:  # fmt: skip
    is_newest = key == (state.template_hash, state.attempt)
    failed = next((run for run in runs if run.phase in ("Failed", "Error")), None)
    ends = [run.finished_at for run in runs]
    return Past(
        revision=one.revision if one else 0,
        commit=commit(one.commit) if one else "",
        attempt=key[1],
        begun=Moment(state.started_at if is_newest else min(run.started_at for run in runs), now),
        ended=Moment(state.ended_at if is_newest else max(ends), now),
        result=PHASES[state.phase] if is_newest else _result(failed is not None or again, one),
        analyses=tuple(_counts(runs)),
        why=sentence(state.why if is_newest and state.why else failed.message if failed else ""),
    )


def _result(aborted: bool, one: ReplicaSet | None) -> State:
    """A retry only follows an abort; a revision that was all there once was promoted; else a newer one came."""
    if aborted or (one and one.failed):
        return PHASES["Aborted"]
    return PHASES["Completed"] if one and one.healthy else State("Superseded", "idle")


def _counts(runs: Iterable[AnalysisRun]) -> Iterable[tuple[State, int]]:
    phases = [run.phase for run in runs]
    for phase in dict.fromkeys(phases):
        yield state_of_run(phase), phases.count(phase)


def of_newest(runs: Iterable[AnalysisRun], state: CanaryState) -> list[AnalysisRun]:
    """Those of the newest canary, in the order of their begin."""
    return sorted((run for run in runs if is_of(run, state)), key=lambda one: (one.started_at, one.step))
