"""The checks of a whole object, by kind: metadata, then the body."""

from __future__ import annotations

from collections.abc import Iterator

from deployer.core.manifest_checks import (
    analyses,
    budgets,
    canaries,
    configs,
    deployments,
    image_policies,
    ingresses,
    names,
    pods,
    policies,
    rollouts,
    services,
)
from deployer.core.manifest_checks.finding import Finding, Path
from deployer.core.manifest_checks.privileges import Rights
from deployer.core.objects.kinds import (
    AnalysisTemplate,
    ConfigMap,
    Deployment,
    Ingress,
    KubernetesObject,
    Namespace,
    NetworkPolicy,
    ObjectMeta,
    Pod,
    PodDisruptionBudget,
    Rollout,
    Secret,
    Service,
)

_META: Path = ("metadata",)
_NAME: Path = ("metadata", "name")


def check(found: KubernetesObject, rights: Rights) -> Iterator[Finding]:
    """All that is wrong with the meaning of a typed object; `rights` are those of its namespace."""
    yield from metadata(found.metadata)
    yield from _misplaced(found)
    match found:
        case Namespace():
            yield from _namespace(found)
        case ConfigMap():
            yield from names.dns_subdomain(found.metadata.name, _NAME)
            yield from configs.config_map(found)
        case Secret():
            yield from names.dns_subdomain(found.metadata.name, _NAME)
            yield from configs.secret(found)
        case Service():
            yield from names.service_name(found.metadata.name, _NAME)
            yield from services.service(found.spec, found.metadata.annotations)
        case Ingress():
            yield from names.dns_subdomain(found.metadata.name, _NAME)
            yield from ingresses.ingress(found)
        case NetworkPolicy():
            yield from names.dns_subdomain(found.metadata.name, _NAME)
            yield from policies.network_policy(found.spec)
        case PodDisruptionBudget():
            yield from names.dns_subdomain(found.metadata.name, _NAME)
            yield from budgets.disruption_budget(found.spec)
        case Pod():
            yield from names.dns_label(found.metadata.name, _NAME)
            yield from pods.pod(found.spec, ("spec",), rights)
        case Deployment() | Rollout():
            yield from _workload(found, rights)
        case AnalysisTemplate():
            yield from names.dns_subdomain(found.metadata.name, _NAME)
            yield from analyses.analysis_template(found.spec)


def _workload(found: Deployment | Rollout, rights: Rights) -> Iterator[Finding]:
    # 63, not Kubernetes' 253: the name is the start of pod names, and those are host names.
    yield from names.dns_label(found.metadata.name, _NAME, longest=deployments.LONGEST_NAME)
    if isinstance(found, Deployment):
        yield from deployments.deployment(found.spec, rights)
        yield from canaries.of_deployment(found.metadata.annotations, found.spec)
    else:
        yield from rollouts.rollout(found.spec, rights)
    template = found.spec.template
    yield from image_policies.of_workload(found.metadata.annotations, template.metadata.annotations, template.spec)


def _misplaced(found: KubernetesObject) -> Iterator[Finding]:
    if not isinstance(found, Deployment | Rollout):
        yield from image_policies.misplaced(found.metadata.annotations)
    if not isinstance(found, Deployment):
        yield from canaries.misplaced(found.kind, found.metadata.annotations)


def metadata(found: ObjectMeta) -> Iterator[Finding]:
    if found.namespace:
        yield from names.dns_label(found.namespace, (*_META, "namespace"))
    yield from names.check_labels(found.labels, (*_META, "labels"))
    yield from names.check_annotations(found.annotations, (*_META, "annotations"))


def _namespace(found: Namespace) -> Iterator[Finding]:
    yield from names.dns_label(found.metadata.name, _NAME)
    if found.metadata.namespace:
        yield Finding((*_META, "namespace"), "a Namespace is in no namespace", "remove it")
    for key in found.metadata.annotations:
        if key.startswith("pierhead.io/allow"):
            message = "a manifest cannot allow its own namespace anything"
            remedy = f"an operator does: manage.py namespace allow {found.metadata.name} ..."
            yield Finding((*_META, "annotations", key), message, remedy)
