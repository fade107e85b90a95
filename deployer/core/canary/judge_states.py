"""What the judge goes on from, and what it gives back: values alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from deployer.core.canary.evidence import NOTHING, Bursts, Sums
from deployer.core.network.measurements import NO_BUCKETS

Verdict = Literal["running", "successful", "failed", "inconclusive"]


@dataclass(frozen=True, slots=True)
class MetricState:
    """`warm`: counted in the warm-up, `sums`: since then. `logs` is the evidence since
    then, `early` that of errors since the beginning."""

    name: Literal["errors", "slow"]
    warm: Sums = field(default_factory=Sums)
    sums: Sums = field(default_factory=Sums)
    logs: tuple[float, ...] = NOTHING
    early: tuple[float, ...] = NOTHING
    bursts: Bursts = field(default_factory=Bursts)


@dataclass(frozen=True, slots=True)
class Look:
    """The errors of one look, which ended at `at`."""

    at: float
    sums: Sums


@dataclass(frozen=True, slots=True)
class JudgeState:
    """What the next look goes on from. JSON by pydantic's `TypeAdapter(JudgeState)`.

    `started_at` 0: not begun. `read_at`: of the last look that could be read. `blind_seconds`: between looks, beyond
    three intervals; the analysis lasts longer by so much. `bucket`: requests in a later one are slow (None: not known
    yet). `latencies`: the stable pods' answers until it was. `recent`: the looks that the guardrail goes by, newest
    last.
    """

    started_at: float = 0.0
    read_at: float = 0.0
    blind_seconds: float = 0.0
    bucket: int | None = None
    latencies: tuple[int, ...] = NO_BUCKETS
    metrics: tuple[MetricState, ...] = ()
    recent: tuple[Look, ...] = ()


@dataclass(frozen=True, slots=True)
class Tick:
    """What is kept of one look at one metric: the fields of `control.models.AnalysisTick`.

    `verdict`: warmup, running, passed, failed, unmeasured, or unread; of a template's metric the measurement's phase in
    lower case, and `value` is what was measured, as JSON has it.
    """

    metric: str
    at: float
    canary_requests: int = 0
    canary_failures: int = 0
    stable_requests: int = 0
    stable_failures: int = 0
    evidence: float | None = None
    threshold: float | None = None
    upper: float | None = None
    bound: float | None = None
    missing: int | None = None
    verdict: str = ""
    message: str = ""
    value: Any = None


@dataclass(frozen=True, slots=True)
class Judged:
    """`message` is for people. `next_seconds`: when to look again, sooner where the guardrail has begun to doubt."""

    state: JudgeState
    ticks: tuple[Tick, ...]
    verdict: Verdict
    message: str
    next_seconds: float
