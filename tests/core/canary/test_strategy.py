"""What a Rollout's strategy becomes: steps, services, stickiness, blue-green as steps of a canary."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from deployer.core.canary.kept import steps_hash
from deployer.core.canary.strategy import FOR_EVER_SECONDS, strategy_of
from deployer.core.canary.templates import About, filled
from deployer.core.canary.values import (
    Analyse,
    Analysis,
    HeaderMatch,
    HeaderRoute,
    Judge,
    Metric,
    Pause,
    Prometheus,
    SetCanaryScale,
    SetHeaderRoute,
    SetWeight,
    Step,
    Stickiness,
    Strategy,
    Traffic,
)

TEMPLATES: dict[str, Any] = yaml.safe_load("""
success-rate:
  args: [{name: service}, {name: port, value: "9090"}]
  metrics:
  - name: success-rate
    interval: 5m
    count: "{{args.count}}"
    successCondition: result[0] >= 0.95
    failureLimit: 3
    provider:
      prometheus: {address: "http://prometheus:{{ args.port }}", query: 'up{service="{{args.service}}"}'}
ours:
  metrics:
  - name: errors
    successCondition: result < 0.01
    provider: {plugin: {pierhead.io/traffic: {measure: errors}}}
judged:
  metrics:
  - name: judge
    provider: {plugin: {pierhead.io/judge: {minDuration: 5m, errorLimit: 1%, margin: 2pp}}}
""")
TEMPLATES["success-rate"]["args"].append({"name": "count", "value": "5"})
JUDGED = Analyse(Analysis(judge=Judge(min_seconds=300, error_limit=0.01, margin=0.02), templates=("judged",)))


def rollout(text: str, templates: dict[str, Any] = TEMPLATES, about: About | None = None) -> Strategy | None:
    return strategy_of("Rollout", {"strategy": yaml.safe_load(text)}, {}, templates, about)


def steps(text: str) -> tuple[Step, ...]:
    found = rollout(text)
    assert found is not None
    return found.steps


@pytest.mark.parametrize("text", ["canary: {}", "{}", "canary: {maxSurge: 1, steps: []}"])
def test_without_steps_it_is_a_rolling_update(text: str) -> None:
    assert rollout(text) is None


def test_an_analysis_without_steps_watches_the_rolling_update() -> None:
    found = rollout("canary: {analysis: {templates: [{templateName: judged}]}}")
    assert found and (found.steps, found.background) == ((), JUDGED.analysis)


def test_a_deployment_has_its_annotation() -> None:
    assert strategy_of("Deployment", {}, {}, {}) is None
    found = strategy_of("Deployment", {}, {"pierhead.io/canary": "5% for 10m"}, {})
    assert found and found.steps[0] == SetWeight(500)
    assert strategy_of("Deployment", {}, {"pierhead.io/canary": "what?"}, {}) is None


def test_ingresses_that_are_split_behind_the_stable_service() -> None:
    nginx = "canary: {stableService: web, trafficRouting: {nginx: {%s}}}"
    for written, names in (("stableIngress: a", ("a",)), ("stableIngresses: [a, b]", ("a", "b"))):
        found = rollout(nginx % written)
        assert found and (found.stable_service, found.ingresses) == ("web", names)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("setWeight: 20", SetWeight(2000)),
        ("setWeight: 0", SetWeight(0)),
        ("pause: {}", Pause()),
        ("pause: {duration: 10}", Pause(10.0)),
        ('pause: {duration: "10"}', Pause(10.0)),
        ("pause: {duration: 0}", Pause(0.0)),
        ("pause: {duration: 1h30m}", Pause(5400.0)),
        ("pause: {duration: 1.5h}", Pause(5400.0)),
        ("setCanaryScale: {replicas: 3}", SetCanaryScale(replicas=3)),
        ("setCanaryScale: {weight: 25}", SetCanaryScale(percent=25)),
        ("setCanaryScale: {matchTrafficWeight: true}", SetCanaryScale()),
        ("setHeaderRoute: {name: a}", SetHeaderRoute(HeaderRoute("a"))),
        (
            "setHeaderRoute: {name: a, match: [{headerName: X-A, headerValue: {exact: b}},"
            " {headerName: X-B, headerValue: {prefix: c}}, {headerName: X-C, headerValue: {regex: 'd.*'}}]}",
            SetHeaderRoute(
                HeaderRoute(
                    "a",
                    (
                        HeaderMatch("X-A", "exact", "b"), HeaderMatch("X-B", "prefix", "c"),
                        HeaderMatch("X-C", "regex", "d.*"),
                    ),
                )
            ),
        ),
        ("analysis: {templates: [{templateName: judged}]}", JUDGED),
        (
            "analysis: {templates: [{templateName: ours}]}",
            Analyse(
                Analysis(
                    metrics=(Metric("errors", Traffic("errors"), count=1, success_condition="result < 0.01"),),
                    templates=("ours",),
                )
            ),
        ),
    ],
)  # fmt: skip
def test_steps(step: str, expected: Step) -> None:
    assert steps(f"canary: {{steps: [{{{step}}}]}}") == (expected,)


def test_weights_of_another_whole() -> None:
    text = (
        "canary: {trafficRouting: {maxTrafficWeight: 1000}, steps: [{setWeight: 5}, {setCanaryScale: {weight: 250}}]}"
    )
    assert steps(text) == (SetWeight(50), SetCanaryScale(percent=25))


def test_services_stickiness_and_delays() -> None:
    found = rollout(
        "canary: {canaryService: web-canary, stableService: web-stable, steps: [{pause: {}}], trafficRouting: "
        "{plugins: {pierhead.io/router: {sticky: {by: cookie, name: session}}}}, abortScaleDownDelaySeconds: 5}"
    )
    assert found == Strategy(
        "Canary", (Pause(),), sticky=Stickiness("cookie", "session"), canary_service="web-canary",
        stable_service="web-stable", abort_scale_down_delay_seconds=5.0,
    )  # fmt: skip


@pytest.mark.parametrize(("written", "seconds"), [("", 30.0), (", abortScaleDownDelaySeconds: 0", FOR_EVER_SECONDS)])
def test_how_long_an_aborted_canary_stays(written: str, seconds: float) -> None:
    for text in (f"canary: {{steps: [{{pause: {{}}}}]{written}}}", f"blueGreen: {{activeService: web{written}}}"):
        found = rollout(text)
        assert found and found.abort_scale_down_delay_seconds == seconds


PRE, POST = "prePromotionAnalysis: {templates: [{templateName: judged}]}", "postPromotionAnalysis"
FULL, ALL = SetCanaryScale(percent=100), SetWeight(10_000)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("", (FULL, ALL)),
        ("autoPromotionEnabled: true", (FULL, ALL)),
        ("autoPromotionEnabled: false", (FULL, Pause(), ALL)),
        ("autoPromotionEnabled: false, autoPromotionSeconds: 30", (FULL, Pause(), ALL)),
        ("autoPromotionSeconds: 30", (FULL, Pause(30.0), ALL)),
        ("previewReplicaCount: 1", (SetCanaryScale(replicas=1), FULL, ALL)),
        (PRE, (FULL, JUDGED, ALL)),
        (f"{PRE}, autoPromotionEnabled: false", (FULL, JUDGED, Pause(), ALL)),
        (PRE.replace("prePromotionAnalysis", POST), (FULL, ALL, JUDGED)),
    ],
)
def test_blue_green_is_a_canary_with_other_steps(written: str, expected: tuple[Step, ...]) -> None:
    found = rollout(f"blueGreen: {{activeService: web, previewService: preview, {written}}}")
    assert found == Strategy(
        "BlueGreen", expected, canary_service="preview", scale_down_delay_seconds=30.0,
        abort_scale_down_delay_seconds=30.0,
    )  # fmt: skip


def test_background_analysis() -> None:
    found = rollout(
        "canary: {steps: [{setWeight: 20}], analysis: {startingStep: 2, templates: [{templateName: success-rate}], "
        "args: [{name: service, value: web}, {name: port, value: '80'}]}}"
    )
    assert found and found.background_from == 2
    assert found.background == Analysis(
        metrics=(
            Metric(
                "success-rate", Prometheus("http://prometheus:80", 'up{service="web"}'), interval_seconds=300.0,
                count=5, success_condition="result[0] >= 0.95", failure_limit=3,
            ),
        ),
        templates=("success-rate",),
    )  # fmt: skip


def test_hashes_are_put_in_when_a_run_begins() -> None:
    found = rollout(
        "canary: {analysis: {templates: [{templateName: success-rate}], args: [{name: service, valueFrom: "
        "{podTemplateHashValue: Stable}}, {name: port, valueFrom: {podTemplateHashValue: Latest}}]}}"
    )
    assert found and found.background
    provider = filled(found.background, "old", "new").metrics[0].provider
    assert provider == Prometheus("http://prometheus:new", 'up{service="old"}')
    assert steps_hash(found) == steps_hash(found)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "web"),
        ("metadata.namespace", "shop"),
        ("metadata.labels['region']", "eu"),
        ("metadata.annotations['team/mail']", "a@b"),
        ("metadata.labels['none']", ""),
    ],
)
def test_an_argument_from_the_metadata(path: str, value: str) -> None:
    text = (
        "canary: {analysis: {templates: [{templateName: success-rate}], args: [{name: service, valueFrom: "
        f'{{fieldRef: {{fieldPath: "{path}"}}}}}}]}}}}'
    )
    found = rollout(text, TEMPLATES, About("web", "shop", {"region": "eu"}, {"team/mail": "a@b"}))
    assert found and found.background
    provider = found.background.metrics[0].provider
    assert isinstance(provider, Prometheus) and provider.query == f'up{{service="{value}"}}'


def test_a_secret_is_named_and_never_read() -> None:
    templates = yaml.safe_load("""
    private:
      args: [{name: token, valueFrom: {secretKeyRef: {name: prometheus, key: token}}}, {name: kind, value: Bearer}]
      metrics:
      - name: up
        provider:
          prometheus:
            address: https://prometheus
            query: up
            headers:
            - {key: Authorization, value: "{{args.kind}} {{args.token}}"}
            - {key: X-Token, value: "{{args.token}}"}
            - {key: X-Scope, value: shop}
    """)
    found = rollout("canary: {steps: [{analysis: {templates: [{templateName: private}]}}]}", templates)
    assert found and isinstance(found.steps[0], Analyse)
    assert found.steps[0].analysis.metrics[0].provider == Prometheus(
        "https://prometheus", "up", headers=(("X-Scope", "shop"),),
        secret_headers=(("Authorization", "prometheus", "token"), ("X-Token", "prometheus", "token")),
        secret_prefixes=(("Authorization", "Bearer "),),
    )  # fmt: skip


def test_an_analysis_that_cannot_be_made_says_why() -> None:
    found = rollout("canary: {steps: [{analysis: {templates: [{templateName: gone}]}}]}")
    assert found and found.steps == (
        Analyse(Analysis(templates=("gone",), problem="the analysis: there is no AnalysisTemplate gone")),
    )
