"""The values of the network: what a router is made from, and what it is told.

    Cluster (services, pods, policies, nodes as this node sees them) -> RouterConfig (files, maps, servers)

A router is one HAProxy per node. Every pod network of a node has the same shape (`addresses.py`): its lower half is
for pods, in the upper half the router has a fixed address and each Service a virtual one, so that two TCP services on
one port are told apart by address. Names here are Kubernetes'; `service port` is one entry of a Service's `ports`.

Nothing decides here. Times are seconds since the epoch, UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from deployer.core.canary.values import Split
from deployer.core.objects.network import IngressSpec, NetworkPolicySpec
from deployer.core.objects.workload import ServiceSpec

Mode = Literal["tcp", "http", "h2"]
"""How a service port is carried: as bytes, as HTTP/1.1 (websockets too), as HTTP/2 in clear text (gRPC)."""
ProbeKind = Literal["startup", "liveness", "readiness"]

FOLDER = "/pierhead"
"""Where the router's volume is mounted, in the router's and the resolver's container."""
CONFIG_FILE = "haproxy.cfg"
MESH_NETWORK = "00-pierhead-mesh"
"""The router's way out; its name sorts first, so that it keeps the default route."""
INGRESS_HTTP, INGRESS_HTTPS = 80, 443


@dataclass(frozen=True, slots=True)
class NetworkCheck:
    """A probe that the router makes: httpGet or tcpSocket. `host` is the Host header, "" for the pod's address.

    `rise` and `fall` are successThreshold and failureThreshold.
    """

    kind: Literal["http", "tcp"]
    port: int
    path: str = "/"
    host: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    https: bool = False
    initial_delay_seconds: int = 0
    period_seconds: int = 10
    timeout_seconds: int = 1
    rise: int = 1
    fall: int = 3


@dataclass(frozen=True, slots=True)
class ContainerProbe:
    """A network probe of a container that runs on this node. `started_at` and `id` tell one run from the next."""

    container: str
    kind: ProbeKind
    check: NetworkCheck
    container_id: str
    started_at: float


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What the router found. `passing` None: not known yet. `started_at` is that of the run that was probed.

    `message` in words: "HTTP 503 from /healthz on port 8080", "connection refused on port 5432".
    """

    container: str
    kind: ProbeKind
    started_at: float
    passing: bool | None
    message: str = ""


@dataclass(frozen=True, slots=True)
class RoutedPod:
    """A pod that was placed on a node. `ip` "" while it has none; `node` is the node's uid.

    `ports`: named container ports. `readiness`: the network check by which a router may leave it out by itself, None
    when it has none. `probes`: those that are to be made now (pods of this router's node only). `network` is the pod
    network it is attached to, "" on the host's. `owner` such as "Deployment/web"; `revision` and `template_hash` say
    which of its templates it was made from.
    """

    uid: str
    namespace: str
    name: str
    node: str
    ip: str
    labels: Mapping[str, str]
    ready: bool = False
    leaving: bool = False
    ports: Mapping[str, int] = field(default_factory=dict)
    host_network: bool = False
    network: str = ""
    owner: str = ""
    revision: int = 0
    template_hash: str = ""
    readiness: NetworkCheck | None = None
    probes: tuple[ContainerProbe, ...] = ()

    @property
    def key(self) -> str:
        """Its name as a server: "shop.web-5d8f7-x2x". A namespace has no dot, so no two pods share it."""
        return f"{self.namespace}.{self.name}"


@dataclass(frozen=True, slots=True)
class RoutedService:
    """`index` is the place of its virtual address, the same on every network. `pod_indexes`: of a headless one, the
    index of each pod's own address, by pod uid."""

    uid: str
    namespace: str
    name: str
    index: int
    spec: ServiceSpec
    annotations: Mapping[str, str] = field(default_factory=dict)
    pod_indexes: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"Service {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class RoutedIngress:
    namespace: str
    name: str
    spec: IngressSpec
    created_at: float = 0
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RoutedPolicy:
    namespace: str
    name: str
    spec: NetworkPolicySpec


@dataclass(frozen=True, slots=True)
class RoutedNode:
    """`mesh_address`: host name or address under which other nodes reach its router, "" if not known."""

    uid: str
    name: str
    mesh_address: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    reachable: bool = True


@dataclass(frozen=True, slots=True)
class PodNetwork:
    """A bridge of the node. `index` gives its addresses (`addresses.py`), the same on every node."""

    name: str
    index: int
    namespace: str


@dataclass(frozen=True, slots=True)
class TlsPair:
    """A TLS Secret's content, PEM, checked to belong together."""

    namespace: str
    name: str
    certificate: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Identity:
    """What this router proves itself with, PEM. `revoked` is the authority's list of revoked certificates."""

    certificate: str
    key: str = field(repr=False)
    authority: str
    revoked: str


@dataclass(frozen=True, slots=True)
class Cluster:
    """All that one node's router is made from. `pods`: those that services select anywhere, and all of this node."""

    cluster_id: str
    node: RoutedNode
    identity: Identity
    nodes: tuple[RoutedNode, ...] = ()
    services: tuple[RoutedService, ...] = ()
    pods: tuple[RoutedPod, ...] = ()
    ingresses: tuple[RoutedIngress, ...] = ()
    policies: tuple[RoutedPolicy, ...] = ()
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # name -> labels
    networks: tuple[PodNetwork, ...] = ()  # this node's
    tls: tuple[TlsPair, ...] = ()
    splits: tuple[Split, ...] = ()
    pod_range: str = "10.208.0.0/12"
    mesh_port: int = 8443


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A pod behind a service port, as this node's router reaches it.

    `address`:`port` is what the router connects to: the pod's own address, or the mesh port of its node with `sni`.
    `ready` decides whether it is given traffic; `reason` says in words why not.
    """

    pod: RoutedPod
    target_port: int
    address: str
    port: int
    sni: str = ""
    ready: bool = True
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Server:
    """A server of a backend, as it is added while HAProxy runs: `add server BACKEND/NAME ADDRESS ARGUMENTS`.

    `pod_uid` says whose it is, "" for none. The same words stand in the file after `server NAME`.
    """

    name: str
    address: str  # "10.208.16.2:8080"
    arguments: tuple[str, ...] = ()
    pod_uid: str = ""

    @property
    def is_checked(self) -> bool:
        return "check" in self.arguments


@dataclass(frozen=True, slots=True)
class Attachment:
    """A network that the router sits on, its address there, and the range of addresses that it answers for."""

    network: str
    address: str
    virtual_range: str


@dataclass(frozen=True, slots=True)
class RouterConfig:
    """What a node's router is to be.

    `text` is the whole haproxy.cfg. `structure` is the hash of all that only a reload brings about; it stands in the
    text too (`set-var proc.structure`), so that a running HAProxy can be asked for it. `servers` and `maps` are
    changed while it runs; a map's key is its path below FOLDER (`maps/mesh.map`). `files` holds everything else
    below FOLDER: certificates, name files of the resolver. Maps and the text are not in `files`.
    `edge` is the text of the HAProxy on the host's own network that forwards `edge_ports` to the router, "" for none.
    `problems` are sentences for people: what could not be configured, and why.
    """

    text: str
    structure: str
    servers: Mapping[str, tuple[Server, ...]]
    maps: Mapping[str, Mapping[str, str]]
    files: Mapping[str, bytes] = field(repr=False)
    attachments: tuple[Attachment, ...] = ()
    edge: str = ""
    edge_ports: tuple[int, ...] = ()
    problems: tuple[str, ...] = ()
