"""Rollouts of Argo Rollouts (argoproj.io/v1alpha1): a Deployment whose new revisions come in step by step.

Which fields are honoured stands here; what they mean is in `deployer.core.canary.strategy`. Defaults are Argo's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from deployer.core.objects.analysis import AnalysisTemplateRef, DryRun, FieldRef
from deployer.core.objects.base import EmptyList, Spec
from deployer.core.objects.placement import LabelSelector
from deployer.core.objects.workload import PodTemplate

ROUTER = "pierhead.io/router"


class ArgSource(Spec):
    pod_template_hash_value: Literal["Stable", "Latest"] | None = None
    field_ref: FieldRef | None = None


class AnalysisArg(Spec):
    name: str
    value: str = ""
    value_from: ArgSource | None = None


class RolloutAnalysis(Spec):
    templates: Annotated[tuple[AnalysisTemplateRef, ...], EmptyList] = ()
    args: Annotated[tuple[AnalysisArg, ...], EmptyList] = ()
    dry_run: Annotated[tuple[DryRun, ...], EmptyList] = ()


class BackgroundAnalysis(RolloutAnalysis):
    starting_step: int = Field(default=0, ge=0)


class PauseStep(Spec):
    """Seconds as a number or its text, or a duration such as `10m`; none: until a person goes on."""

    duration: int | str | None = None


class CanaryScaleStep(Spec):
    replicas: int | None = Field(default=None, ge=1)
    weight: int | None = Field(default=None, ge=1)
    match_traffic_weight: bool = False


class StringMatch(Spec):
    exact: str = ""
    prefix: str = ""
    regex: str = ""


class HeaderRouteMatch(Spec):
    header_name: str
    header_value: StringMatch


class HeaderRouteStep(Spec):
    name: str
    match: Annotated[tuple[HeaderRouteMatch, ...], EmptyList] = ()


class CanaryStep(Spec):
    """Exactly one of them."""

    set_weight: int | None = Field(default=None, ge=0)
    pause: PauseStep | None = None
    analysis: RolloutAnalysis | None = None
    set_canary_scale: CanaryScaleStep | None = None
    set_header_route: HeaderRouteStep | None = None


class ManagedRoute(Spec):
    name: str


class Sticky(Spec):
    by: Literal["cookie", "header", "client"]
    name: str = ""


class RouterPlugin(Spec):
    sticky: Sticky | None = None


class RouterPlugins(Spec):
    router: RouterPlugin | None = Field(default=None, alias=ROUTER)


class NginxRouting(Spec):
    """Ingresses that lead to `stableService`, and whose requests are split all the same."""

    stable_ingress: str = ""
    stable_ingresses: Annotated[tuple[str, ...], EmptyList] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return self.stable_ingresses or ((self.stable_ingress,) if self.stable_ingress else ())


class TrafficRouting(Spec):
    """Traffic is split by Pierhead's own routers whether this stands there or not."""

    managed_routes: Annotated[tuple[ManagedRoute, ...], EmptyList] = ()
    max_traffic_weight: int = Field(default=100, ge=1)
    nginx: NginxRouting | None = None
    plugins: RouterPlugins | None = None


class CanaryStrategy(Spec):
    canary_service: str = ""
    stable_service: str = ""
    steps: Annotated[tuple[CanaryStep, ...], EmptyList] = ()
    traffic_routing: TrafficRouting | None = None
    analysis: BackgroundAnalysis | None = None
    max_surge: int | str = "25%"
    max_unavailable: int | str = "25%"
    abort_scale_down_delay_seconds: int = Field(default=30, ge=0)
    dynamic_stable_scale: Literal[False] = False


class BlueGreenStrategy(Spec):
    active_service: str
    preview_service: str = ""
    preview_replica_count: int | None = Field(default=None, ge=1)
    auto_promotion_enabled: bool = True
    auto_promotion_seconds: int = Field(default=0, ge=0)
    scale_down_delay_seconds: int = Field(default=30, ge=0)
    abort_scale_down_delay_seconds: int = Field(default=30, ge=0)
    pre_promotion_analysis: RolloutAnalysis | None = None
    post_promotion_analysis: RolloutAnalysis | None = None


class RolloutStrategy(Spec):
    """Exactly one of them."""

    canary: CanaryStrategy | None = None
    blue_green: BlueGreenStrategy | None = None


class RolloutSpec(Spec):
    """The fields that it shares with a DeploymentSpec mean what they mean there."""

    selector: LabelSelector
    template: PodTemplate
    strategy: RolloutStrategy
    replicas: int = Field(default=1, ge=0)
    min_ready_seconds: int = Field(default=0, ge=0)
    revision_history_limit: int = Field(default=10, ge=0)
    progress_deadline_seconds: int = Field(default=600, ge=1)
    progress_deadline_abort: Literal[True] = True
    paused: bool = False


def deployment_strategy(workload: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """`spec.strategy` as a Deployment has it: a Rollout's bounds of a rolling update stand under its canary.

    >>> deployment_strategy("Rollout", {"strategy": {"canary": {"maxSurge": 1}}})
    {'rollingUpdate': {'maxSurge': 1}}
    """
    strategy = spec.get("strategy") or {}
    if workload != "Rollout":
        return dict(strategy)
    canary = strategy.get("canary") or {}
    bounds = {name: canary[name] for name in ("maxSurge", "maxUnavailable") if canary.get(name) is not None}
    return {"rollingUpdate": bounds} if bounds else {}
