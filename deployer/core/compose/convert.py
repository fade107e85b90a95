"""A project's services -> Kubernetes objects.

    web: {image, ports}        Deployment web, Service web, Service web-published (LoadBalancer or NodePort)
    db: {image, env_file}      Deployment db, Service db, Secret db-env
    configs, secrets           ConfigMap and Secret of their name
    networks that separate     NetworkPolicies

Objects are named for their services, since others find them by that name: one that is no name in Kubernetes is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from deployer.core.compose import container as containers
from deployer.core.compose.fields import refuse_rest, text_of
from deployer.core.compose.links import Link, are_separated, check_expose, links
from deployer.core.compose.mounts import Mounts, content, kept_objects, object_name
from deployer.core.compose.nodes import Node, Problems
from deployer.core.compose.placing import Placing
from deployer.core.compose.project import Project, load
from deployer.core.compose.refused import SERVICE, TOP, WARNED
from deployer.core.compose.words import Port
from deployer.core.rendering.rendered import Piece, Rendered
from deployer.core.rendering.ways import Way
from deployer.core.repository import SourceTree

NAME, PART_OF, NETWORK = "app.kubernetes.io/name", "app.kubernetes.io/part-of", "compose-network-"
NODE_PORTS = range(30000, 32768)
_HONOURED = frozenset({
    "annotations", "build", "cap_add", "cap_drop", "command", "configs", "container_name", "cpus", "depends_on",
    "deploy", "entrypoint", "env_file", "environment", "expose", "extends", "extra_hosts", "group_add", "healthcheck",
    "hostname", "image", "labels", "links", "mem_limit", "mem_reservation", "network_mode", "networks", "pid",
    "platform", "ports", "post_start", "pre_stop", "privileged", "profiles", "pull_policy", "read_only", "restart",
    "scale", "secrets", "security_opt", "shm_size", "stdin_open", "stop_grace_period", "sysctls", "tmpfs", "tty",
    "user", "volumes", "working_dir",
})  # fmt: skip
_TOP = ("name", "version", "services", "networks", "volumes", "configs", "secrets")


def convert(tree: SourceTree, way: Way, application: str) -> Rendered:
    """`application` is the name that the objects belong together by. Errors: nothing of it may be applied."""
    problems = Problems()
    files = {one.path: one.data for one in tree.files}
    project = load(files, way, problems)
    pieces: list[Piece] = []
    if project is not None:
        pieces = [_piece(*one) for one in _objects(project, application, problems)]
    errors, warnings = (tuple(dict.fromkeys(told)) for told in (problems.errors, problems.warnings))
    return Rendered(way, () if errors else tuple(pieces), errors, warnings)


Made = tuple[str, str, Node, dict[str, Any]]
"""(kind, name, where it comes from, all but kind and metadata.name)"""


def _objects(project: Project, application: str, problems: Problems) -> Iterator[Made]:
    _check_top(project, problems)
    connected = links(project.services, project.section("networks"), problems)
    yield from kept_objects(project, problems)
    for name, service in project.services.items():
        if object_name(name) != name:
            remedy = f"name it {object_name(name) or 'web'}, and change those who use the name"
            problems.error(service, f"{name[:60]!r} is not a name by which a Service can be found", remedy)
        yield from _Service(name, service, project, application, connected[name], problems).objects()
    if are_separated(connected):
        yield from _policies(project, connected, application)


def _check_top(project: Project, problems: Problems) -> None:
    root = project.root
    refuse_rest(root, _TOP, TOP, problems, "a Compose file")
    if (version := root.get("version")) is not None:
        problems.warn(version, "means nothing any more, and is not looked at", "remove it")
    if (named := root.get("name")) is not None:
        problems.warn(named, "names nothing here but the variable COMPOSE_PROJECT_NAME")
    for name, node in project.section("volumes").items():
        problems.warn(node, f"the volume {name} is not made: volumes that outlive their pod are not supported yet")
    if not project.section("services"):
        problems.error(root, "has no services", "write services:")
    for name, service in project.section("services").items():
        if not name.startswith("x-") and not isinstance(service.value, Mapping):
            problems.error(service, f"service {name} must be a map of fields", "write image: NAME:TAG under it")


class _Service:
    """One service on its way to a Deployment and what stands beside it."""

    def __init__(
        self, name: str, node: Node, project: Project, application: str, link: Link, problems: Problems
    ) -> None:
        self.name, self.node, self.project, self.link, self.problems = name, node, project, link, problems
        self.selector = {NAME: name, PART_OF: application}

    def objects(self) -> Iterator[Made]:
        refuse_rest(self.node, {*_HONOURED, *WARNED}, SERVICE, self.problems, "a service")
        for field, why in WARNED.items():
            if (found := self.node.get(field)) is not None:
                self.problems.warn(found, why)
        check_expose(self.node, self.problems)
        mounts = Mounts(self.name, self.node, self.project, self.problems)
        mounts.read()
        yield from mounts.objects
        values = containers.env_file_values(self.node, self.project, self.problems)
        if values:
            body = content({key: value.encode() for key, value in values.items()}, secret=True)
            yield "Secret", f"{self.name}-env", self.node.map["env_file"], body
        yield "Deployment", self.name, self.node, self._deployment(mounts, bool(values))
        yield from self._services()

    def _deployment(self, mounts: Mounts, has_env: bool) -> dict[str, Any]:
        placing = Placing(self.node, self.problems)
        placing.check_restart()
        strategy, ready_seconds, marks = placing.strategy()
        labels = dict(self.selector)
        labels.update({f"{NETWORK}{network}": "true" for network in sorted(self.link.networks)})
        notes = {
            **containers.marks(self.node.get("labels"), self.problems),
            **containers.marks(self.node.get("annotations"), self.problems),
        }
        marks |= containers.marks(placing.deploy.get("labels"), self.problems)
        template = {
            "metadata": {"labels": labels, **({"annotations": notes} if notes else {})},
            "spec": self._pod(placing, mounts, has_env),
        }
        spec = {
            "replicas": placing.replicas(),
            **({"strategy": strategy} if strategy else {}),
            **({"minReadySeconds": ready_seconds} if ready_seconds else {}),
            "selector": {"matchLabels": self.selector},
            "template": template,
        }
        return {"annotations": marks, "spec": spec}

    def _pod(self, placing: Placing, mounts: Mounts, has_env: bool) -> dict[str, Any]:
        one = containers.container(self.name, self.node, self.project, self.problems)
        if has_env:
            one["envFrom"] = [{"secretRef": {"name": f"{self.name}-env"}}]
        if ports := self._container_ports():
            one["ports"] = ports
        if resources := placing.resources():
            one["resources"] = resources
        if mounts.mounts:
            one["volumeMounts"] = mounts.mounts
        made = {
            "containers": [one], "volumes": mounts.volumes,
            "hostname": text_of(self.node.get("hostname"), self.problems),
            "terminationGracePeriodSeconds": containers.grace_seconds(self.node, self.problems),
            "hostAliases": containers.host_aliases(self.node.get("extra_hosts"), self.problems),
            "hostNetwork": self.link.host_network, "hostPID": self._host_pid(), "securityContext": self._context(),
            **placing.placement(self.selector),
        }  # fmt: skip
        return {key: value for key, value in made.items() if value or key == "terminationGracePeriodSeconds"}

    def _context(self) -> dict[str, Any]:
        groups = containers.groups(self.node.get("group_add"), self.problems)
        sysctls = containers.sysctls(self.node.get("sysctls"), self.problems)
        return {**({"supplementalGroups": groups} if groups else {}), **({"sysctls": sysctls} if sysctls else {})}

    def _host_pid(self) -> bool:
        found = self.node.get("pid")
        if found is not None and found.text != "host":
            self.problems.error(found, f"{found.text[:40]!r} is not mapped", "write host, or remove it")
        return found is not None

    def _container_ports(self) -> list[dict[str, Any]]:
        """All that it listens on. What is published on one host, or by UDP, is a port of the pod's host."""
        made: dict[tuple[int, str], dict[str, Any]] = {}
        for target in self.link.inside:
            made[target, "tcp"] = {"containerPort": target}
        for port in self.link.ports:
            one = made.setdefault((port.target, port.protocol), {"containerPort": port.target})
            if port.protocol == "udp":
                one["protocol"] = "UDP"
            if _on_host(port):
                one["hostPort"] = port.published or port.target
                if port.host_ip not in ("", "0.0.0.0", "::"):  # noqa: S104 - compared, not bound
                    one["hostIP"] = port.host_ip
        return list(made.values())

    def _services(self) -> Iterator[Made]:
        where = self.node.map.get("ports", self.node)
        names = {port.target: port for port in self.link.ports}
        inside = [_service_port(names.get(target) or Port(target), target) for target in self.link.inside]
        for name in (self.name, *self.link.aliases) if inside else ():
            yield "Service", name, where, {"spec": {"selector": self.selector, "ports": inside}}
        published = [port for port in self.link.ports if port.published is not None and not _on_host(port)]
        by_number = [port for port in published if not port.published or port.published in NODE_PORTS]
        balanced = [port for port in published if port not in by_number]
        for kind, ports, ending in (("LoadBalancer", balanced, "published"), ("NodePort", by_number, "node-port")):
            if ports:
                rows = [_published(port, kind) for port in dict.fromkeys(ports)]
                yield (
                    "Service",
                    f"{self.name}-{ending}",
                    where,
                    {"spec": {"type": kind, "selector": self.selector, "ports": rows}},
                )


def _on_host(port: Port) -> bool:
    """Whether it is to be open on the pod's own host alone."""
    anywhere = ("", "0.0.0.0", "::")  # noqa: S104 - compared, not bound
    return port.published is not None and (
        port.protocol == "udp" or port.mode == "host" or port.host_ip not in anywhere
    )


def _published(port: Port, kind: str) -> dict[str, Any]:
    if kind == "NodePort":
        number = {"nodePort": port.published} if port.published else {}
        return {**_service_port(port, port.target), **number}
    return {**_service_port(port, port.published or port.target), "targetPort": port.target}


def _service_port(port: Port, number: int) -> dict[str, Any]:
    """The name says nothing of the protocol, unless the file does: the number decides, as everywhere."""
    protocol = {"appProtocol": port.app_protocol} if port.app_protocol else {}
    return {"name": object_name(port.name) or f"port-{number}", "port": number, "targetPort": port.target, **protocol}


def _policies(project: Project, connected: Mapping[str, Link], application: str) -> Iterator[Made]:
    """Pods reach those with whom they share a network; what is published is reached from anywhere."""
    networks = project.section("networks")
    for network in sorted({network for link in connected.values() for network in link.networks}):
        who = {"matchLabels": {f"{NETWORK}{network}": "true", PART_OF: application}}
        spec = {"podSelector": who, "policyTypes": ["Ingress"], "ingress": [{"from": [{"podSelector": who}]}]}
        yield "NetworkPolicy", f"network-{object_name(network)}", networks.get(network, project.root), {"spec": spec}
    for name, link in connected.items():
        ports = sorted({port.target for port in link.ports if port.protocol == "tcp"})
        if ports:
            who = {"matchLabels": {NAME: name, PART_OF: application}}
            anyone = {"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"port": port} for port in ports]}
            spec = {"podSelector": who, "policyTypes": ["Ingress"], "ingress": [anyone]}
            yield "NetworkPolicy", f"{name}-published", project.services[name], {"spec": spec}


_VERSIONS = {"Deployment": "apps/v1", "NetworkPolicy": "networking.k8s.io/v1"}


def _piece(kind: str, name: str, where: Node, body: Mapping[str, Any]) -> Piece:
    """On one line, after as many empty ones as its origin has above it: errors in it are at that line."""
    notes = {"annotations": body["annotations"]} if body.get("annotations") else {}
    rest = {key: value for key, value in body.items() if key != "annotations"}
    whole = {"apiVersion": _VERSIONS.get(kind, "v1"), "kind": kind, "metadata": {"name": name, **notes}, **rest}
    return Piece(where.file, b"\n" * (where.line - 1) + json.dumps(whole).encode())
