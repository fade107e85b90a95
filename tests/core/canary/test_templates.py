"""AnalysisTemplates with their arguments: how they are merged, and what is told of each mistake."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.core.canary.templates import About, BadAnalysis, analysis_of
from deployer.core.canary.values import Analysis, Judge, Metric, Prometheus, Traffic
from deployer.core.objects.rollout import RolloutAnalysis

OURS = "provider: {plugin: {pierhead.io/traffic: {measure: errors}}}"
JUDGE = "provider: {plugin: {pierhead.io/judge: %s}}"


def analysis(asked: str, templates: str, *, ends: bool = False) -> Analysis:
    found = RolloutAnalysis.model_validate(yaml.safe_load(asked))
    return analysis_of(found, yaml.safe_load(templates), About("web", "shop"), ends=ends)


def of_metric(text: str, *, ends: bool = False, args: str = "[]") -> Analysis:
    """The analysis of one template with one metric."""
    template = {"a": {"metrics": [{"name": "m", **yaml.safe_load(text)}], "args": yaml.safe_load(args)}}
    return analysis("templates: [{templateName: a}]", yaml.safe_dump(template), ends=ends)


def test_templates_are_merged() -> None:
    found = analysis(
        "{templates: [{templateName: a}, {templateName: b}], args: [{name: x, value: p95}]}",
        f"""
        a: {{metrics: [{{name: one, {OURS}}}], args: [{{name: x}}], templates: [{{templateName: c}}]}}
        b: {{metrics: [{{name: two, provider: {{plugin: {{pierhead.io/traffic: {{measure: "{{{{args.x}}}}"}}}}}}}}],
             args: [{{name: x, value: p50}}]}}
        c: {{metrics: [{{name: three, {OURS}}}], templates: [{{templateName: a}}]}}
        """,
    )
    names = [(one.name, one.provider) for one in found.metrics]
    assert names == [("one", Traffic("errors")), ("two", Traffic("p95")), ("three", Traffic("errors"))]
    assert found.templates == ("a", "b", "c")


def test_the_judge_beside_metrics() -> None:
    found = analysis(
        "{templates: [{templateName: a}]}",
        f"a: {{metrics: [{{name: j, {JUDGE % '{}'}}}, {{name: m, {OURS}}}]}}",
    )
    assert found == Analysis(Judge(), (Metric("m", Traffic("errors"), count=1),), ("a",))


def test_every_setting_of_the_judge() -> None:
    found = of_metric(
        JUDGE
        % "{metrics: [slow], interval: 5s, warmup: 20s, minDuration: 2m, maxDuration: 1h, alpha: 0.02, tolerance: 2, "
        "minEffect: 0.5pp, margin: 2%, slowMargin: 4pp, errorLimit: 1%, slowLimit: 0.05, guardShare: 50%, "
        "guardRequests: 30, onNoTraffic: promote, onInconclusive: abort}"
    )
    assert found.judge == Judge(
        metrics=("slow",), interval_seconds=5, warmup_seconds=20, min_seconds=120, max_seconds=3600, alpha=0.02,
        tolerance=2, min_effect=0.005, margin=0.02, slow_margin=0.04, error_limit=0.01, slow_limit=0.05,
        guard_share=0.5, guard_requests=30, on_no_traffic="promote", on_inconclusive="abort",
    )  # fmt: skip


def test_fields_of_a_metric() -> None:
    found = of_metric(
        'interval: 5m, initialDelay: 90s, count: "10", successCondition: "result < {{args.x}}", failureCondition: '
        "result > 1, failureLimit: 2, inconclusiveLimit: 3, consecutiveErrorLimit: 5, consecutiveSuccessLimit: 4, "
        "provider: {prometheus: {address: http://a, query: up, timeout: 5, insecure: true}}".join("{}"),
        args='[{name: x, value: "3"}]',
    )
    assert found.metrics == (
        Metric(
            "m", Prometheus("http://a", "up", 5.0, insecure=True), interval_seconds=300, initial_delay_seconds=90,
            count=10, success_condition="result < 3", failure_condition="result > 1", failure_limit=2,
            inconclusive_limit=3, consecutive_error_limit=5, consecutive_success_limit=4,
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("written", "count"),
    [("", 1), ("count: 0", 1), ("interval: 1m", 0), ("{interval: 1m, count: 0}", 0), ("{interval: 1m, count: 3}", 3)],
)
def test_how_often_is_measured(written: str, count: int) -> None:
    text = yaml.safe_dump({**(yaml.safe_load(written) or {}), **yaml.safe_load(OURS)})
    assert of_metric(text).metrics[0].count == count


@pytest.mark.parametrize(
    ("pattern", "dry"), [("*", "ab"), ("a", "a"), ("^b$", "b"), (".", "ab"), (".*", "ab"), ("^.*b", "b"), ("a$", "a")]
)
def test_metrics_that_do_not_count(pattern: str, dry: str) -> None:
    templates = f"a: {{metrics: [{{name: a, {OURS}}}, {{name: b, {OURS}}}]}}"
    found = analysis(f"{{templates: [{{templateName: a}}], dryRun: [{{metricName: '{pattern}'}}]}}", templates)
    assert "".join(one.name for one in found.metrics if one.dry_run) == dry


@pytest.mark.parametrize(
    ("written", "path", "message"),
    [
        ("provider: {}", "provider", "must be exactly one of prometheus and a plugin of Pierhead's"),
        ("provider: {plugin: {pierhead.io/traffic: {measure: errors}, pierhead.io/judge: {}}}", "provider",
         "must be exactly one of prometheus and a plugin of Pierhead's"),
        ("provider: {prometheus: {address: prometheus, query: up}}", "provider.prometheus.address",
         "must begin with http:// or https://"),
        ("provider: {prometheus: {address: http://a}}", "provider.prometheus.query", "is required"),
        ("provider: {plugin: {pierhead.io/traffic: {measure: p42}}}", "provider.plugin.pierhead.io/traffic.measure",
         "must be one of errors, slow, rate, p50, p95, p99"),
        ("provider: {plugin: {pierhead.io/traffic: {measure: rate, of: all}}}",
         "provider.plugin.pierhead.io/traffic.of", "must be one of canary, stable"),
        (f"{{count: 2, {OURS}}}", "interval", "is required: count is more than 1"),
        (f"{{interval: 1d, {OURS}}}", "interval", "must be a duration such as 90s, 10m or 1h30m"),
        (f"{{initialDelay: soon, {OURS}}}", "initialDelay", "must be a duration such as 90s, 10m or 1h30m"),
        (f"{{count: -1, {OURS}}}", "count", "must be a whole number of at least 0"),
        (f"{{count: two, {OURS}}}", "count", "must be a whole number of at least 0"),
        (f"{{failureLimit: -2, {OURS}}}", "failureLimit", "must be a whole number of at least -1"),
        (f"{{failureLimit: -1, {OURS}}}", "failureLimit",
         "is -1 and there is no consecutiveSuccessLimit: it could never fail"),
        (f"{{interval: 1m, count: 3, failureLimit: 2, consecutiveSuccessLimit: 2, {OURS}}}", "count",
         "must be no less than failureLimit and consecutiveSuccessLimit together"),
        (f"{{interval: 1m, count: 3, inconclusiveLimit: 4, {OURS}}}", "count",
         "must be no less than inconclusiveLimit"),
        (f'{{successCondition: "result < {{{{args.y}}}}", {OURS}}}', "successCondition", "{{args.y}} is no argument"),
        (f'{{successCondition: "result < {{{{inputs.x}}}}", {OURS}}}', "successCondition",
         "{{inputs.x}} is no argument"),
        (f'{{successCondition: "result < {{{{args.s}}}}", {OURS}}}', "successCondition",
         "the argument s stands in a Secret: only the end of a header can take it"),
        ("provider: {prometheus: {address: http://a, query: up, headers: [{key: A, value: '{{args.s}} x'}]}}",
         "provider.prometheus.headers.0.value",
         "the argument s stands in a Secret: only the end of a header can take it"),
        (f"{{interval: 1m, {JUDGE % '{}'}}}", "interval", "is not for the judge"),
        (JUDGE % "{minDuration: 0s}", "provider.plugin.pierhead.io/judge.minDuration",
         "must be at least 1s and at most 30d"),
        (JUDGE % "{margin: lots}", "provider.plugin.pierhead.io/judge.margin",
         "must be a share such as 1%, 0.2pp or 0.01"),
        (JUDGE % "{minDuration: 10m, maxDuration: 5m}", "provider.plugin.pierhead.io/judge.maxDuration",
         "must be no less than minDuration and warmup"),
        (JUDGE % "{onNoTraffic: wait}", "provider.plugin.pierhead.io/judge.onNoTraffic",
         "must be one of extend, pause, promote, abort"),
        (JUDGE % "{metrics: [errors, errors]}", "provider.plugin.pierhead.io/judge.metrics.1",
         "must be errors or slow, each once"),
        (JUDGE % "{metrics: []}", "provider.plugin.pierhead.io/judge.metrics", "must be errors, slow, or both"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_metric(written: str, path: str, message: str) -> None:
    args = "[{name: x, value: '1'}, {name: s, valueFrom: {secretKeyRef: {name: a, key: b}}}]"
    with pytest.raises(BadAnalysis) as found:
        of_metric(written, args=args)
    assert found.value.message == message
    assert found.value.template == "a"
    assert ".".join(map(str, found.value.path)) == f"metrics.0.{path}"


def test_an_analysis_that_a_step_waits_for_must_end() -> None:
    written = f"{{interval: 1m, {OURS}}}"
    assert of_metric(written).metrics[0].count == 0
    with pytest.raises(BadAnalysis, match="m would never end, and a step waits for it"):
        of_metric(written, ends=True)


@pytest.mark.parametrize(
    ("asked", "templates", "message", "path", "template"),
    [
        ("templates: [{templateName: b}]", "a: {}", "there is no AnalysisTemplate b", "templates.0.templateName", ""),
        ("templates: [{templateName: a}]", "a: {templates: [{templateName: b}]}", "there is no AnalysisTemplate b",
         "templates.0.templateName", "a"),
        ("templates: []", "a: {}", "has no metrics", "templates", ""),
        ("templates: [{templateName: a}]", "a: {}", "has no metrics", "templates", ""),
        ("templates: [{templateName: a}]", "a: {args: [{name: x}]}", "AnalysisTemplate a needs the argument x", "args",
         ""),
        ("templates: [{templateName: a}, {templateName: b}]", "{a: {args: [{name: x, value: '1'}]}, "
         "b: {args: [{name: x, value: '2'}]}}", "the argument x has another value in another template", "args.0.value",
         "b"),
        ("{templates: [{templateName: a}], args: [{name: x, valueFrom: {fieldRef: {fieldPath: status.phase}}}]}",
         "a: {}", "only the Rollout's metadata can be asked for", "args.0.valueFrom.fieldRef.fieldPath", ""),
        ("templates: [{templateName: a}, {templateName: b}]", f"{{a: {{metrics: [{{name: m, {OURS}}}]}}, "
         f"b: {{metrics: [{{name: m, {OURS}}}]}}}}", "two metrics are called m", "metrics.0.name", "b"),
        ("templates: [{templateName: a}]",
         f"a: {{metrics: [{{name: m, {JUDGE % '{}'}}}, {{name: n, {JUDGE % '{}'}}}]}}",
         "more than one of its metrics is the judge", "templates", ""),
        ("{templates: [{templateName: a}], dryRun: [{metricName: x}]}", f"a: {{metrics: [{{name: m, {OURS}}}]}}",
         "no metric is called x", "dryRun", ""),
        ("{templates: [{templateName: a}], dryRun: [{metricName: '['}]}", f"a: {{metrics: [{{name: m, {OURS}}}]}}",
         "no metric is called [", "dryRun", ""),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_analysis(asked: str, templates: str, message: str, path: str, template: str) -> None:
    with pytest.raises(BadAnalysis) as found:
        analysis(asked, templates)
    assert found.value.message == message
    assert (".".join(map(str, found.value.path)), found.value.template) == (path, template)


def test_templates_that_name_each_other_without_end() -> None:
    many: dict[str, Any] = {f"t{n}": {"templates": [{"templateName": f"t{n + 1}"}]} for n in range(100)}
    with pytest.raises(BadAnalysis, match="more than 50 templates"):
        analysis("templates: [{templateName: t0}]", yaml.safe_dump(many))


PATTERNS = st.builds(
    "{}{}{}".format, st.sampled_from(["", "^"]), st.lists(st.sampled_from(["a", "b", ".", ".*"])).map("".join),
    st.sampled_from(["", "$"]),
)  # fmt: skip


@settings(max_examples=300)
@given(pattern=PATTERNS, name=st.text(alphabet="ab", min_size=1, max_size=8))
def test_patterns_are_regular_expressions(pattern: str, name: str) -> None:
    template = {"a": {"metrics": [{"name": name, **yaml.safe_load(OURS)}]}}
    asked = RolloutAnalysis.model_validate({"templates": [{"templateName": "a"}], "dryRun": [{"metricName": pattern}]})
    try:
        found = analysis_of(asked, template, About()).metrics[0].dry_run
    except BadAnalysis:
        found = False
    assert found == (re.search(pattern, name) is not None)


@settings(max_examples=60)
@given(value=st.text(max_size=40), before=st.text(alphabet="ab{}. ", max_size=5))
def test_the_value_of_an_argument_is_never_read_again(value: str, before: str) -> None:
    """Whatever it holds: braces in a value fill nothing in."""
    before = before.replace("{", "")
    metric = {"name": "m", "provider": {"prometheus": {"address": "http://a", "query": before + " {{args.x}}"}}}
    templates = {"a": {"args": [{"name": "x", "value": value}, {"name": "y", "value": "b"}], "metrics": [metric]}}
    asked = RolloutAnalysis.model_validate({"templates": [{"templateName": "a"}]})
    if not (before + value).strip():
        return  # that is no query
    provider = analysis_of(asked, templates, About()).metrics[0].provider
    assert isinstance(provider, Prometheus) and provider.query == f"{before} {value}"
