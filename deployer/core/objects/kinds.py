"""The kinds that a manifest may hold, whole: type, metadata and body.

The keys of KINDS are the kinds that Pierhead serves; a ReplicaSet is not among them, it is made from a Deployment.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from deployer.core.objects.analysis import AnalysisTemplateSpec
from deployer.core.objects.base import Spec, StringMap
from deployer.core.objects.network import IngressSpec, NetworkPolicySpec
from deployer.core.objects.pod import PodSpec
from deployer.core.objects.rollout import RolloutSpec
from deployer.core.objects.workload import (
    ConfigMapData,
    DeploymentSpec,
    PodDisruptionBudgetSpec,
    SecretData,
    ServiceSpec,
)


class ObjectMeta(Spec):
    name: str
    namespace: str = ""
    labels: StringMap = Field(default_factory=dict)
    annotations: StringMap = Field(default_factory=dict)


class NamespaceSpec(Spec):
    """Kubernetes knows finalizers here, which nothing would act on."""


class Namespace(Spec):
    api_version: Literal["v1"]
    kind: Literal["Namespace"]
    metadata: ObjectMeta
    spec: NamespaceSpec | None = None


class ConfigMap(ConfigMapData):
    api_version: Literal["v1"]
    kind: Literal["ConfigMap"]
    metadata: ObjectMeta


class Secret(SecretData):
    api_version: Literal["v1"]
    kind: Literal["Secret"]
    metadata: ObjectMeta
    string_data: StringMap = Field(default_factory=dict)


class Service(Spec):
    api_version: Literal["v1"]
    kind: Literal["Service"]
    metadata: ObjectMeta
    spec: ServiceSpec


class Pod(Spec):
    api_version: Literal["v1"]
    kind: Literal["Pod"]
    metadata: ObjectMeta
    spec: PodSpec


class Deployment(Spec):
    api_version: Literal["apps/v1"]
    kind: Literal["Deployment"]
    metadata: ObjectMeta
    spec: DeploymentSpec


class Ingress(Spec):
    api_version: Literal["networking.k8s.io/v1"]
    kind: Literal["Ingress"]
    metadata: ObjectMeta
    spec: IngressSpec


class NetworkPolicy(Spec):
    api_version: Literal["networking.k8s.io/v1"]
    kind: Literal["NetworkPolicy"]
    metadata: ObjectMeta
    spec: NetworkPolicySpec


class PodDisruptionBudget(Spec):
    api_version: Literal["policy/v1"]
    kind: Literal["PodDisruptionBudget"]
    metadata: ObjectMeta
    spec: PodDisruptionBudgetSpec = Field(default_factory=PodDisruptionBudgetSpec)


class Rollout(Spec):
    api_version: Literal["argoproj.io/v1alpha1"]
    kind: Literal["Rollout"]
    metadata: ObjectMeta
    spec: RolloutSpec


class AnalysisTemplate(Spec):
    api_version: Literal["argoproj.io/v1alpha1"]
    kind: Literal["AnalysisTemplate"]
    metadata: ObjectMeta
    spec: AnalysisTemplateSpec


KubernetesObject = (
    Namespace
    | ConfigMap
    | Secret
    | Service
    | Ingress
    | NetworkPolicy
    | PodDisruptionBudget
    | Pod
    | Deployment
    | Rollout
    | AnalysisTemplate
)

KINDS: dict[str, type[KubernetesObject]] = {
    "Namespace": Namespace,
    "ConfigMap": ConfigMap,
    "Secret": Secret,
    "Service": Service,
    "Pod": Pod,
    "Deployment": Deployment,
    "Ingress": Ingress,
    "NetworkPolicy": NetworkPolicy,
    "PodDisruptionBudget": PodDisruptionBudget,
    "Rollout": Rollout,
    "AnalysisTemplate": AnalysisTemplate,
}
API_VERSIONS = {
    **dict.fromkeys(KINDS, "v1"),
    "Deployment": "apps/v1",
    "Ingress": "networking.k8s.io/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "PodDisruptionBudget": "policy/v1",
    "Rollout": "argoproj.io/v1alpha1",
    "AnalysisTemplate": "argoproj.io/v1alpha1",
}
