"""From a manifest to a strategy: a Rollout's `spec.strategy`, or a Deployment's annotation `pierhead.io/canary`.

Blue-green becomes steps of a canary: the preview is scaled up without traffic (all of it, or previewReplicaCount), then
analysed, then waits (for a person, or autoPromotionSeconds), then has its full size, then all traffic, and is analysed
again. Its old pods stay for scaleDownDelaySeconds. Order and defaults are Argo Rollouts'.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployer.core.canary import annotation, templates
from deployer.core.canary.amounts import BadAmount, duration
from deployer.core.canary.kept import has_strategy
from deployer.core.canary.templates import About, BadAnalysis, Templates
from deployer.core.canary.values import (
    WHOLE,
    Analyse,
    Analysis,
    HeaderMatch,
    HeaderRoute,
    Pause,
    SetCanaryScale,
    SetHeaderRoute,
    SetWeight,
    Step,
    Stickiness,
    Strategy,
)
from deployer.core.objects.rollout import (
    BlueGreenStrategy,
    CanaryScaleStep,
    CanaryStep,
    CanaryStrategy,
    HeaderRouteStep,
    PauseStep,
    RolloutAnalysis,
    RolloutStrategy,
    TrafficRouting,
)

ANNOTATION = annotation.ANNOTATION
FOR_EVER_SECONDS = 10 * 365 * 86400.0
"""`abortScaleDownDelaySeconds: 0` is Argo's way to say that the canary's pods stay."""


def strategy_of(
    kind: str,
    spec: Mapping[str, Any],
    annotations: Mapping[str, str],
    templates: Templates,
    about: About | None = None,
) -> Strategy | None:
    """None when new revisions come in by a rolling update alone. `templates`: AnalysisTemplates' specs by name.

    What is given has been validated; a template that is missing (it was deleted since) gives an analysis that fails.
    `about`: whose it is, for arguments with a `fieldRef`; what is left out there is "".
    """
    if not has_strategy(kind, spec, annotations):
        return None
    if kind != "Rollout":
        return _annotated(annotations[ANNOTATION])
    found = RolloutStrategy.model_validate(spec.get("strategy") or {})
    making = _Making(templates, about or About(annotations=annotations))
    if found.blue_green is not None:
        return making.blue_green(found.blue_green)
    return making.canary(found.canary or CanaryStrategy())


def _annotated(text: str) -> Strategy | None:
    try:
        return annotation.strategy(annotation.parse(text))
    except annotation.BadCanary:
        return None  # no commit brings one in: it was written by another version


class _Making:
    def __init__(self, templates: Templates, about: About) -> None:
        self.templates, self.about = templates, about

    def canary(self, found: CanaryStrategy) -> Strategy:
        routing = found.traffic_routing or TrafficRouting()
        return Strategy(
            kind="Canary", steps=tuple(self.step(one, routing.max_traffic_weight) for one in found.steps),
            background=self.analysis(found.analysis, ends=False) if found.analysis else None,
            background_from=found.analysis.starting_step if found.analysis else 0,
            sticky=sticky(routing), canary_service=found.canary_service, stable_service=found.stable_service,
            ingresses=routing.nginx.names if routing.nginx else (),
            abort_scale_down_delay_seconds=found.abort_scale_down_delay_seconds or FOR_EVER_SECONDS,
        )  # fmt: skip

    def blue_green(self, found: BlueGreenStrategy) -> Strategy:
        preview = found.preview_replica_count
        steps: list[Step] = [SetCanaryScale(replicas=preview) if preview else SetCanaryScale(percent=100)]
        if found.pre_promotion_analysis:
            steps.append(Analyse(self.analysis(found.pre_promotion_analysis, ends=True)))
        if not found.auto_promotion_enabled:
            steps.append(Pause())
        elif found.auto_promotion_seconds:
            steps.append(Pause(float(found.auto_promotion_seconds)))
        steps += [SetCanaryScale(percent=100)] if preview else []
        steps.append(SetWeight(WHOLE))
        if found.post_promotion_analysis:
            steps.append(Analyse(self.analysis(found.post_promotion_analysis, ends=True)))
        return Strategy(
            kind="BlueGreen", steps=tuple(steps), canary_service=found.preview_service,
            scale_down_delay_seconds=float(found.scale_down_delay_seconds),
            abort_scale_down_delay_seconds=found.abort_scale_down_delay_seconds or FOR_EVER_SECONDS,
        )  # fmt: skip

    def step(self, found: CanaryStep, most: int) -> Step:
        if found.set_weight is not None:
            return SetWeight(found.set_weight * WHOLE // most)
        if found.analysis is not None:
            return Analyse(self.analysis(found.analysis, ends=True))
        if found.set_canary_scale is not None:
            return _scale(found.set_canary_scale, most)
        if found.set_header_route is not None:
            return SetHeaderRoute(header_route(found.set_header_route))
        return Pause(pause_seconds(found.pause or PauseStep()))

    def analysis(self, found: RolloutAnalysis, *, ends: bool) -> Analysis:
        try:
            return templates.analysis_of(found, self.templates, self.about, ends=ends)
        except BadAnalysis as wrong:
            names = tuple(one.template_name for one in found.templates)
            where = f" of AnalysisTemplate {wrong.template}" if wrong.template else ""
            return Analysis(templates=names, problem=f"the analysis{where}: {wrong.message}")


def pause_seconds(found: PauseStep) -> float | None:
    """Raises BadAmount. A number is in seconds, also as text."""
    asked = found.duration
    if asked is None:
        return None
    if isinstance(asked, str) and not (asked.isascii() and asked.isdigit()):
        return duration(asked, days=False)
    if int(asked) < 0:
        raise BadAmount("no less than 0")
    return float(asked)


def sticky(found: TrafficRouting) -> Stickiness | None:
    router = found.plugins.router if found.plugins else None
    asked = router.sticky if router else None
    return Stickiness(asked.by, asked.name) if asked else None


def _scale(found: CanaryScaleStep, most: int) -> SetCanaryScale:
    percent = found.weight * 100 // most if found.weight is not None else None
    return SetCanaryScale(replicas=found.replicas, percent=percent)


def header_route(found: HeaderRouteStep) -> HeaderRoute:
    matches = []
    for one in found.match:
        value = one.header_value
        if value.exact:
            matches.append(HeaderMatch(one.header_name, "exact", value.exact))
        elif value.regex:
            matches.append(HeaderMatch(one.header_name, "regex", value.regex))
        else:
            matches.append(HeaderMatch(one.header_name, "prefix", value.prefix))
    return HeaderRoute(found.name, tuple(matches))
