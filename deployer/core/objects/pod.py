"""Pod specs: the supported fields of Kubernetes' PodSpec and Container, with Kubernetes' defaults.

Source of names and defaults: Kubernetes API reference, `core/v1`. `grpc` probes and HTTP lifecycle handlers are
refused by name.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from deployer.core.objects.base import EmptyList, Quantity, QuantityMap, Spec, StringMap
from deployer.core.objects.placement import Affinity, Toleration, TopologySpreadConstraint

GREATEST_ID = 2**31 - 1
"""Of users and groups, as Kubernetes and Docker count them."""
LONGEST_GRACE_SECONDS = 7 * 86400
"""Kubernetes has no limit; but a stop holds a connection for as long, and no clock counts 2^63 seconds."""


class ExecAction(Spec):
    command: Annotated[tuple[str, ...], EmptyList] = ()


class SleepAction(Spec):
    seconds: int = Field(ge=0)


class HTTPHeader(Spec):
    name: str
    value: str


class HTTPGetAction(Spec):
    """`port` is a number or the name of a container port. `host` is refused: the pod's own address is meant."""

    port: int | str
    path: str = "/"
    scheme: Literal["HTTP", "HTTPS"] = "HTTP"
    http_headers: Annotated[tuple[HTTPHeader, ...], EmptyList] = ()


class TCPSocketAction(Spec):
    port: int | str


class Probe(Spec):
    """One of `exec`, `http_get` and `tcp_socket`.

    httpGet and tcpSocket are made by the node's router, each with its own figures, as in Kubernetes. exec becomes
    Docker's health check.

    Docker runs one health check per container, so all exec probes of a container share one command, and they combine:
    the check runs with the shortest `period_seconds` and the longest `timeout_seconds`; after the liveness probe's
    `failure_threshold` failures in a row (without one: the readiness probe's) the container counts as unhealthy;
    failures do not count during the startup probe's whole window (`initial_delay_seconds` + `failure_threshold` x
    `period_seconds`), without one during the longest `initial_delay_seconds`. Unhealthy means not ready, and with a
    liveness probe (or a startup probe that has not passed yet) the container is restarted. One success is enough:
    `success_threshold` above 1 is refused with exec, and for any liveness or startup probe, as in Kubernetes.
    """

    exec: ExecAction | None = None
    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    initial_delay_seconds: int = Field(default=0, ge=0)
    period_seconds: int = Field(default=10, ge=1)
    timeout_seconds: int = Field(default=1, ge=1)
    success_threshold: int = Field(default=1, ge=1)
    failure_threshold: int = Field(default=3, ge=1)


class LifecycleHandler(Spec):
    exec: ExecAction | None = None
    sleep: SleepAction | None = None


class Lifecycle(Spec):
    post_start: LifecycleHandler | None = None
    pre_stop: LifecycleHandler | None = None


class ContainerPort(Spec):
    container_port: int = Field(ge=1, le=65535)
    name: str = ""
    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"
    host_port: int | None = Field(default=None, ge=1, le=65535)
    host_ip: str = Field(default="", alias="hostIP")


class ObjectFieldSelector(Spec):
    field_path: str
    api_version: str = "v1"


class ResourceFieldSelector(Spec):
    resource: str
    container_name: str = ""
    divisor: Quantity = "0"


class KeySelector(Spec):
    name: str
    key: str
    optional: bool = False


class EnvVarSource(Spec):
    field_ref: ObjectFieldSelector | None = None
    resource_field_ref: ResourceFieldSelector | None = None
    config_map_key_ref: KeySelector | None = None
    secret_key_ref: KeySelector | None = None


class EnvVar(Spec):
    name: str
    value: str | None = None
    value_from: EnvVarSource | None = None


class EnvSource(Spec):
    name: str
    optional: bool = False


class EnvFromSource(Spec):
    prefix: str = ""
    config_map_ref: EnvSource | None = None
    secret_ref: EnvSource | None = None


class ResourceRequirements(Spec):
    requests: QuantityMap = Field(default_factory=dict)
    limits: QuantityMap = Field(default_factory=dict)


class Capabilities(Spec):
    add: Annotated[tuple[str, ...], EmptyList] = ()
    drop: Annotated[tuple[str, ...], EmptyList] = ()


class SeccompProfile(Spec):
    type: Literal["RuntimeDefault", "Unconfined"]


class ContainerSecurityContext(Spec):
    run_as_user: int | None = Field(default=None, ge=0, le=GREATEST_ID)
    run_as_group: int | None = Field(default=None, ge=0, le=GREATEST_ID)
    run_as_non_root: bool | None = None
    read_only_root_filesystem: bool = False
    allow_privilege_escalation: bool | None = None
    privileged: bool = False
    capabilities: Capabilities = Field(default_factory=Capabilities)
    seccomp_profile: SeccompProfile | None = None


class VolumeMount(Spec):
    """`sub_path` (one file or folder) is honoured for configMap, secret, projected and downwardAPI volumes."""

    name: str
    mount_path: str
    read_only: bool = False
    sub_path: str = ""


class Container(Spec):
    """A container, an init container, or (restart_policy: Always among the init containers) a sidecar."""

    name: str
    image: str = Field(min_length=1)
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    command: Annotated[tuple[str, ...], EmptyList] = ()
    args: Annotated[tuple[str, ...], EmptyList] = ()
    working_dir: str = ""
    ports: Annotated[tuple[ContainerPort, ...], EmptyList] = ()
    env: Annotated[tuple[EnvVar, ...], EmptyList] = ()
    env_from: Annotated[tuple[EnvFromSource, ...], EmptyList] = ()
    resources: ResourceRequirements = Field(default_factory=ResourceRequirements)
    volume_mounts: Annotated[tuple[VolumeMount, ...], EmptyList] = ()
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    startup_probe: Probe | None = None
    lifecycle: Lifecycle = Field(default_factory=Lifecycle)
    security_context: ContainerSecurityContext = Field(default_factory=ContainerSecurityContext)
    termination_message_path: Literal["/dev/termination-log"] = "/dev/termination-log"
    termination_message_policy: Literal["FallbackToLogsOnError"] = "FallbackToLogsOnError"
    stdin: bool = False
    tty: bool = False
    restart_policy: Literal["Always"] | None = None

    @property
    def is_sidecar(self) -> bool:
        return self.restart_policy == "Always"

    @property
    def pull_policy(self) -> str:
        """Kubernetes' default: Always for `:latest` or no tag, IfNotPresent for a tag or a digest."""
        if self.image_pull_policy:
            return self.image_pull_policy
        if "@" in self.image:
            return "IfNotPresent"
        tag = self.image.rsplit("/", 1)[-1].partition(":")[2]
        return "Always" if tag in ("", "latest") else "IfNotPresent"


class KeyToPath(Spec):
    key: str
    path: str
    mode: int | None = Field(default=None, ge=0, le=0o777)


class ConfigMapVolume(Spec):
    name: str
    items: Annotated[tuple[KeyToPath, ...], EmptyList] = ()
    default_mode: int = Field(default=0o644, ge=0, le=0o777)
    optional: bool = False


class SecretVolume(Spec):
    secret_name: str
    items: Annotated[tuple[KeyToPath, ...], EmptyList] = ()
    default_mode: int = Field(default=0o644, ge=0, le=0o777)
    optional: bool = False


class DownwardFile(Spec):
    path: str
    field_ref: ObjectFieldSelector | None = None
    resource_field_ref: ResourceFieldSelector | None = None
    mode: int | None = Field(default=None, ge=0, le=0o777)


class DownwardVolume(Spec):
    items: Annotated[tuple[DownwardFile, ...], EmptyList] = ()
    default_mode: int = Field(default=0o644, ge=0, le=0o777)


class EmptyDirVolume(Spec):
    medium: Literal["", "Memory"] = ""
    size_limit: Quantity | None = None


class HostPathVolume(Spec):
    """`type` would have to be checked on the host, without an agent there; Docker refuses a path that is missing."""

    path: str
    type: Literal[""] = ""


class ProjectedConfigMap(Spec):
    name: str
    items: Annotated[tuple[KeyToPath, ...], EmptyList] = ()
    optional: bool = False


class ProjectedDownward(Spec):
    items: Annotated[tuple[DownwardFile, ...], EmptyList] = ()


class ProjectedSource(Spec):
    config_map: ProjectedConfigMap | None = None
    secret: ProjectedConfigMap | None = None
    downward_api: ProjectedDownward | None = Field(default=None, alias="downwardAPI")


class ProjectedVolume(Spec):
    sources: Annotated[tuple[ProjectedSource, ...], EmptyList] = ()
    default_mode: int = Field(default=0o644, ge=0, le=0o777)


class Volume(Spec):
    name: str
    config_map: ConfigMapVolume | None = None
    secret: SecretVolume | None = None
    empty_dir: EmptyDirVolume | None = None
    host_path: HostPathVolume | None = None
    projected: ProjectedVolume | None = None
    downward_api: DownwardVolume | None = Field(default=None, alias="downwardAPI")


class HostAlias(Spec):
    ip: str
    hostnames: Annotated[tuple[str, ...], EmptyList] = ()


class LocalObjectReference(Spec):
    name: str


class Sysctl(Spec):
    name: str
    value: str


class PodSecurityContext(Spec):
    run_as_user: int | None = Field(default=None, ge=0, le=GREATEST_ID)
    run_as_group: int | None = Field(default=None, ge=0, le=GREATEST_ID)
    run_as_non_root: bool | None = None
    fs_group: int | None = Field(default=None, ge=0, le=GREATEST_ID)
    supplemental_groups: Annotated[tuple[int, ...], EmptyList] = ()
    seccomp_profile: SeccompProfile | None = None
    sysctls: Annotated[tuple[Sysctl, ...], EmptyList] = ()


class PodSpec(Spec):
    containers: tuple[Container, ...] = Field(min_length=1)
    init_containers: Annotated[tuple[Container, ...], EmptyList] = ()
    volumes: Annotated[tuple[Volume, ...], EmptyList] = ()
    restart_policy: Literal["Always", "OnFailure", "Never"] = "Always"
    termination_grace_period_seconds: int = Field(default=30, ge=0, le=LONGEST_GRACE_SECONDS)
    active_deadline_seconds: int | None = Field(default=None, ge=1, le=2**31 - 1)
    node_selector: StringMap = Field(default_factory=dict)
    node_name: str = ""
    affinity: Affinity = Field(default_factory=Affinity)
    tolerations: Annotated[tuple[Toleration, ...], EmptyList] = ()
    topology_spread_constraints: Annotated[tuple[TopologySpreadConstraint, ...], EmptyList] = ()
    image_pull_secrets: Annotated[tuple[LocalObjectReference, ...], EmptyList] = ()
    security_context: PodSecurityContext = Field(default_factory=PodSecurityContext)
    host_aliases: Annotated[tuple[HostAlias, ...], EmptyList] = ()
    hostname: str = ""
    host_network: bool = False
    host_pid: bool = Field(default=False, alias="hostPID")
    dns_policy: Literal["ClusterFirst"] = "ClusterFirst"
    scheduler_name: Literal["default-scheduler"] = "default-scheduler"
    automount_service_account_token: Literal[False] | None = None
    enable_service_links: Literal[False] | None = None

    @property
    def needs_pause(self) -> bool:
        """More than one container alive at a time share a network namespace, which a pause container owns."""
        return len(self.containers) > 1 or bool(self.init_containers)
