"""A router's containers on its host, and the steps that make those seen equal to those wanted.

    pierhead-router-net   owns the network namespace: on the mesh network, and attached to every pod network
    pierhead-router       HAProxy in it          pierhead-router-dns   dnsmasq in it
    pierhead-edge         HAProxy on the host's network, only while ports of the host are to be opened

The last three share one volume, the router's folder. Level-triggered: the loop takes the steps, looks at what they
changed, and asks again until there are none; it may be killed anywhere. A container joins the *namespace* of
pierhead-router-net, not its name: one that joined another container's (the id stands in its hash) is made again, one
that joined an earlier run's (it has started before) is restarted.

Never touches a container without LABEL_COMPONENT. Files and HAProxy's running state are the loop's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace

from deployer.core import actions
from deployer.core.container import (
    LABEL_CLUSTER,
    LABEL_COMPONENT,
    LABEL_SPEC_HASH,
    PAUSE_IMAGE,
    ContainerSeen,
    ContainerSpec,
    FileEntry,
    Mount,
    PublishedPort,
    VolumeSpec,
)
from deployer.core.network.addresses import subnet
from deployer.core.network.preamble import RUN_FOLDER
from deployer.core.network.values import CONFIG_FILE, FOLDER, MESH_NETWORK, Cluster, RouterConfig

NET, ROUTER, DNS, EDGE = "router-net", "router", "router-dns", "edge"
COMPONENTS = (NET, ROUTER, DNS, EDGE)
"""Values of LABEL_COMPONENT, in the order in which they start."""
VOLUME = "pierhead-router"
EDGE_FILE = "edge.cfg"
NAMES_FOLDER = "names"
STOP_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Attach:
    """Put pierhead-router-net on a pod network; the network is there."""

    network: str
    address: str


@dataclass(frozen=True, slots=True)
class Detach:
    network: str


@dataclass(frozen=True, slots=True)
class FillRouter:
    """Everything below FOLDER is written before HAProxy starts: a wrong configuration at start is a crash loop."""

    name: str


HostStep = (
    actions.EnsureNetwork
    | actions.EnsurePauseImage
    | actions.EnsureVolume
    | actions.CreateContainer
    | actions.StartContainer
    | actions.StopContainer
    | actions.RemoveContainer
    | Attach
    | Detach
    | FillRouter
)


@dataclass(frozen=True, slots=True)
class RouterHost:
    """What is wanted. `image_ids`: reference -> id of the images on the host (router, resolver, pause)."""

    cluster: Cluster
    config: RouterConfig
    router_image: str
    dns_image: str
    image_ids: Mapping[str, str]


def host_steps(desired: RouterHost, observed: Iterable[ContainerSeen]) -> tuple[HostStep, ...]:
    """The next steps, none when all is well. `observed`: inspected containers with LABEL_COMPONENT of this host."""
    found, strays = _by_component(observed)
    steps: list[HostStep] = [actions.RemoveContainer(one.id) for one in strays]
    net, wanted = found.get(NET), net_spec(desired)
    if net is None:
        return (*steps, _mesh(desired), actions.EnsurePauseImage(), _create(wanted))
    if net.state != "running" or not _is_same(desired, wanted, net):
        return (*steps, *_container(desired, wanted, net, 0.0))
    steps += _attachments(desired, net)
    since = net.detail.started_at if net.detail else 0.0
    for spec in joined_specs(desired, net.id):
        steps += _joined(desired, spec, found.get(spec.labels[LABEL_COMPONENT]), since)
    return (*steps, *_edge(desired, found.get(EDGE)))


def lacking(desired: RouterHost, observed: Iterable[ContainerSeen]) -> tuple[str, ...]:
    """Names of the containers that should run and do not, in order."""
    running = {one.name for one in observed if one.state == "running"}
    wanted = (NET, ROUTER, DNS, *((EDGE,) if desired.config.edge else ()))
    return tuple(f"pierhead-{one}" for one in wanted if f"pierhead-{one}" not in running)


def net_spec(desired: RouterHost) -> ContainerSpec:
    """The owner of the network namespace. It outlives every change of the router itself."""
    mesh = next((one.address for one in desired.config.attachments if one.network == MESH_NETWORK), "")
    port = desired.cluster.mesh_port
    return _hashed(
        ContainerSpec(
            name=f"pierhead-{NET}", image=PAUSE_IMAGE, labels=_labels(desired, NET), network=MESH_NETWORK,
            address=mesh, ports=(PublishedPort(port, port),), restart="always", cap_drop=("ALL",),
            read_only_root=True, no_new_privileges=True, stop_grace_seconds=1,
        )
    )  # fmt: skip


def joined_specs(desired: RouterHost, net_id: str) -> tuple[ContainerSpec, ...]:
    """HAProxy and the resolver, within the namespace of the container `net_id`.

    The resolver binds the router's own addresses alone (`--bind-dynamic`): a Service may have port 53, too.
    """
    resolver = (
        "dnsmasq", "-k", "--no-hosts", f"--hostsdir={FOLDER}/{NAMES_FOLDER}", "--localise-queries",
        "--local=/cluster.local/", "--domain-needed", "--conf-file=/dev/null", "--pid-file=", "--user=root",
        "--log-facility=-", "--bind-dynamic",
    )  # fmt: skip
    router = _haproxy(desired, ROUTER, CONFIG_FILE, f"container:pierhead-{NET}")
    dns = replace(
        router, name=f"pierhead-{DNS}", image=desired.dns_image, labels=_labels(desired, DNS), entrypoint=resolver[:1],
        command=resolver[1:], open_files=4096, mounts=(Mount(VOLUME, FOLDER, read_only=True),),
        cap_add=("NET_BIND_SERVICE", "SETUID", "SETGID", "NET_ADMIN"),
    )  # fmt: skip
    router = replace(router, cap_add=("NET_BIND_SERVICE", "NET_ADMIN"))
    return _hashed(router, net_id), _hashed(dns, net_id)


def edge_spec(desired: RouterHost) -> ContainerSpec:
    return _hashed(_haproxy(desired, EDGE, EDGE_FILE, "host"))


def volume_spec(cluster_id: str) -> VolumeSpec:
    return VolumeSpec(VOLUME, {LABEL_CLUSTER: cluster_id, LABEL_COMPONENT: ROUTER})


def routes(desired: RouterHost, present: frozenset[str]) -> tuple[tuple[str, ...], ...]:
    """Commands for the router's container, by which it answers for all virtual addresses and no others.

    `present`: the ranges that it answers for already. `table local` matters: with a route in table main Docker
    refuses to attach that network again.
    """
    wanted = {one.virtual_range for one in desired.config.attachments}
    add = (("ip", "route", "replace", "local", one, "dev", "lo", "table", "local") for one in sorted(wanted - present))
    drop = (("ip", "route", "del", "local", one, "dev", "lo", "table", "local") for one in sorted(present - wanted))
    return (*add, *drop)


def answered(shown: str) -> frozenset[str]:
    """The ranges in what `ip route show table local` prints: "local 10.208.24.0/21 dev lo scope host"."""
    lines = (line.split() for line in shown.splitlines())
    return frozenset(
        words[1] for words in lines
        if len(words) > 3 and words[0] == "local" and "/" in words[1] and words[3] == "lo"
        and not words[1].startswith("127.")
    )  # fmt: skip


def folders(paths: Iterable[str]) -> tuple[FileEntry, ...]:
    """The folders that these files lie in, outermost first."""
    held = {f"{path.rsplit('/', depth)[0]}" for path in paths for depth in range(1, path.count("/") + 1)}
    return tuple(FileEntry(path, mode=0o755, is_folder=True) for path in sorted({*held, NAMES_FOLDER}))


def _by_component(observed: Iterable[ContainerSeen]) -> tuple[dict[str, ContainerSeen], list[ContainerSeen]]:
    """The container of each component, and those that are none (doubled, renamed by hand, of another version)."""
    found: dict[str, ContainerSeen] = {}
    strays = []
    for one in sorted(observed, key=lambda seen: (seen.name, seen.id)):
        component = one.labels.get(LABEL_COMPONENT, "")
        if one.name == f"pierhead-{component}" and component in COMPONENTS:
            found[component] = one
        elif one.state != "removing":
            strays.append(one)
    return found, strays


def _attachments(desired: RouterHost, net: ContainerSeen) -> list[HostStep]:
    """What is surplus goes first: its address may be wanted. The mesh network is pierhead-router-net's own."""
    held = dict(net.detail.networks) if net.detail else {}
    wanted = {one.network: one.address for one in desired.config.attachments if one.network != MESH_NETWORK}
    steps: list[HostStep] = [Detach(name) for name in sorted(held) if name != MESH_NETWORK and name not in wanted]
    networks = {one.name: one for one in desired.cluster.networks}
    for name, address in sorted(wanted.items()):
        if held.get(name) != address:
            one = networks[name]
            steps += [
                actions.EnsureNetwork(name, one.namespace, subnet(desired.cluster.pod_range, one.index)),
                Attach(name, address),
            ]
    return steps


def _joined(desired: RouterHost, spec: ContainerSpec, seen: ContainerSeen | None, since: float) -> list[HostStep]:
    if seen is not None:
        return _container(desired, spec, seen, since)
    steps: list[HostStep] = [actions.EnsureVolume(volume_spec(desired.cluster.cluster_id))]
    return [*steps, _create(spec)]


def _edge(desired: RouterHost, seen: ContainerSeen | None) -> list[HostStep]:
    if not desired.config.edge:
        return [actions.RemoveContainer(seen.id)] if seen is not None and seen.state != "removing" else []
    return _joined(desired, edge_spec(desired), seen, 0.0)


def _container(desired: RouterHost, spec: ContainerSpec, seen: ContainerSeen, since: float) -> list[HostStep]:
    """What makes it run as wanted. One that is being removed is waited for: the next look finds it gone."""
    if seen.state == "removing":
        return []
    if not _is_same(desired, spec, seen):
        return [actions.RemoveContainer(seen.id)]
    if seen.state in ("created", "exited"):
        return [*_filled(spec), actions.StartContainer(seen.name)]
    started_at = seen.detail.started_at if seen.detail else 0.0
    if seen.state == "paused" or (seen.state == "running" and started_at < since):
        return [actions.StopContainer(seen.name, 0 if seen.state == "paused" else STOP_SECONDS)]
    return []


def _is_same(desired: RouterHost, spec: ContainerSpec, seen: ContainerSeen) -> bool:
    """Whether it was made from this specification and image. By hand, only its networks can have been changed since."""
    made_from = seen.detail.image_id if seen.detail else ""
    same_image = desired.image_ids.get(spec.image, made_from) == made_from
    return seen.state != "dead" and same_image and seen.labels.get(LABEL_SPEC_HASH) == spec.labels[LABEL_SPEC_HASH]


def _filled(spec: ContainerSpec) -> Sequence[HostStep]:
    """The router and the edge write into the volume that they share; the resolver, which starts later, only reads."""
    return (FillRouter(spec.name),) if spec.labels[LABEL_COMPONENT] in (ROUTER, EDGE) else ()


def _create(spec: ContainerSpec) -> actions.CreateContainer:
    is_haproxy = spec.labels[LABEL_COMPONENT] in (ROUTER, EDGE)
    folder = RUN_FOLDER.lstrip("/")
    return actions.CreateContainer(spec, (FileEntry(folder, mode=0o700, is_folder=True),) if is_haproxy else ())


def _mesh(desired: RouterHost) -> actions.EnsureNetwork:
    return actions.EnsureNetwork(MESH_NETWORK, "", subnet(desired.cluster.pod_range, 0))


def _haproxy(desired: RouterHost, component: str, file: str, network: str) -> ContainerSpec:
    return ContainerSpec(
        name=f"pierhead-{component}", image=desired.router_image, labels=_labels(desired, component),
        entrypoint=("haproxy",), command=("-W", "-db", "-f", f"{FOLDER}/{file}"), user="0", network=network,
        mounts=(Mount(VOLUME, FOLDER),), restart="always", cap_drop=("ALL",),
        cap_add=("NET_BIND_SERVICE",), no_new_privileges=True, stop_grace_seconds=STOP_SECONDS,
    )  # fmt: skip


def _labels(desired: RouterHost, component: str) -> dict[str, str]:
    return {LABEL_CLUSTER: desired.cluster.cluster_id, LABEL_COMPONENT: component}


def _hashed(spec: ContainerSpec, joins: str = "") -> ContainerSpec:
    """With the hash of all that it is made from, and of the container that it `joins`, among its labels.

    Defaults are left out, so that a later Pierhead which knows more fields makes no router anew.
    """
    made_of = {one.name: getattr(spec, one.name) for one in fields(spec) if getattr(spec, one.name) != one.default}
    text = json.dumps([made_of, joins], sort_keys=True, separators=(",", ":"), default=asdict)
    return replace(spec, labels={**spec.labels, LABEL_SPEC_HASH: hashlib.sha256(text.encode()).hexdigest()[:16]})
