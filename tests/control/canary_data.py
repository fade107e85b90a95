"""Canaries in every state that a page can show, in rows as the loops would have left them."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator
from itertools import pairwise
from statistics import NormalDist
from typing import Any

from control.models import AnalysisRun, AnalysisTemplate, AnalysisTick, Deployment, Measurement
from control.store import objects
from deployer.core.canary.kept import dump_analysis, dump_state
from deployer.core.canary.values import (
    Analysis,
    CanaryState,
    HeaderMatch,
    HeaderRoute,
    Judge,
    Metric,
    Prometheus,
    Traffic,
)
from deployer.core.network.measurements import BUCKETS
from tests.control import factories
from tests.control.factories import COMMITS, deployment, event, pod, replica_set

ANNOTATION = "5% for 10m, 25% for 10m, errors < 1%, sticky by cookie session"
"""Four steps: weight, judge, weight, judge."""
JUDGE = Judge(error_limit=0.01)
QUERY = 'sum(rate(http_requests_total{app="pay",status!~"5.."}[1m])) / sum(rate(http_requests_total{app="pay"}[1m]))'
WHY = (
    "canary 6.2 % of 242 requests failed, stable 0.4 % of 4,598: evidence 1,840 against a threshold of 200; "
    "aborted at step 2"
)
NEEDS = "canary 0.4 % of 480 requests failed, stable 0.4 % of 9,120: evidence 0.7 of 200; needs about 344 more requests"
STEPS = [
    {"setWeight": 20},
    {"pause": {"duration": "5m"}},
    {"analysis": {"templates": [{"templateName": "success-rate"}]}},
    {"setWeight": 50},
    {"pause": {}},
]


def harbour() -> None:
    """All of them, in namespace shop."""
    before, now = factories.NOW, time.time()
    factories.NOW = now
    try:
        factories.application()
        judged(now)
        aborted(now)
        measured(now)
        preview(now)
        untouched()
    finally:
        factories.NOW = before


def judged(now: float, *, minutes: float = 4, name: str = "web", **state: Any) -> Deployment:
    """A Deployment whose canary gets 5 % and is judged in step 2 of 4."""
    begun = now - 60 * minutes - 75
    row = _both(
        name, begun, annotations={"pierhead.io/canary": ANNOTATION}, step=1, step_at=begun + 60, weight=500, **state
    )
    run = run_of(row, 1, Analysis(judge=JUDGE), begun + 60)
    looks(run, begun + 70, now, new=2, old=38, message=NEEDS, missing=344)
    traffic(row, begun, now, share=0.05)
    event("CanaryStep", "5 % of requests go to revision 3", kind="Deployment", name=name, last_at=begun + 60)
    return row


def aborted(now: float) -> Deployment:
    """A Deployment whose canary was aborted by the judge; a retry of the revision before went well."""
    begun = now - 900
    row = _both(
        "api", begun, annotations={"pierhead.io/canary": ANNOTATION}, step=1, step_at=begun + 60, weight=0,
        phase="Aborted", why=WHY, ended_at=begun + 200, attempt=2,
    )  # fmt: skip
    run = run_of(row, 1, Analysis(judge=JUDGE), begun + 60, "Failed", WHY, ended=begun + 200, attempt=2)
    looks(run, begun + 70, begun + 200, new=18, old=342, errors=0.06, message=WHY, verdict="abort")
    run_of(row, 1, Analysis(judge=JUDGE), begun - 900, "Inconclusive", "no router could be read for 5 min",
           ended=begun - 400)  # fmt: skip
    traffic(row, begun, begun + 200, share=0.05, errors=0.06)
    row.replica_sets.filter(revision=3).update(failed=True)
    factories.pin(row, 2, automatic=True, reason=WHY)
    event("CanaryAborted", WHY, type="Warning", kind="Deployment", name="api", last_at=begun + 200)
    return row


def measured(now: float) -> Deployment:
    """A Rollout that is paused: Prometheus could not say."""
    begun = now - 1500
    provider = {"prometheus": {"address": "http://prometheus:9090", "query": QUERY}}
    metric = {"name": "success-rate", "interval": "30s", "count": 5, "successCondition": "result[0] >= 0.95",
              "failureCondition": "result[0] < 0.9", "provider": provider}  # fmt: skip
    factories.made(AnalysisTemplate(namespace="shop", name="success-rate", spec={"metrics": [metric]}))
    row = _both(
        "pay", begun, workload="Rollout", spec={"strategy": {"canary": {"steps": STEPS}}}, step=2, step_at=begun + 400,
        weight=2000, phase="Paused", paused_by="analysis", why="success-rate: 2 of 5 measurements are inconclusive",
        headers=(HeaderRoute("testers", (HeaderMatch("x-canary", "exact", "always"),)),),
    )  # fmt: skip
    metrics = (
        Metric("success-rate", Prometheus("http://prometheus:9090", QUERY), 30.0, count=5,
               success_condition="result[0] >= 0.95", failure_condition="result[0] < 0.9"),
        Metric("p95", Traffic("p95"), 30.0, count=5, success_condition="result < 300", dry_run=True),
    )  # fmt: skip
    run = run_of(row, 2, Analysis(metrics=metrics, templates=("success-rate",)), begun + 400, "Inconclusive",
                 "success-rate: 2 of 5 measurements are inconclusive", ended=begun + 560)  # fmt: skip
    values = ((0.981, "Successful"), (0.93, "Inconclusive"), (None, "Error"), (0.92, "Inconclusive"))
    for number, (value, verdict) in enumerate(values):
        message = "" if value else "Prometheus at prometheus:9090 answered 503 Service Unavailable"
        AnalysisTick.objects.create(
            run=run, at=begun + 430 + 30 * number, metric="success-rate", verdict=verdict.lower(), message=message,
            value=None if value is None else [value],
        )  # fmt: skip
        AnalysisTick.objects.create(
            run=run, at=begun + 430 + 30 * number, metric="p95", verdict="successful", value=212.4
        )
    traffic(row, now - 600, now, share=0.2)
    return row


def preview(now: float) -> Deployment:
    """Blue-green: a preview of full size, without traffic, waits for a person."""
    strategy = {"blueGreen": {"activeService": "search", "previewService": "search-preview",
                              "autoPromotionEnabled": False}}  # fmt: skip
    return _both("search", now - 240, workload="Rollout", spec={"strategy": strategy}, step=1, step_at=now - 200,
                 phase="Paused", paused_by="step", pods=3)  # fmt: skip


def untouched() -> Deployment:
    """It asks for a canary and had none yet."""
    row = deployment("quiet", annotations={"pierhead.io/canary": ANNOTATION}, **_labelled("quiet"))
    pod(replica_set(row, 2), "quiet-0")
    return row


def run_of(
    row: Deployment, step: int, analysis: Analysis, begun: float, phase: str = "Running", message: str = "", *,
    ended: float = 0, attempt: int = 1, revision: int = 3,
) -> AnalysisRun:  # fmt: skip
    return AnalysisRun.objects.create(
        deployment=row, name=f"{row.name}-hash{revision}-{attempt}-{step}", template_hash=f"hash{revision}",
        attempt=attempt, step=step, spec=dump_analysis(analysis), phase=phase, message=message, started_at=begun,
        finished_at=ended,
    )  # fmt: skip


def looks(
    run: AnalysisRun, since: float, until: float, *, new: int, old: int, errors: float = 0.004, message: str = "",
    verdict: str = "", missing: int = 0,
) -> None:  # fmt: skip
    """A tick every 10 s of both metrics. `new` and `old`: requests a second of each side; `errors`: the canary's."""
    draw, rows = random.Random(run.name), []
    for metric, share, usual in (("errors", errors, 0.004), ("slow", 0.05, 0.05)):
        logs, sums = 0.0, [0, 0]
        for at in _times(since, until, 10):
            counts = [(10 * new, share), (10 * old, usual)]
            (bad, asked), (worse, whole) = [(_hits(n, p, draw), n) for n, p in counts]
            sums[0], sums[1] = sums[0] + bad, sums[1] + asked
            logs += min(math.log(5), bad * math.log(3) - asked * usual * 2)
            rows.append(
                AnalysisTick(
                    run=run, at=at, metric=metric, canary_requests=asked, canary_failures=bad, stable_requests=whole,
                    stable_failures=worse, evidence=max(math.exp(logs), 1e-4), threshold=200.0,
                    upper=min(1.0, (sums[0] + 3) / sums[1]), bound=usual + 0.01 if metric == "errors" else 0.08,
                    missing=missing, verdict=verdict, message=message if metric == "errors" else "",
                )
            )  # fmt: skip
    AnalysisTick.objects.bulk_create(rows)


def traffic(row: Deployment, since: float, until: float, *, share: float, errors: float = 0.004) -> None:
    """Rows of 15 s of the Service called as the workload: 40 requests a second, of which `share` to revision 3."""
    if not row.name.startswith("search"):
        factories.service(row.name, spec={"selector": {"app": row.name}})
    draw, rows = random.Random(row.name), []
    for at in _times(since - since % 15, until, 15):
        for revision, part, bad in ((3, share, errors), (2, 1 - share, 0.004)):
            requests = _hits(600, part, draw)
            failed = _hits(requests, bad, draw)
            rows.append(
                Measurement(
                    resolution=15, namespace=row.namespace, service=row.name, at=int(at), port="80", revision=revision,
                    requests=requests, errors=failed, buckets=_buckets(requests, 4.3 if revision == 3 else 4.0),
                )
            )  # fmt: skip
    Measurement.objects.bulk_create(rows)


def _both(
    name: str, begun: float, *, annotations: dict[str, str] | None = None, spec: dict[str, Any] | None = None,
    workload: str = "Deployment", pods: int = 1, **state: Any,
) -> Deployment:  # fmt: skip
    """Revision 3 is the canary with `pods` pods, revision 2 is stable with 3."""
    given = {"template_hash": "hash3", "stable_hash": "hash2", "phase": "Progressing", "attempt": 1,
             "started_at": begun, **state}  # fmt: skip
    kept = dump_state(CanaryState(**given))
    more = _labelled(name)
    row = deployment(
        name, application=factories.Application.objects.first(), annotations=annotations or {}, workload=workload,
        canary=kept, live_hash="hash3", commit=COMMITS[3], spec={**more["spec"], **(spec or {})}, labels=more["labels"],
    )  # fmt: skip
    stable, new = replica_set(row, 2), replica_set(row, 3, healthy=False, replicas=pods)
    for number in range(3):
        pod(stable, f"{name}-old-{number}", labels=_pods(name, "hash2"))
    for number in range(pods if given["phase"] not in ("Aborted", "Completed") else 0):
        pod(new, f"{name}-new-{number}", labels=_pods(name, "hash3"))
    return row


def _labelled(name: str) -> dict[str, Any]:
    template = factories.template(f"registry.example.com/{name}:3")
    template["metadata"] = {"labels": {"app": name}}
    return {"labels": {"app": name}, "spec": {"template": template}}


def _pods(name: str, template: str) -> dict[str, str]:
    return {"app": name, "pod-template-hash": template}


def changed(row: Deployment, **state: Any) -> None:
    """The canary's state, with some of it changed, and the change told."""
    row.refresh_from_db()
    row.canary = {**row.canary, **state}
    objects.update([row], ["canary"])


def _times(since: float, until: float, step: float) -> Iterator[float]:
    at = since
    while at <= until:
        yield at
        at += step


def _hits(tries: int, chance: float, draw: random.Random) -> int:
    """How many of them hit, about as luck would have it, from one draw."""
    found = draw.gauss(tries * chance, math.sqrt(tries * chance * (1 - chance)))
    return min(max(round(found), 0), tries)


def _buckets(requests: int, middle: float) -> list[int]:
    """Latencies spread around the middle of a bucket. Every request is in one."""
    below = [round(requests * one) for one in _SPREADS[middle]]
    return [after - before for before, after in pairwise([0, *below])]


def _spread(middle: float) -> list[float]:
    """The share of requests up to the end of each bucket; the last is for those that never ended."""
    curve = NormalDist(middle, 1.2)
    return [*(curve.cdf(end) for end in range(1, BUCKETS - 1)), 1.0, 1.0]


_SPREADS = {middle: _spread(middle) for middle in (4.0, 4.3)}
