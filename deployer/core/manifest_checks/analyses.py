"""AnalysisTemplates, and the analyses that Rollouts make of them, as far as one object alone can tell.

An argument without a value is given by whoever uses the template: what depends on it is checked there (`manifest_set`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from deployer.core.canary import templates
from deployer.core.canary.templates import About, BadAnalysis, arguments_in
from deployer.core.manifest_checks import names
from deployer.core.manifest_checks.finding import Finding, Path, shown
from deployer.core.objects.analysis import JUDGE, TRAFFIC, AnalysisTemplateSpec, Metric, TemplateArg, metric_data
from deployer.core.objects.rollout import AnalysisArg, RolloutAnalysis

_SPEC: Path = ("spec",)
MOST_METRICS = 50
_STAND_IN = "0"
"""For an argument whose value is not known here: it can be part of a query, and of a condition."""
_NUMBERS = ("count", "failureLimit", "inconclusiveLimit", "consecutiveErrorLimit", "consecutiveSuccessLimit")


def analysis_template(spec: AnalysisTemplateSpec) -> Iterator[Finding]:
    if not spec.metrics and not spec.templates:
        yield Finding((*_SPEC, "metrics"), "is required, or templates", "write what is measured")
    if len(spec.metrics) > MOST_METRICS:
        message = f"has {len(spec.metrics)} metrics, {MOST_METRICS} are the limit"
        yield Finding((*_SPEC, "metrics"), message, "write fewer")
        return
    found = ((one.name, (*_SPEC, "metrics", index, "name")) for index, one in enumerate(spec.metrics))
    yield from names.unique(found, "metrics")
    found = ((one.name, (*_SPEC, "args", index, "name")) for index, one in enumerate(spec.args))
    yield from names.unique(found, "arguments")
    for index, arg in enumerate(spec.args):
        if arg.value is not None and arg.value_from is not None:
            yield Finding((*_SPEC, "args", index), "has value and valueFrom", "write one of the two")
    for index, metric in enumerate(spec.metrics):
        yield from _metric(metric, spec.args, (*_SPEC, "metrics", index))
    yield from _judges(spec)


def of_rollout(found: RolloutAnalysis, path: Path) -> Iterator[Finding]:
    if not found.templates:
        yield Finding((*path, "templates"), "is required", "name an AnalysisTemplate")
    given = ((one.name, (*path, "args", index, "name")) for index, one in enumerate(found.args))
    yield from names.unique(given, "arguments")
    for index, one in enumerate(found.args):
        yield from _given(one, (*path, "args", index))


def _given(one: AnalysisArg, path: Path) -> Iterator[Finding]:
    source = one.value_from
    if source is None:
        return
    place = (*path, "valueFrom")
    if one.value:
        yield Finding(path, "has value and valueFrom", "write one of the two")
    if (source.pod_template_hash_value is None) == (source.field_ref is None):
        yield Finding(place, "must be exactly one of podTemplateHashValue and fieldRef")
    elif source.field_ref is not None and About().field(source.field_ref.field_path) is None:
        message = f'"{shown(source.field_ref.field_path)}" is not a field that can be asked for'
        yield Finding((*place, "fieldRef", "fieldPath"), message, templates.FIELDS_REMEDY)


def _metric(metric: Metric, args: tuple[TemplateArg, ...], path: Path) -> Iterator[Finding]:
    if not metric.name:
        yield Finding((*path, "name"), "must not be empty")
    known = {one.name for one in args}
    strange = False
    for place, text in _texts(metric_data(metric), ()):
        for name in arguments_in(text):
            if name.removeprefix("args.") not in known or not name.startswith("args."):
                strange = True
                listed = ", ".join(sorted(known)) or "none"
                message = f"{{{{{shown(name)}}}}} is no argument"
                yield Finding((*path, *place), message, f"arguments that are there: {shown(listed)}")
    if strange:
        return
    unknown = {one.name for one in args if one.value is None and one.value_from is None}
    filled = tuple(one if one.name not in unknown else TemplateArg(name=one.name, value=_STAND_IN) for one in args)
    alone = AnalysisTemplateSpec(metrics=(_standing_in(metric, unknown),), args=filled)
    try:
        templates.analysis_of(RolloutAnalysis.model_validate(_USED), {"": alone}, About())
    except BadAnalysis as wrong:
        yield Finding((*path, *wrong.path[2:]), wrong.message, wrong.remedy)


_USED = {"templates": [{"templateName": ""}]}


def _standing_in(metric: Metric, unknown: set[str]) -> Metric:
    """The metric without what no stand-in could be right for."""

    def is_open(value: Any) -> bool:
        texts = [text for _, text in _texts(value, ())]
        return any(name.removeprefix("args.") in unknown for text in texts for name in arguments_in(text))

    data = metric_data(metric)
    if any(is_open(data.get(name)) for name in _NUMBERS):
        data = {name: value for name, value in data.items() if name not in _NUMBERS}
    for name in ("interval", "initialDelay"):
        if is_open(data.get(name)):
            data[name] = "1s"
    plugin = data["provider"].get("plugin") or {}
    made = {
        key: {name: value for name, value in fields.items() if not is_open(value)} for key, fields in plugin.items()
    }
    if TRAFFIC in made:
        made[TRAFFIC].setdefault("measure", "errors")
    if is_open((data["provider"].get("prometheus") or {}).get("address")):
        data["provider"]["prometheus"]["address"] = "http://stand-in"
    return Metric.model_validate({**data, "provider": {**data["provider"], **({"plugin": made} if made else {})}})


def _judges(spec: AnalysisTemplateSpec) -> Iterator[Finding]:
    judges = [n for n, one in enumerate(spec.metrics) if one.provider.plugin and one.provider.plugin.judge is not None]
    for index in judges[1:]:
        path = (*_SPEC, "metrics", index, "provider", "plugin", JUDGE)
        yield Finding(path, "is there twice: an analysis has one judge", "remove one of the metrics")


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from _texts(one, (*path, name))
    elif isinstance(value, list | tuple):
        for index, one in enumerate(value):
            yield from _texts(one, (*path, index))
