"""Argo Rollouts' own examples (v1.9.1, `examples`): which run as they are, and which field stops the others.

The manifests here are written anew and short: of each example, the fields that it is about. What is told of the whole
examples is the same.
"""

from __future__ import annotations

import pytest
import yaml

from deployer.core.manifests import read_manifests
from deployer.core.repository import SourceFile

CANARY = "spec.strategy.canary"
ROUTER = "Pierhead's own router splits: leave trafficRouting out"
JUDGE = (
    "the canary is judged against the stable pods at the same time: write an analysis with the plugin pierhead.io/judge"
)
PROVIDER = (
    "write prometheus, or a plugin: pierhead.io/traffic measures errors, slow requests, rate and latency at the routers"
)
NAMED = "templates are of one namespace: commit it there as an AnalysisTemplate"
OWN = (
    "write selector and template here; the Deployment of the same name becomes this Rollout in place, without a new pod"
)
MIRROR = "requests are not mirrored: write setWeight, or setHeaderRoute for testers"
EXPERIMENT = "experiment: {duration: 5m, templates: [{name: canary, specRef: canary}]}"
SERVICES = "canaryService: web-canary, stableService: web-stable"


def kept(strategy: str, **other: str) -> str:
    """A Rollout with this strategy, and other objects: kind and name -> spec."""
    template = "{metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: web}]}}"
    spec = f"{{selector: {{matchLabels: {{app: web}}}}, template: {template}, strategy: {strategy}}}"
    texts = [_object("argoproj.io/v1alpha1", "Rollout", "web", spec)]
    texts += [_object("argoproj.io/v1alpha1", "AnalysisTemplate", name, spec) for name, spec in other.items()]
    texts += [
        _object("v1", "Service", name, "{selector: {app: web}, ports: [{port: 80}]}")
        for name in ("web-canary", "web-stable", "web-active", "web-preview")
    ]
    return "---\n".join(texts)


def _object(version: str, kind: str, name: str, spec: str) -> str:
    return f"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n"


def told(text: str) -> list[str]:
    assert list(yaml.safe_load_all(text))
    found = read_manifests([SourceFile("a.yaml", text.encode())], default_namespace="shop", policies={})
    return [f"{one.field}: {one.message} ({one.remedy})" for one in found.errors]


JOB = "{metrics: [{name: a, provider: {job: {spec: {template: {spec: {containers: []}}}}}}]}"
WEB = (
    "{args: [{name: token, valueFrom: {secretKeyRef: {name: a, key: b}}}], metrics: [{name: a, successCondition: "
    "result > 1, provider: {web: {url: http://a, headers: [{key: A, value: '{{args.token}}'}]}}}]}"
)
NEVER = "there is no AnalysisTemplate random-fail in namespace shop (commit it, or mend the name)"

EXAMPLES = [
    ("rollout-rolling-update", kept("{canary: {maxSurge: 1, maxUnavailable: 0}}"), []),
    (
        "rollout-canary",
        kept("{canary: {steps: [{setWeight: 20}, {pause: {}}, {setWeight: 40}, {pause: {duration: 40s}}]}}"),
        [],
    ),
    (
        "rollout-bluegreen",
        kept("{blueGreen: {activeService: web-active, previewService: web-preview, autoPromotionEnabled: false}}"),
        [],
    ),
    ("notifications/rollout-canary", kept(f"{{canary: {{{SERVICES}, steps: [{{setWeight: 20}}]}}}}"), []),
    (
        "rollout-background-analysis",
        kept("{canary: {analysis: {startingStep: 1, templates: [{templateName: random-fail}]}, "
             "steps: [{setWeight: 10}, {pause: {duration: 10s}}]}}"),
        [f"{CANARY}.analysis.templates[0].templateName: {NEVER}"],
    ),
    (
        "rollout-analysis-step",
        kept("{canary: {steps: [{analysis: {templates: [{templateName: all, clusterScope: true}]}}]}}"),
        [f"{CANARY}.steps[0].analysis.templates[0].clusterScope: true is not supported ({NAMED})"],
    ),
    (
        "analysis-templates",
        kept("{canary: {}}", **{"random-fail": JOB}),
        [f"spec.metrics[0].provider.job: is not supported ({PROVIDER})"],
    ),
    (
        "rollout-secret",
        kept("{canary: {steps: [{analysis: {templates: [{templateName: secret}]}}]}}", secret=WEB),
        [f"spec.metrics[0].provider.web: is not supported ({PROVIDER})"],
    ),
    *(
        (name, kept(f"{{canary: {{{SERVICES}, steps: [{{{EXPERIMENT}}}]}}}}"),
         [f"{CANARY}.steps[0].experiment: is not supported ({JUDGE})"])
        for name in ("rollout-experiment-step", "rollout-baseline-vs-canary", "rollout-canary-preview")
    ),
    *(
        (name, kept(f"{{canary: {{{SERVICES}, trafficRouting: {{{router}}}, steps: [{{setWeight: 20}}]}}}}"),
         [f"{CANARY}.trafficRouting.{router.partition(':')[0]}: is not supported ({ROUTER})"])
        for name, router in (
            ("istio/istio-subset-split", "istio: {virtualService: {name: a}}"),
            ("ambassador/rollout", "ambassador: {mappings: [a]}"),
            ("appmesh/canary-rollout", "appMesh: {virtualService: {name: a}}"),
            ("traffic-management/rollout-linkerd", "smi: {}"),
        )
    ),
    (
        "istio/istio-mirror",
        kept(f"{{canary: {{{SERVICES}, steps: [{{setMirrorRoute: {{name: a, percentage: 50}}}}]}}}}"),
        [f"{CANARY}.steps[0].setMirrorRoute: is not supported ({MIRROR})"],
    ),
    (
        "apisix/rollout",
        kept("{canary: {steps: [{setCanaryScale: {weight: 50}, setHeaderRoute: {name: a}}]}}"),
        [f"{CANARY}.steps[0]: has setCanaryScale and setHeaderRoute (write exactly one of setWeight, pause, analysis, "
         "setCanaryScale, setHeaderRoute in a step)"],
    ),
    (
        "rollout-template-ref, workload-ref/workload-ref",
        _object("argoproj.io/v1alpha1", "Rollout", "web",
                "{workloadRef: {apiVersion: apps/v1, kind: Deployment, name: web}, strategy: {canary: {}}}"),
        [f"spec.workloadRef: is not supported ({OWN})"],
    ),
    (
        "experiment-with-analysis",
        _object("argoproj.io/v1alpha1", "Experiment", "web", "{}"),
        ["kind: Experiment is not supported (write a Rollout, whose canary is judged against its stable pods)"],
    ),
    (
        "cluster-analysis-templates",
        _object("argoproj.io/v1alpha1", "ClusterAnalysisTemplate", "all", "{}"),
        ["kind: ClusterAnalysisTemplate is not supported (templates are of one namespace, write an AnalysisTemplate "
         "there)"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("example", "text", "sentences"), EXAMPLES, ids=[one[0] for one in EXAMPLES])
def test_an_example_runs_or_says_which_field_stops_it(example: str, text: str, sentences: list[str]) -> None:
    assert told(text) == sentences
