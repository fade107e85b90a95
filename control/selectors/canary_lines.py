"""Canaries that are under way, a line each: how much they get, how far they are, what the judge thinks so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Q

from control.models import Deployment, ReplicaSet
from control.selectors import canary_rows as rows_of
from control.selectors.canary_judged import evidence_words
from control.selectors.canary_steps import Next, progress_words, what_next
from control.selectors.canary_words import PHASES, about, weight
from control.selectors.words import State, commit, sentence
from deployer.core.canary.kept import load_analysis


@dataclass(frozen=True, slots=True)
class CanaryLine:
    """`progress`: step 2 of 5. `evidence`: errors 3.2 of 200, "" without a judge. `basis_points`: its weight."""

    kind: str
    namespace: str
    name: str
    state: State
    revision: int
    commit: str
    weight: str
    basis_points: int
    progress: str
    evidence: str
    needs: str
    why: str
    next: Next
    is_under_way: bool

    @property
    def key(self) -> str:
        return f"canary-{self.namespace}-{self.name}"


def lines_under_way(now: float, of: Q | None = None) -> list[CanaryLine]:
    """Of all namespaces, or where `of` (of Deployments) is true. At most six queries, one when there is none."""
    return canary_lines(rows_of.under_way(of), now)


def canary_line(row: Deployment, now: float) -> CanaryLine | None:
    """Of one workload, ended or not; None when it never had a canary."""
    return next(iter(canary_lines([row], now)), None) if row.canary.get("phase") else None


def canary_lines(rows: Sequence[Deployment], now: float) -> list[CanaryLine]:
    if not rows:
        return []
    strategies = rows_of.strategies(rows)
    states = {row.uid: rows_of.state_of(row) for row in rows}
    runs = rows_of.running(states)
    seen = rows_of.counted([run.uid for those in runs.values() for run in those])
    hashes = {state.template_hash for state in states.values()}
    sets = ReplicaSet.objects.filter(deployment__in=states, template_hash__in=hashes)
    revisions = {
        (owner, template): (revision, sha)
        for owner, template, revision, sha in sets.values_list("deployment_id", "template_hash", "revision", "commit")
    }
    found = []
    for row in rows:
        state, strategy, mine = states[row.uid], strategies[row.uid], runs.get(row.uid, [])
        revision, sha = revisions.get((row.uid, state.template_hash), (0, row.commit))
        judged: dict[str, rows_of.Counted] = {
            metric: one
            for run in mine
            if (judge := load_analysis(run.spec).judge)
            for metric, one in seen.get(run.uid, {}).items()
            if metric in judge.metrics
        }
        missing = max((one.last.missing or 0 for one in judged.values()), default=0)
        line = CanaryLine(
            kind=row.kind,
            namespace=row.namespace,
            name=row.name,
            state=PHASES[state.phase],
            revision=revision,
            commit=commit(sha),
            weight=weight(state.weight),
            basis_points=state.weight,
            progress=progress_words(strategy, state),
            evidence=evidence_words(judged),
            needs=f"{about(missing)} more requests" if missing else "",
            why=sentence(state.why),
            next=what_next(strategy, state, mine, seen, now),
            is_under_way=state.phase in rows_of.UNDER_WAY,
        )
        found.append(line)
    return found
