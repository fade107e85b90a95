"""Ingress and NetworkPolicy: the supported fields of networking.k8s.io/v1, with Kubernetes' defaults."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from deployer.core.objects.base import EmptyList, Spec
from deployer.core.objects.placement import LabelSelector


class ServiceBackendPort(Spec):
    """One of both: the name or the number of a port of the Service."""

    name: str = ""
    number: int | None = Field(default=None, ge=1, le=65535)


class IngressServiceBackend(Spec):
    name: str
    port: ServiceBackendPort = Field(default_factory=ServiceBackendPort)


class IngressBackend(Spec):
    service: IngressServiceBackend


class HTTPIngressPath(Spec):
    """`path_type` ImplementationSpecific is treated as Prefix, as most controllers do."""

    backend: IngressBackend
    path_type: Literal["Exact", "Prefix", "ImplementationSpecific"]
    path: str = "/"


class HTTPIngressRuleValue(Spec):
    paths: tuple[HTTPIngressPath, ...] = Field(min_length=1)


class IngressRule(Spec):
    host: str = ""
    http: HTTPIngressRuleValue | None = None


class IngressTLS(Spec):
    hosts: Annotated[tuple[str, ...], EmptyList] = ()
    secret_name: str = ""


class IngressSpec(Spec):
    default_backend: IngressBackend | None = None
    rules: Annotated[tuple[IngressRule, ...], EmptyList] = ()
    tls: Annotated[tuple[IngressTLS, ...], EmptyList] = ()
    ingress_class_name: str | None = None


class IPBlock(Spec):
    cidr: str
    except_: Annotated[tuple[str, ...], EmptyList] = Field(default=(), alias="except")


class NetworkPolicyPeer(Spec):
    """Selectors in one peer are ANDed; `ip_block` stands alone."""

    pod_selector: LabelSelector | None = None
    namespace_selector: LabelSelector | None = None
    ip_block: IPBlock | None = None


class NetworkPolicyPort(Spec):
    """No port means all. `port` is a number or the name of a container's port; `end_port` ends a range."""

    protocol: Literal["TCP"] = "TCP"
    port: int | str | None = None
    end_port: int | None = Field(default=None, ge=1, le=65535)


class NetworkPolicyIngressRule(Spec):
    from_: Annotated[tuple[NetworkPolicyPeer, ...], EmptyList] = Field(default=(), alias="from")
    ports: Annotated[tuple[NetworkPolicyPort, ...], EmptyList] = ()


class NetworkPolicySpec(Spec):
    """Ingress only: `policyTypes: [Egress]` and `egress` are refused by name."""

    pod_selector: LabelSelector = Field(default_factory=LabelSelector)
    ingress: Annotated[tuple[NetworkPolicyIngressRule, ...], EmptyList] = ()
    policy_types: Annotated[tuple[Literal["Ingress"], ...], EmptyList] = ()
