"""Pods as pages list them: state in a word, restarts, where, and why it is not ready."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from control.models import Pod
from control.selectors.health import health_of_pod
from control.selectors.pods import pod_words
from control.selectors.words import WORST_FIRST, Moment, State, log, sentence, state_of


@dataclass(frozen=True, slots=True)
class PodLine:
    """`word` is kubectl's STATUS, `state` says how it is meant. `message`: why it is not ready, or waits."""

    namespace: str
    name: str
    owner: str
    state: State
    ready: str
    restarts: int
    restarted: Moment
    node: str
    revision: int
    created: Moment
    message: str
    log_tail: str

    @property
    def key(self) -> str:
        return f"{self.namespace}-{self.name}"


def pod_lines(rows: Iterable[Pod], now: float) -> list[PodLine]:
    """`rows` with their nodes. The worst first, then by name."""
    lines = [pod_line(row, now) for row in rows]
    return sorted(lines, key=lambda line: (WORST_FIRST.index(line.state.tone), line.namespace, line.name))


def pod_line(row: Pod, now: float, spec: dict[str, Any] | None = None) -> PodLine:
    words = pod_words(row, spec)
    leaving = row.deleted_at is not None
    health = health_of_pod(row)
    tone = "idle" if leaving else state_of(health).tone
    return PodLine(
        namespace=row.namespace,
        name=row.name,
        owner=row.owner.partition("/")[2],
        state=State(words.status, tone),
        ready=f"{words.ready}/{words.total}" if words.total else "0",
        restarts=words.restarts,
        restarted=Moment(words.restarted_at, now),
        node=row.node.name if row.node else "",
        revision=row.revision,
        created=Moment(row.created_at, now),
        message="" if tone == "good" else why(row),
        log_tail="" if tone == "good" else log(row.log_tail),
    )


def why(row: Pod) -> str:
    """Why it is not ready, in a sentence; "" when nothing is known."""
    if row.node is not None and not row.node.ready:
        return f"its node {row.node.name} does not answer"
    if row.node is None and row.deleted_at is None:
        return sentence(row.message) or "the scheduler has not looked at it yet"
    return sentence(": ".join(part for part in (row.waiting, row.message) if part))
