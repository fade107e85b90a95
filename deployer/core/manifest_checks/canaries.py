"""The annotation `pierhead.io/canary`: that it can be read, and stands where it is looked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from deployer.core.canary.annotation import ANNOTATION, BadCanary, parse
from deployer.core.manifest_checks.finding import Finding, Path
from deployer.core.objects.workload import DeploymentSpec

_PLACE: Path = ("metadata", "annotations", ANNOTATION)
_IN_TEMPLATE: Path = ("spec", "template", *_PLACE)


def misplaced(kind: str, annotations: Mapping[str, str]) -> Iterator[Finding]:
    if ANNOTATION not in annotations or kind == "Ingress":
        return  # an Ingress refuses all that it does not know
    if kind == "Rollout":
        yield Finding(_PLACE, "is for Deployments: a Rollout has a strategy of its own", "remove it")
    else:
        yield Finding(_PLACE, "is for Deployments", "remove it, or write a Deployment")


def in_template(annotations: Mapping[str, str]) -> Iterator[Finding]:
    if ANNOTATION in annotations:
        remedy = "write it among the Deployment's own annotations"
        yield Finding(_IN_TEMPLATE, "is not looked for in the template", remedy)


def of_deployment(annotations: Mapping[str, str], spec: DeploymentSpec) -> Iterator[Finding]:
    yield from in_template(spec.template.metadata.annotations)
    if ANNOTATION not in annotations:
        return
    try:
        parse(annotations[ANNOTATION])
    except BadCanary as wrong:
        yield Finding(_PLACE, str(wrong), 'write one such as "5% for 10m, errors < 1%"; see the README')
    if spec.strategy.type == "Recreate":
        message = "needs old and new pods at once, and strategy.type is Recreate"
        yield Finding(_PLACE, message, "write type: RollingUpdate, or remove the annotation")
