"""Analysis templates of Argo Rollouts, with two providers of metrics: Prometheus, and Pierhead's own.

Any text below `metrics` may hold `{{args.NAME}}`, as in Argo: what is a number or a duration is therefore text here,
and read once the arguments are known (`deployer.core.canary.templates`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from deployer.core.objects.base import EmptyList, Quantity, Spec

TRAFFIC, JUDGE = "pierhead.io/traffic", "pierhead.io/judge"
Number = int | str | None


class DryRun(Spec):
    """`metricName` is a regular expression over metrics' names, or `*`."""

    metric_name: str


class AnalysisTemplateRef(Spec):
    template_name: str
    cluster_scope: Literal[False] = False


class SecretKeyRef(Spec):
    name: str
    key: str


class FieldRef(Spec):
    field_path: str


class TemplateArgSource(Spec):
    secret_key_ref: SecretKeyRef


class TemplateArg(Spec):
    """Without value and source it has to be given by whoever uses the template."""

    name: str
    value: str | None = None
    value_from: TemplateArgSource | None = None


class PrometheusHeader(Spec):
    key: str
    value: str = ""


class PrometheusMetric(Spec):
    """`timeout` in seconds."""

    address: str = ""
    query: str = ""
    timeout: int | None = Field(default=None, ge=1)
    insecure: bool = False
    headers: Annotated[tuple[PrometheusHeader, ...], EmptyList] = ()


class TrafficMetric(Spec):
    measure: str
    of: str = "canary"


class JudgeMetric(Spec):
    """Durations are `10m`, shares `1%` or `0.2pp` (percentage points)."""

    metrics: tuple[str, ...] = ("errors", "slow")
    interval: Quantity = ""
    warmup: Quantity = ""
    min_duration: Quantity = ""
    max_duration: Quantity = ""
    alpha: Quantity = ""
    tolerance: Quantity = ""
    min_effect: Quantity = ""
    margin: Quantity = ""
    slow_margin: Quantity = ""
    error_limit: Quantity = ""
    slow_limit: Quantity = ""
    guard_share: Quantity = ""
    guard_requests: Quantity = ""
    on_no_traffic: str = ""
    on_inconclusive: str = ""


class MetricPlugins(Spec):
    traffic: TrafficMetric | None = Field(default=None, alias=TRAFFIC)
    judge: JudgeMetric | None = Field(default=None, alias=JUDGE)


class MetricProvider(Spec):
    prometheus: PrometheusMetric | None = None
    plugin: MetricPlugins | None = None


class Metric(Spec):
    """Argo's fields with Argo's meaning. The judge's has none of them but its name."""

    name: str
    provider: MetricProvider
    interval: str = ""
    initial_delay: str = ""
    count: Number = None
    success_condition: str = ""
    failure_condition: str = ""
    failure_limit: Number = None
    inconclusive_limit: Number = None
    consecutive_error_limit: Number = None
    consecutive_success_limit: Number = None


class AnalysisTemplateSpec(Spec):
    metrics: Annotated[tuple[Metric, ...], EmptyList] = ()
    args: Annotated[tuple[TemplateArg, ...], EmptyList] = ()
    dry_run: Annotated[tuple[DryRun, ...], EmptyList] = ()
    templates: Annotated[tuple[AnalysisTemplateRef, ...], EmptyList] = ()


def metric_data(metric: Metric) -> dict[str, Any]:
    """A metric as it was written, for its arguments to be filled in."""
    return metric.model_dump(by_alias=True, exclude_unset=True)
