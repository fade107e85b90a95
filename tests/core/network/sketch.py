"""Clusters in short notation: pods("web", "a:RRr b:R") are web-1 to web-4, three on node a, the third not ready.

R ready, r not ready, t being deleted (still ready), n without an address. Node a is the router's own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from deployer.core.network.config import router_config
from deployer.core.network.values import (
    Cluster,
    Identity,
    NetworkCheck,
    PodNetwork,
    RoutedIngress,
    RoutedNode,
    RoutedPod,
    RoutedPolicy,
    RoutedService,
    RouterConfig,
)
from deployer.core.objects.network import IngressSpec, NetworkPolicySpec
from deployer.core.objects.workload import ServiceSpec

NODE_A = RoutedNode("uid-a", "a", "192.0.2.11")
NODE_B = RoutedNode("uid-b", "b", "192.0.2.12")
IDENTITY = Identity("CERTIFICATE\n", "KEY\n", "AUTHORITY\n", "REVOKED\n")
SHOP = PodNetwork("pierhead-shop", 1, "shop")


def pods(name: str, picture: str, namespace: str = "shop", **more: Any) -> tuple[RoutedPod, ...]:
    found: list[RoutedPod] = []
    for part in picture.split():
        node, _, letters = part.partition(":")
        for letter in letters:
            number = len(found) + 1
            place = RoutedPod(
                uid=f"uid-{name}-{number}",
                namespace=namespace,
                name=f"{name}-{number}",
                node=f"uid-{node}",
                ip="" if letter == "n" else f"10.208.16.{number + 1}",
                labels={"app": name},
                ready=letter in "Rtn",
                leaving=letter == "t",
                ports={"web": 8080},
                revision=1,
            )
            found.append(replace(place, **more))
    return tuple(found)


def service(name: str = "web", *ports: Any, index: int = 1, namespace: str = "shop", **spec: Any) -> RoutedService:
    """A port is a number, or the mapping of a manifest."""
    written = [{"port": port} if isinstance(port, int) else port for port in ports]
    annotations, indexes = spec.pop("annotations", {}), spec.pop("pod_indexes", {})
    if spec.get("type") != "ExternalName":
        spec.setdefault("selector", {"app": name})
    found = ServiceSpec.model_validate({"ports": written, **spec})
    return RoutedService(f"uid-{namespace}-{name}", namespace, name, index, found, annotations, indexes)


def ingress(name: str, *rules: str, namespace: str = "shop", **spec: Any) -> RoutedIngress:
    """A rule is "HOST/PATH TYPE SERVICE:PORT", such as "shop.test/cart Prefix web:80"; no host is "/cart ..."."""
    written = []
    for rule in rules:
        address, kind, target = rule.split(" ")
        host, slash, path = address.partition("/")
        backend, _, port = target.partition(":")
        where = {"number": int(port)} if port.isdigit() else {"name": port}
        to = {"service": {"name": backend, "port": where}}
        written.append({"host": host, "http": {"paths": [{"path": slash + path, "pathType": kind, "backend": to}]}})
    created_at, annotations = spec.pop("created_at", 0), spec.pop("annotations", {})
    found = IngressSpec.model_validate({"rules": written, **spec})
    return RoutedIngress(namespace, name, found, created_at, annotations)


def policy(name: str = "closed", namespace: str = "shop", **spec: Any) -> RoutedPolicy:
    return RoutedPolicy(namespace, name, NetworkPolicySpec.model_validate(spec))


def cluster(*things: Any, **more: Any) -> Cluster:
    """Node a's view: services, ingresses, policies and (tuples of) pods in any order."""
    kinds: dict[type, list[Any]] = {RoutedService: [], RoutedIngress: [], RoutedPolicy: [], RoutedPod: []}
    for thing in things:
        for one in thing if isinstance(thing, tuple) else (thing,):
            kinds[type(one)].append(one)
    found = Cluster(
        cluster_id="test",
        node=NODE_A,
        identity=IDENTITY,
        nodes=(NODE_A, NODE_B),
        services=tuple(kinds[RoutedService]),
        pods=tuple(kinds[RoutedPod]),
        ingresses=tuple(kinds[RoutedIngress]),
        policies=tuple(kinds[RoutedPolicy]),
        namespaces={"shop": {}},
        networks=(SHOP,),
    )
    return replace(found, **more)


def config(*things: Any, **more: Any) -> RouterConfig:
    return router_config(cluster(*things, **more))


def section(found: RouterConfig | str, head: str) -> list[str]:
    """The lines of the section whose head starts with these words; no such section is an empty list."""
    text = found if isinstance(found, str) else found.text
    for block in text.split("\n\n"):
        first, *rest = block.splitlines()
        if f"{first} ".startswith(f"{head} "):
            return [line.strip() for line in rest]
    return []


def httpget(path: str = "/ready", port: int = 8080, **more: Any) -> NetworkCheck:
    return NetworkCheck("http", port, path, **more)
