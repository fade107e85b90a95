"""Rollouts, AnalysisTemplates and the annotation for a canary: what is accepted, and what is told of each mistake."""

from __future__ import annotations

import pytest

from deployer.core.canary.annotation import ANNOTATION
from tests.core.manifest_scenarios import read, remedies, told

A = f"metadata.annotations = {{{ANNOTATION}: %s}}"
NOTE = f'metadata.annotations["{ANNOTATION}"]'
C = "spec.strategy.canary"
S = f"{C}.steps[0]"
B = "spec.strategy.blueGreen"
LONG = ". " * 300 + "b"
BLUE = "spec.strategy = {blueGreen: {activeService: web, %s}}"
M = "spec.metrics[0]"


@pytest.mark.parametrize(
    ("change", "sentences"),
    [
        (A % "'5% for 10m, errors < 1%'", []),
        (A % '"1% for 5m\\n50%\\nerrors < 1%"', []),
        (A % "5", [f"{NOTE}: must be text, not a whole number"]),
        (A % "'5 for 10m'", [f'{NOTE}: column 1: expected a stage such as 5% for 10m, found "5"']),
        (A % '"5%\\n  10% four"', [f'{NOTE}: line 2, column 7: expected a comma or the end of the line, found "four"']),
        (f"{A % '5%'};; spec.strategy.type = Recreate",
         [f"{NOTE}: needs old and new pods at once, and strategy.type is Recreate"]),
        (f"spec.template.{A % '5%'}",
         [f'spec.template.metadata.annotations["{ANNOTATION}"]: is not looked for in the template']),
    ],
)  # fmt: skip
def test_the_annotation_of_a_deployment(change: str, sentences: list[str]) -> None:
    assert told("Deployment", change) == sentences


def test_the_annotation_is_told_with_the_line_of_its_field() -> None:
    text = (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n  annotations:\n    pierhead.io/canary: |\n"
        "      5% for 10m\n      errors < 1\n      foo\nspec:\n  selector: {matchLabels: {app: web}}\n"
        "  template:\n    metadata: {labels: {app: web}}\n    spec: {containers: [{name: a, image: a}]}\n"
    )
    (error,) = read(text).errors
    assert (error.file, error.line, error.field) == ("k8s/app.yaml", 6, NOTE)
    assert error.message.startswith("line 3, column 1: expected a stage such as 5% for 10m, or a rule: errors < 1%, ")
    assert error.message.endswith('found "foo"')
    assert error.remedy == 'write one such as "5% for 10m, errors < 1%"; see the README'


@pytest.mark.parametrize("kind", ["Pod", "Service", "Ingress", "ConfigMap", "Namespace", "Rollout", "AnalysisTemplate"])
def test_the_annotation_is_for_deployments(kind: str) -> None:
    (sentence,) = told(kind, A % "5%")
    assert sentence.startswith(f"{NOTE}: is ")


@pytest.mark.parametrize(
    ("change", "sentences"),
    [
        ("", []),
        ("spec.strategy = {canary: {}}", []),
        ("spec.strategy = {canary: }", ["spec.strategy: needs canary or blueGreen"]),
        ("spec.strategy = -", ["spec.strategy: is required"]),
        ("spec.selector = -", ["spec.selector: is required"]),
        ("spec.template = -", ["spec.template: is required"]),
        (f"{B}.activeService = web", ["spec.strategy: has canary and blueGreen"]),
        ("spec.strategy.rollingUpdate = {}", ["spec.strategy.rollingUpdate: is not a field that Argo Rollouts knows"]),
        ("spec.template.spec.restartPolicy = Never",
         ["spec.template.spec.restartPolicy: must be Always in a Rollout, not Never"]),
        ("spec.template.spec.containers[0].foo = 1",
         ["spec.template.spec.containers[0].foo: is not a field that Kubernetes knows"]),
        ("spec.selector.matchLabels.app = other",
         ["spec.selector.matchLabels.app: spec.template.metadata.labels do not have app=other"]),
        ("spec.progressDeadlineSeconds = 5;; spec.minReadySeconds = 9",
         ["spec.progressDeadlineSeconds: must be more than minReadySeconds (9)"]),
        ("spec.progressDeadlineAbort = true", []),
        ("spec.progressDeadlineAbort = false", ["spec.progressDeadlineAbort: false is not supported"]),
        ("spec.paused = true", []),
        (f"{C}.maxSurge = 0;; {C}.maxUnavailable = 0%",
         [f"{C}.maxUnavailable: maxSurge and maxUnavailable are both 0: no pod could ever be replaced"]),
        (f"{C}.maxSurge = lots", [f"{C}.maxSurge: is neither a number nor a percentage"]),
        (f"{C}.dynamicStableScale = false", []),
        (f"{C}.dynamicStableScale = true", [f"{C}.dynamicStableScale: true is not supported"]),
        (f"{C}.abortScaleDownDelaySeconds = -1", [f"{C}.abortScaleDownDelaySeconds: must be at least 0"]),
        (f"{C}.canaryService = Web", [f'{C}.canaryService: "Web" is not a valid name']),
        (f"{C}.canaryService = a;; {C}.stableService = a",
         [f"{C}.stableService: is the Service of canaryService too"]),
        (f"{C}.canaryService = a;; {C}.stableService = b", []),
        (f"{C}.scaleDownDelaySeconds = 30", [f"{C}.scaleDownDelaySeconds: is not supported"]),
        (f"{S} = {{}}", [f"{S}: is empty"]),
        (f"{S} = {{setWeight: 5, pause: {{}}}}", [f"{S}: has setWeight and pause"]),
        (f"{S}.setWeight = 101", [f"{S}.setWeight: must be from 0 to 100"]),
        (f"{S}.setWeight = -1", [f"{S}.setWeight: must be at least 0"]),
        (f"{S}.setWeight = 20%", [f"{S}.setWeight: must be a whole number, not text"]),
        (f"{S}.setWeight = 500;; {C}.trafficRouting.maxTrafficWeight = 1000", []),
        (f"{C}.trafficRouting.maxTrafficWeight = 300",
         [f"{C}.trafficRouting.maxTrafficWeight: weights are counted in hundredths of a percent: 300 does not divide "
          "10000"]),
        (f"{S} = {{pause: {{}}}}", []),
        (f"{S} = {{pause: {{duration: 30}}}}", []),
        (f"{S} = {{pause: {{duration: '30'}}}}", []),
        (f"{S} = {{pause: {{duration: 1h30m}}}}", []),
        (f"{S} = {{pause: {{duration: 1d}}}}",
         [f"{S}.pause.duration: must be a duration such as 90s, 10m or 1h30m"]),
        (f"{S} = {{pause: {{duration: -5}}}}", [f"{S}.pause.duration: must be no less than 0"]),
        (f"{S} = {{setCanaryScale: {{}}}}", [f"{S}.setCanaryScale: says no size"]),
        (f"{S} = {{setCanaryScale: {{replicas: 1, weight: 5}}}}", [f"{S}.setCanaryScale: says more than one size"]),
        (f"{S} = {{setCanaryScale: {{matchTrafficWeight: true}}}}", []),
        (f"{S} = {{setCanaryScale: {{replicas: 0}}}}", [f"{S}.setCanaryScale.replicas: must be at least 1"]),
        (f"{S} = {{setCanaryScale: {{weight: 5}}}};; {C}.trafficRouting.maxTrafficWeight = 1000",
         [f"{S}.setCanaryScale.weight: of 1000 is no whole percentage"]),
        (f"{S} = {{setHeaderRoute: {{match: []}}}}", [f"{S}.setHeaderRoute.name: is required"]),
        (f"{S} = {{setHeaderRoute: {{name: a}}}};; {C}.trafficRouting.managedRoutes = [{{name: b}}]",
         [f'{S}.setHeaderRoute.name: "a" is not among trafficRouting.managedRoutes']),
        (f"{S} = {{setHeaderRoute: {{name: a, match: [{{headerName: X-A, headerValue: {{exact: b}}}}]}}}}", []),
        (f"{S} = {{setHeaderRoute: {{name: a, match: [{{headerName: 'X A', headerValue: {{exact: b, regex: c}}}}]}}}}",
         [f'{S}.setHeaderRoute.match[0].headerName: "X A" is not the name of a header',
          f"{S}.setHeaderRoute.match[0].headerValue: must be exactly one of exact, prefix and regex"]),
        (f"{S} = {{setHeaderRoute: {{name: a, match: [{{headerName: X-A, headerValue: {{regex: '('}}}}]}}}}",
         [f"{S}.setHeaderRoute.match[0].headerValue.regex: opens a group that is not closed"]),
        (f"{S} = {{setHeaderRoute: {{name: a, match: [{{headerName: X-A, headerValue: {{regex: 'v(?!1)'}}}}]}}}}",
         [f"{S}.setHeaderRoute.match[0].headerValue.regex: has '?' after nothing that could be repeated"]),
        (f"{S} = {{setHeaderRoute: {{name: a, match: [{{headerName: X-A, headerValue: {{regex: '(a+)+'}}}}]}}}}",
         [f"{S}.setHeaderRoute.match[0].headerValue.regex: repeats with '+' a group with a choice or a repetition in "
          "it"]),
        (f"{S} = {{setHeaderRoute: {{name: a, match: [{{headerName: X-A, headerValue: {{exact: '{LONG}'}}}}]}}}}",
         [f"{S}.setHeaderRoute.match: its headers and values are too long"]),
        (f"{C}.stableService = web;; {C}.trafficRouting.nginx = {{stableIngress: site}}", []),
        (f"{C}.stableService = web;; {C}.trafficRouting.nginx = {{stableIngresses: [site, other]}}", []),
        (f"{C}.trafficRouting.nginx = {{stableIngress: site}}",
         [f"{C}.stableService: is required with trafficRouting.nginx"]),
        (f"{C}.stableService = web;; {C}.trafficRouting.nginx = {{}}",
         [f"{C}.trafficRouting.nginx: must be exactly one of stableIngress and stableIngresses"]),
        (f"{C}.stableService = web;; {C}.trafficRouting.nginx = {{stableIngress: a, stableIngresses: [a]}}",
         [f"{C}.trafficRouting.nginx: must be exactly one of stableIngress and stableIngresses"]),
        (f"{C}.stableService = web;; {C}.trafficRouting.nginx = {{stableIngresses: [a, a]}}",
         [f'{C}.trafficRouting.nginx.stableIngresses[1]: "a" is the name of two Ingresses']),
        (f"{C}.stableService = web;; {C}.trafficRouting.nginx = {{stableIngress: a, annotationPrefix: x}}",
         [f"{C}.trafficRouting.nginx.annotationPrefix: is not supported"]),
        (f"{S} = {{setMirrorRoute: {{name: a}}}}", [f"{S}.setMirrorRoute: is not supported"]),
        (f"{S} = {{analysis: {{}}}}", [f"{S}.analysis.templates: is required"]),
        (f"{C}.analysis.startingStep = 2;; {C}.analysis.templates = []",
         [f"{C}.analysis.startingStep: there are 2 steps, counted from 0: it would never begin",
          f"{C}.analysis.templates: is required"]),
        (f"{C}.analysis = {{templates: [{{templateName: a, clusterScope: true}}]}}",
         [f"{C}.analysis.templates[0].clusterScope: true is not supported"]),
        (f"{C}.analysis.args = [{{name: a, value: b, valueFrom: {{podTemplateHashValue: Latest}}}}, {{name: a}}]",
         [f"{C}.analysis.args[0]: has value and valueFrom", f'{C}.analysis.args[1].name: "a" is the name of two '
          "arguments", f"{C}.analysis.templates: is required"]),
        (f"{C}.analysis.args = [{{name: a, valueFrom: {{podTemplateHashValue: Newest}}}}]",
         [f"{C}.analysis.args[0].valueFrom.podTemplateHashValue: \"Newest\" is not supported",
          f"{C}.analysis.templates: is required"]),
        (f"{C}.analysis.args = [{{name: a, valueFrom: {{fieldRef: {{fieldPath: status.phase}}}}}}]",
         [f'{C}.analysis.args[0].valueFrom.fieldRef.fieldPath: "status.phase" is not a field that can be asked for',
          f"{C}.analysis.templates: is required"]),
        (f"{C}.trafficRouting.plugins = {{pierhead.io/router: {{sticky: {{by: cookie, name: session}}}}}}", []),
        (f"{C}.trafficRouting.plugins = {{pierhead.io/router: {{sticky: {{by: client}}}}}}", []),
        (f"{C}.trafficRouting.plugins = {{pierhead.io/router: {{sticky: {{by: ip}}}}}}",
         [f'{C}.trafficRouting.plugins["pierhead.io/router"].sticky.by: "ip" is not supported']),
        (f"{C}.trafficRouting.plugins = {{pierhead.io/router: {{sticky: {{by: cookie}}}}}}",
         [f'{C}.trafficRouting.plugins["pierhead.io/router"].sticky.name: "" is not the name of a cookie']),
        (f"{C}.trafficRouting.plugins = {{pierhead.io/router: {{sticky: {{by: client, name: a}}}}}}",
         [f'{C}.trafficRouting.plugins["pierhead.io/router"].sticky.name: is not for by: client']),
        (f"{C}.trafficRouting.plugins = {{argoproj-labs/gatewayAPI: {{}}}}",
         [f'{C}.trafficRouting.plugins["argoproj-labs/gatewayAPI"]: is not supported']),
        (BLUE % "", []),
        (BLUE % "previewService: web", [f"{B}.previewService: is the Service of activeService too"]),
        (BLUE % "previewReplicaCount: 0", [f"{B}.previewReplicaCount: must be at least 1"]),
        (BLUE % "autoPromotionEnabled: 'no'", [f"{B}.autoPromotionEnabled: must be true or false, not text"]),
        ("spec.strategy = {blueGreen: {previewService: a}}", [f"{B}.activeService: is required"]),
        (BLUE % "prePromotionAnalysis: {templates: []}", [f"{B}.prePromotionAnalysis.templates: is required"]),
    ],
)  # fmt: skip
def test_a_rollout(change: str, sentences: list[str]) -> None:
    assert told("Rollout", change) == sentences


@pytest.mark.parametrize(
    ("change", "remedy"),
    [
        ("spec.workloadRef = {kind: Deployment, name: web}", "write selector and template here; the Deployment of the "
         "same name becomes this Rollout in place, without a new pod"),
        (f"{C}.trafficRouting.istio = {{}}", "Pierhead's own router splits: leave trafficRouting out"),
        (f"{C}.trafficRouting.nginx.stableIngress = a", "name the Service that the Ingress leads to"),
        (f"{C}.trafficRouting.alb = {{}}", "Pierhead's own router splits: leave trafficRouting out"),
        (f"{C}.pingPong = {{pingService: a, pongService: b}}", "traffic is led to the pods without a change of "
         "Services: write canaryService and stableService, or neither"),
        (f"{C}.steps[2].experiment = {{templates: []}}", "the canary is judged against the stable pods at the same "
         "time: write an analysis with the plugin pierhead.io/judge"),
        (f"{C}.stpes = []", "did you mean steps?"),
        (f"{C}.trafficRouting.plugins = {{a/b: {{}}}}", "here can be: pierhead.io/router"),
        (f"{C}.trafficRouting.plugins = {{pierhead.io/router: {{stikcy: {{}}}}}}", "did you mean sticky?"),
        (f"{C}.trafficRouting.plugins = {{pierhead.io/router: {{sticky: {{by: ip, name: a}}}}}}",
         "write cookie, header or client"),
    ],
)  # fmt: skip
def test_what_to_do_about_it(change: str, remedy: str) -> None:
    assert remedies("Rollout", change) == [remedy]


@pytest.mark.parametrize(
    ("change", "sentences"),
    [
        ("", []),
        ("spec.metrics = []", ["spec.metrics: is required, or templates"]),
        ("spec.metrics = [];; spec.templates = [{templateName: errors}]", []),
        ("spec.args[0].name = limit", ['spec.args[1].name: "limit" is the name of two arguments',
         f"{M}.provider.prometheus.query: {{{{args.service}}}} is no argument"]),
        ("spec.args[1].value = 5", ["spec.args[1].value: must be text, not a whole number"]),
        ("spec.args[1].valueFrom = {secretKeyRef: {name: a, key: b}}", ["spec.args[1]: has value and valueFrom"]),
        ("spec.args[1] = {name: limit, valueFrom: {secretKeyRef: {name: a, key: b}}}",
         [f"{M}.successCondition: the argument limit stands in a Secret: only the end of a header can take it"]),
        ("spec.args[0].valueFrom = {fieldRef: {fieldPath: metadata.name}}",
         ["spec.args[0].valueFrom.fieldRef: is not supported"]),
        (f"{M}.name = ''", [f"{M}.name: must not be empty"]),
        (f"{M}.successCondition = 'result < {{{{args.limt}}}}'",
         [f"{M}.successCondition: {{{{args.limt}}}} is no argument"]),
        (f"{M}.successCondition = 'result < {{{{ inputs.limit }}}}'",
         [f"{M}.successCondition: {{{{inputs.limit}}}} is no argument"]),
        (f"{M}.failureCondition = 'result[0] > {{{{args.service}}}}'", []),
        (f"{M}.failureCondition = 'result[0 > 1'",
         [f"{M}.failureCondition: cannot be read: column 13: expected ']', found 'the end'"]),
        (f"{M}.interval = often", [f"{M}.interval: must be a duration such as 90s, 10m or 1h30m"]),
        (f"{M}.interval = '{{{{args.service}}}}'", []),
        (f"{M}.interval = '{{{{args.limit}}}}'", [f"{M}.interval: must be a duration such as 90s, 10m or 1h30m"]),
        (f"{M}.count = '{{{{args.service}}}}';; {M}.failureLimit = 9", []),
        (f"{M}.count = 3", [f"{M}.interval: is required: count is more than 1"]),
        (f"{M}.failureLimit = -1",
         [f"{M}.failureLimit: is -1 and there is no consecutiveSuccessLimit: it could never fail"]),
        (f"{M}.provider = {{}}", [f"{M}.provider: must be exactly one of prometheus and a plugin of Pierhead's"]),
        (f"{M}.provider.plugin = {{pierhead.io/traffic: {{measure: errors}}}}",
         [f"{M}.provider: must be exactly one of prometheus and a plugin of Pierhead's"]),
        (f"{M}.provider = {{web: {{url: http://a}}}}", [f"{M}.provider.web: is not supported"]),
        (f"{M}.provider = {{plugin: {{pierhead.io/traffic: {{measure: p95, of: stable}}}}}}", []),
        (f"{M}.provider = {{plugin: {{pierhead.io/traffic: {{measure: '{{{{args.service}}}}'}}}}}}", []),
        (f"{M}.provider = {{plugin: {{pierhead.io/traffic: {{measure: p42}}}}}}",
         [f'{M}.provider.plugin["pierhead.io/traffic"].measure: must be one of errors, slow, rate, p50, p95, p99']),
        (f"{M}.provider = {{plugin: {{pierhead.io/traffic: {{}}}}}}",
         [f'{M}.provider.plugin["pierhead.io/traffic"].measure: is required']),
        (f"{M}.provider = {{plugin: {{pierhead.io/traffic: {{measure: 5}}}}}}",
         [f'{M}.provider.plugin["pierhead.io/traffic"].measure: must be text']),
        (f"{M}.provider = {{plugin: {{argoproj-labs/sample: {{}}}}}}",
         [f'{M}.provider.plugin["argoproj-labs/sample"]: is not supported']),
        (f"{M} = {{name: j, provider: {{plugin: {{pierhead.io/judge: {{minDuration: 5m, margin: 0.5pp}}}}}}}}", []),
        (f"{M} = {{name: j, provider: {{plugin: {{pierhead.io/judge: {{margin: lots}}}}}}}}",
         [f'{M}.provider.plugin["pierhead.io/judge"].margin: must be a share such as 1%, 0.2pp or 0.01']),
        (f"{M} = {{name: j, provider: {{plugin: {{pierhead.io/judge: {{margn: 1%}}}}}}}}",
         [f'{M}.provider.plugin["pierhead.io/judge"].margn: is not supported']),
        (f"{M} = {{name: j, interval: 1m, provider: {{plugin: {{pierhead.io/judge: {{}}}}}}}}",
         [f"{M}.interval: is not for the judge"]),
        ("spec.metrics = [{name: a, provider: {plugin: {pierhead.io/judge: {}}}}, "
         "{name: b, provider: {plugin: {pierhead.io/judge: {}}}}]",
         ['spec.metrics[1].provider.plugin["pierhead.io/judge"]: is there twice: an analysis has one judge']),
        (f"{M}.provider.prometheus.address = '{{{{args.service}}}}'", []),
        (f"{M}.provider.prometheus.address = prometheus:9090",
         [f"{M}.provider.prometheus.address: must begin with http:// or https://"]),
        (f"{M}.provider.prometheus.timeout = 0", [f"{M}.provider.prometheus.timeout: must be at least 1"]),
        (f"{M}.provider.prometheus.authentication.oauth2.clientId = a",
         [f"{M}.provider.prometheus.authentication: is not supported"]),
        ("spec.dryRun = [{metricName: .*}]", []),
        ("spec.measurementRetention = [{metricName: a, limit: 1}]", ["spec.measurementRetention: is not supported"]),
    ],
)  # fmt: skip
def test_an_analysis_template(change: str, sentences: list[str]) -> None:
    assert told("AnalysisTemplate", change) == sentences
