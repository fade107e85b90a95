"""Deployments, services, namespaces, config maps and secrets: the supported fields, with Kubernetes' defaults.

A ReplicaSet is made by Pierhead out of a Deployment and is refused in a manifest by name.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from deployer.core.objects.base import EmptyList, Spec, StringMap
from deployer.core.objects.placement import LabelSelector
from deployer.core.objects.pod import PodSpec


class TemplateMeta(Spec):
    labels: StringMap = Field(default_factory=dict)
    annotations: StringMap = Field(default_factory=dict)


class PodTemplate(Spec):
    metadata: TemplateMeta = Field(default_factory=TemplateMeta)
    spec: PodSpec


class RollingUpdate(Spec):
    """Integers, or percentages of `replicas` (`25%`): surge is rounded up, unavailable down."""

    max_surge: int | str = "25%"
    max_unavailable: int | str = "25%"


class DeploymentStrategy(Spec):
    type: Literal["RollingUpdate", "Recreate"] = "RollingUpdate"
    rolling_update: RollingUpdate | None = None


class DeploymentSpec(Spec):
    selector: LabelSelector
    template: PodTemplate
    replicas: int = Field(default=1, ge=0)
    strategy: DeploymentStrategy = Field(default_factory=DeploymentStrategy)
    min_ready_seconds: int = Field(default=0, ge=0)
    revision_history_limit: int = Field(default=10, ge=0)
    progress_deadline_seconds: int = Field(default=600, ge=1)
    paused: bool = False


class PodDisruptionBudgetSpec(Spec):
    """Numbers, or percentages of the pods that there should be. An empty selector means all pods of the namespace, and
    none at all means none. One of the limits is required: Kubernetes takes none of them for "nobody may ever go"."""

    min_available: int | str | None = None
    max_unavailable: int | str | None = None
    selector: LabelSelector | None = None
    unhealthy_pod_eviction_policy: Literal["IfHealthyBudget", "AlwaysAllow"] = "IfHealthyBudget"


class ServicePort(Spec):
    port: int = Field(ge=1, le=65535)
    name: str = ""
    protocol: Literal["TCP"] = "TCP"
    app_protocol: str = ""
    target_port: int | str | None = None
    node_port: int | None = Field(default=None, ge=1, le=65535)


class ClientIPConfig(Spec):
    timeout_seconds: int = Field(default=10800, ge=1, le=86400)


class SessionAffinityConfig(Spec):
    client_ip: ClientIPConfig = Field(default_factory=ClientIPConfig, alias="clientIP")


class ServiceSpec(Spec):
    """Stored and validated; the router acts on it."""

    type: Literal["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"] = "ClusterIP"
    selector: StringMap = Field(default_factory=dict)
    ports: Annotated[tuple[ServicePort, ...], EmptyList] = ()
    cluster_ip: Literal["", "None"] = Field(default="", alias="clusterIP")
    external_name: str = ""
    session_affinity: Literal["None", "ClientIP"] = "None"
    session_affinity_config: SessionAffinityConfig | None = None
    publish_not_ready_addresses: bool = False


class ConfigMapData(Spec):
    data: StringMap = Field(default_factory=dict)
    binary_data: StringMap = Field(default_factory=dict)
    immutable: bool = False


class SecretData(Spec):
    """`data` is base64. `stringData` has been folded into it when the manifest was read."""

    data: StringMap = Field(default_factory=dict)
    type: str = "Opaque"
    immutable: bool = False
