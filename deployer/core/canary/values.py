"""How a new revision comes in, step by step, and how far it has come: the values that everything here speaks in.

    manifest (Rollout, or a Deployment's annotation) -> Strategy -> a pass -> CanaryState -> Split (the routers)
                                                                 -> Run (an analysis) -> its verdict -> a pass

A blue-green strategy is the same thing with other steps: the preview is a canary of full size with a weight of 0, and
its promotion is a step to 10000. Weights are in basis points (0 to 10000, of requests), times in seconds since the
epoch, durations in seconds. Words are Argo Rollouts' where it has one. Nothing here decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

WHOLE = 10_000
"""All traffic, in basis points."""
BACKGROUND = -1
"""In place of a step's number: an analysis that runs beside the steps."""


@dataclass(frozen=True, slots=True)
class HeaderMatch:
    """A request that has this header. `value` "" with `match` "prefix": whatever it says."""

    header: str
    match: Literal["exact", "prefix", "regex"]
    value: str


@dataclass(frozen=True, slots=True)
class HeaderRoute:
    """Requests that match all of these go to the canary, whatever its weight. Without matches the route goes away."""

    name: str
    matches: tuple[HeaderMatch, ...] = ()


@dataclass(frozen=True, slots=True)
class Stickiness:
    """Whoever was at the canary once stays there while its weight grows: by a cookie's or header's value, or by the
    client's address. A cookie without a name is the routers' own: they give it to whoever has none."""

    by: Literal["cookie", "header", "client"]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Judge:
    """Pierhead's own analysis (`judge.py`): the canary against the stable pods at the same time.

    `metrics`: what is compared. `error_limit` and `slow_limit` (shares, None: no limit): a canary below is good enough,
    however well the stable pods do. `min_effect` and `margin` are shares too (0.002 is 0.2 percentage points).
    `slow_margin` is the margin of slow requests: of those the stable pods have up to 5 %, where to tell a difference of
    1 point takes ten times the requests that errors take.
    """

    metrics: tuple[Literal["errors", "slow"], ...] = ("errors", "slow")
    interval_seconds: float = 10.0
    warmup_seconds: float = 60.0
    min_seconds: float = 600.0
    max_seconds: float = 1800.0
    alpha: float = 0.01
    tolerance: float = 1.25
    min_effect: float = 0.002
    margin: float = 0.01
    slow_margin: float = 0.03
    error_limit: float | None = None
    slow_limit: float | None = None
    guard_share: float = 0.25
    guard_requests: int = 20
    on_no_traffic: Literal["extend", "pause", "promote", "abort"] = "extend"
    on_inconclusive: Literal["pause", "promote", "abort"] = "pause"


@dataclass(frozen=True, slots=True)
class Traffic:
    """Our own measurements as a provider of a metric: `measure` of the canary or stable pods over the last interval.

    "errors" and "slow" are shares of requests, "rate" is requests a second, "p50", "p95" and "p99" are milliseconds.
    """

    measure: Literal["errors", "slow", "rate", "p50", "p95", "p99"]
    of: Literal["canary", "stable"] = "canary"
    source: Literal["traffic"] = "traffic"


@dataclass(frozen=True, slots=True)
class Prometheus:
    """`secret_headers` are (header, Secret, key): their values are read when it is asked, and kept nowhere.
    `secret_prefixes` are (header, text that stands before the Secret's value in it), such as "Bearer "."""

    address: str
    query: str
    timeout_seconds: float = 30.0
    insecure: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    secret_headers: tuple[tuple[str, str, str], ...] = ()
    secret_prefixes: tuple[tuple[str, str], ...] = ()
    source: Literal["prometheus"] = "prometheus"


Provider = Traffic | Prometheus


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of an AnalysisTemplate, arguments filled in. Fields and their meaning are Argo Rollouts'.

    `count` 0: until the analysis ends. `failure_limit` -1: no limit.
    """

    name: str
    provider: Provider
    interval_seconds: float = 0.0
    initial_delay_seconds: float = 0.0
    count: int = 0
    success_condition: str = ""
    failure_condition: str = ""
    failure_limit: int = 0
    inconclusive_limit: int = 0
    consecutive_error_limit: int = 4
    consecutive_success_limit: int = 0
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Analysis:
    """`judge` or `metrics`, or both: all have to be content. `templates`: whose metrics they are, for people.

    `problem`: a sentence; it cannot be carried out, such as when a template has been deleted since. It fails with it.
    """

    judge: Judge | None = None
    metrics: tuple[Metric, ...] = ()
    templates: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class SetWeight:
    weight: int
    kind: Literal["setWeight"] = "setWeight"


@dataclass(frozen=True, slots=True)
class Pause:
    """`seconds` None: until a person goes on."""

    seconds: float | None = None
    kind: Literal["pause"] = "pause"


@dataclass(frozen=True, slots=True)
class Analyse:
    """The step is over when the analysis is: on with success, back with failure, paused when nobody can say."""

    analysis: Analysis
    kind: Literal["analysis"] = "analysis"


@dataclass(frozen=True, slots=True)
class SetCanaryScale:
    """How many canary pods: a number, a percentage of the replicas, or (neither) as many as its weight needs."""

    replicas: int | None = None
    percent: int | None = None
    kind: Literal["setCanaryScale"] = "setCanaryScale"


@dataclass(frozen=True, slots=True)
class SetHeaderRoute:
    route: HeaderRoute
    kind: Literal["setHeaderRoute"] = "setHeaderRoute"


Step = SetWeight | Pause | Analyse | SetCanaryScale | SetHeaderRoute


@dataclass(frozen=True, slots=True)
class Strategy:
    """How new revisions of one workload come in.

    `background` runs beside the steps from step `background_from` on, until the old pods are gone. Services by name,
    "" for none: `canary_service` (blue-green: previewService) leads to the canary alone while there is one,
    `stable_service` to stable pods alone, but for what comes by one of the `ingresses`; every other Service that
    selects the workload's pods is split by weight (blue-green: activeService among them).
    `scale_down_delay_seconds`: how long old pods stay after the promotion (blue-green), and with `abort_` before it how
    long the canary's pods stay after an abort, without traffic; 0: until it is gone from all routers.
    """

    kind: Literal["Canary", "BlueGreen"]
    steps: tuple[Step, ...] = ()
    background: Analysis | None = None
    background_from: int = 0
    sticky: Stickiness | None = None
    canary_service: str = ""
    stable_service: str = ""
    ingresses: tuple[str, ...] = ()
    scale_down_delay_seconds: float = 0.0
    abort_scale_down_delay_seconds: float = 0.0


Phase = Literal["", "Progressing", "Paused", "Promoting", "Completed", "Aborting", "Aborted"]


@dataclass(frozen=True, slots=True)
class CanaryState:
    """How far the newest canary of a workload has come: `Deployment.canary`, as JSON.

    `template_hash` is the canary's revision, `stable_hash` the one that serves everybody else. `phase`: "" before the
    first; Progressing in a step; Paused; Promoting from the end of the steps until the old pods are gone; Completed;
    Aborting until all routers have the weight of 0; Aborted. `attempt` counts its starts (a retry is another one).
    `step` is the number of the current step, `steps_hash` what the steps were when it was entered. `gone_on`: a person
    said to go on from this step (-1: none); of the number behind the last one: without all that was left of them.
    `weight` is asked of the routers. `why` is a sentence: why it is paused or was aborted. `paused_by`: "" , "step",
    "analysis", or a person's name. `zero_version`: the resource version with which the weight went to 0, see
    `control.store.leaving`.

    `paused_run` is the analysis that could not say, `waived` are those despite which a person went on. `changes`: how
    often the steps were written anew meanwhile. `log_tail` are the last lines of a canary that was aborted, and
    `aborted_by` who did it ("": Pierhead).
    """

    template_hash: str = ""
    stable_hash: str = ""
    phase: Phase = ""
    attempt: int = 0
    step: int = 0
    step_at: float = 0.0
    steps_hash: str = ""
    gone_on: int = -1
    weight: int = 0
    scale: SetCanaryScale | None = None
    headers: tuple[HeaderRoute, ...] = ()
    started_at: float = 0.0
    paused_at: float = 0.0
    paused_by: str = ""
    why: str = ""
    ended_at: float = 0.0
    zero_version: int = 0
    paused_run: str = ""
    waived: tuple[str, ...] = ()
    changes: int = 0
    log_tail: str = ""
    aborted_by: str = ""

    @property
    def is_under_way(self) -> bool:
        return self.phase in ("Progressing", "Paused", "Promoting")


NO_CANARY = CanaryState()

RunPhase = Literal["Pending", "Running", "Successful", "Failed", "Inconclusive", "Error"]
ENDED: frozenset[RunPhase] = frozenset({"Successful", "Failed", "Inconclusive", "Error"})


@dataclass(frozen=True, slots=True)
class Run:
    """An AnalysisRun as a rollout's pass sees it. `step` BACKGROUND: it runs beside the steps."""

    name: str
    template_hash: str
    attempt: int
    step: int
    phase: RunPhase
    message: str = ""


@dataclass(frozen=True, slots=True)
class NewRun:
    """An analysis to begin. `name` says workload, revision, attempt and step, so that it is begun once."""

    name: str
    template_hash: str
    attempt: int
    step: int
    analysis: Analysis


@dataclass(frozen=True, slots=True)
class EndedRun:
    """An analysis that nobody waits for any more. `why` is a sentence; `phase` what became of it if it still ran."""

    name: str
    why: str
    phase: RunPhase = "Inconclusive"


@dataclass(frozen=True, slots=True)
class Split:
    """What the routers are told of one workload that has a Strategy.

    Pods of `workload` ("shop/web") with `canary_hash` are the canary ("" while there is none: then `weight` is 0 and
    nothing is split). It is told for every workload with a strategy, so that a canary that begins is no new structure.
    While there is a canary, pods that have neither its hash nor `stable_hash` ("": all others are stable) are what is
    left of earlier ones: they serve only when nobody else does. `withdrawn`: the canary was given up, so nothing leads
    to it any more, not even `canary_service`. `ingresses`: what comes by these to `stable_service` is split. `labels`
    are those of the pod template that Git asks for: by them the Services that select its pods are known before there
    are any.
    """

    workload: str
    canary_hash: str = ""
    weight: int = 0
    sticky: Stickiness | None = None
    headers: tuple[HeaderRoute, ...] = ()
    canary_service: str = ""
    stable_service: str = ""
    ingresses: tuple[str, ...] = ()
    stable_hash: str = ""
    withdrawn: bool = False
    labels: tuple[tuple[str, str], ...] = ()
