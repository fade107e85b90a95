"""Nothing that people write in a manifest becomes a word of a configuration, whatever it is.

The same objects are rendered twice: with plain words, and with arbitrary text in a field. The text of HAProxy, of the
edge, of the resolver's names and of certificate lists may then only lack lines: no line is new, and none has one word
more. Maps may hold the text, one key and one value a line.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import fields, replace
from typing import Any

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from deployer.core.network.config import router_config
from deployer.core.network.endpoints import mode
from deployer.core.network.maps import map_text
from deployer.core.network.values import Cluster, ContainerProbe, NetworkCheck, RouterConfig, TlsPair
from deployer.core.objects.network import IngressSpec
from deployer.core.objects.workload import ServicePort, ServiceSpec
from tests.core.network.sketch import cluster, httpget, ingress, pods, policy, service

TRICKS = (
    *("a\n    server evil 6.6.6.6:80", "a b", "a\tb", "a\r\nb", "%[env(HOME)]", '"', "\\", "#a", "a;b", "a}", "a\x00b"),
    *("..", "/", "a/../../b", "str(a)", "a,lower", "${HOME}", "a\u2028b", "a\u00a0b"),
)
TEXT = st.text(st.characters(codec="utf-8"), min_size=1) | st.sampled_from(TRICKS)
HOSTILE = "x\nbackend evil\n    server evil 6.6.6.6:80"


def objects() -> Cluster:
    ports = ({"port": 80, "name": "http", "targetPort": "web"}, {"port": 443, "nodePort": 30443})
    tls = [{"hosts": ["shop.test"], "secretName": "cert"}]
    return cluster(
        service("web", *ports, type="NodePort"),
        service("db", 5432, index=0, clusterIP="None", pod_indexes={"uid-db-1": 11}),
        service("out", 80, type="ExternalName", externalName="out.test", index=3),
        pods("web", "a:R b:R", readiness=httpget("/ready", headers=(("X-Own", "yes"),))),
        pods("db", "a:R", readiness=httpget("/ready", host="db.test")),
        ingress("site", "shop.test/a Prefix web:80", "b.test/b Exact web:http", tls=tls),
        policy(podSelector={"matchLabels": {"app": "web"}}),
        tls=(TlsPair("shop", "cert", "PEM\n", "KEY\n"),),
    )


def lines(found: RouterConfig) -> list[str]:
    """All lines that programs read as a configuration, without the hash that stands for their content."""
    text = [found.text, found.edge, *(data.decode() for name, data in found.files.items() if ".pem" not in name)]
    return [line for part in text for line in part.splitlines() if "proc.structure" not in line]


def shapes(desired: Cluster) -> Counter[tuple[str, str]]:
    return Counter(map(shape, lines(router_config(desired))))


def shape(line: str) -> tuple[str, str]:
    """The directive, and the line with every name and number as x: what is left is spaces and signs."""
    directive = line.split()[0] if line.strip() else ""
    return "" if directive[:1] in "0123456789/" else directive, re.sub(r"[a-zA-Z0-9.-]+", "x", line)


PLAIN = shapes(objects())


def check(changed: Cluster, plain: Counter[tuple[str, str]] = PLAIN) -> None:
    """No line more than without the change, of whatever shape."""
    found = router_config(changed)
    assert not shapes(changed) - plain
    for name, entries in found.maps.items():
        text = map_text(entries)
        assert len(text.splitlines()) == len(entries), name
        assert all(len(line.split()) == 2 and not line.startswith("#") for line in text.splitlines()), name
        assert "/" not in name.removeprefix("maps/")
    assert all(".." not in path for path in found.files)
    assert all(problem.isprintable() for problem in found.problems)


def services(change: dict[str, Any]) -> Cluster:
    desired = objects()
    web = desired.services[0]
    spec = {key: value for key, value in change.items() if key in ServiceSpec.model_fields}
    port = {key: value for key, value in change.items() if key in ServicePort.model_fields}
    ports = (web.spec.ports[0].model_copy(update=port), *web.spec.ports[1:])
    own = {key: value for key, value in change.items() if key in {one.name for one in fields(web)}}
    changed = replace(web, spec=web.spec.model_copy(update={"ports": ports, **spec}), **own)
    return replace(desired, services=(changed, *desired.services[1:]))


@given(st.sampled_from(["name", "namespace", "target_port"]), TEXT)
@example("name", HOSTILE)
@example("namespace", HOSTILE)
@settings(deadline=None)
def test_fields_of_a_service(field: str, text: str) -> None:
    assume(field != "name" or mode(ServicePort(port=80, name=text)) == "http")  # "tls" is no injection: carried as tcp
    check(services({field: text}))


@given(TEXT)
@example(HOSTILE)
@settings(deadline=None)
def test_how_a_port_is_carried(text: str) -> None:
    assume(mode(ServicePort(port=80, app_protocol=text)) == "tcp")
    check(services({"app_protocol": text}), shapes(services({"app_protocol": "tcp"})))


@given(TEXT)
@example(HOSTILE)
@settings(deadline=None)
def test_the_selector_the_annotations_and_the_external_name(text: str) -> None:
    check(services({"selector": {text: text}}))
    check(services({"annotations": {"pierhead.io/nodes": text, text: text}}))
    desired = objects()
    out = replace(desired.services[2], spec=desired.services[2].spec.model_copy(update={"external_name": text}))
    check(replace(desired, services=(*desired.services[:2], out)))


@given(st.sampled_from(["name", "namespace", "ip", "owner", "network", "node", "uid"]), TEXT)
@example("name", HOSTILE)
@example("ip", HOSTILE)
@settings(deadline=None)
def test_fields_of_a_pod(field: str, text: str) -> None:
    desired = objects()
    changed = replace(desired.pods[0], **{field: text})
    check(replace(desired, pods=(changed, *desired.pods[1:])))


PROBE = ContainerProbe("web", "liveness", httpget(), "c0ffee", 0)


@given(TEXT)
@example(HOSTILE)
@example("Web")
@settings(deadline=None)
def test_a_probed_containers_name(text: str) -> None:
    assume(not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", text))
    desired = objects()
    plain, changed = (
        replace(desired, pods=(replace(desired.pods[0], probes=(probe,)), *desired.pods[1:]))
        for probe in (PROBE, replace(PROBE, container=text))
    )
    assert "liveness" in router_config(plain).text
    check(changed, shapes(plain))
    assert "Pod shop/web-1 is left out: the name of a container with a probe" in str(router_config(changed).problems)


@given(TEXT, TEXT)
@example(HOSTILE, HOSTILE)
@settings(deadline=None)
def test_a_readiness_check(path: str, host: str) -> None:
    desired = objects()
    probe = NetworkCheck("http", 8080, path, host)
    check(replace(desired, pods=(*desired.pods[:2], replace(desired.pods[2], readiness=probe))))


@given(st.sampled_from(["host", "path", "service", "port", "tls_host", "secret", "name", "namespace", "class"]), TEXT)
@example("path", HOSTILE)
@example("host", HOSTILE)
@example("secret", "../../etc/passwd")
@settings(deadline=None)
def test_fields_of_an_ingress(field: str, text: str) -> None:
    def one(name: str, plain: str) -> str:
        return text if field == name else plain

    to = {"service": {"name": one("service", "web"), "port": {"name": one("port", "http")}}}
    path = {"path": one("path", "/a"), "pathType": "Prefix", "backend": to}
    spec = {
        "ingressClassName": one("class", "pierhead"),
        "rules": [{"host": one("host", "shop.test"), "http": {"paths": [path, {**path, "pathType": "Exact"}]}}],
        "tls": [{"hosts": [one("tls_host", "shop.test")], "secretName": one("secret", "cert")}],
    }
    desired = objects()
    site = replace(desired.ingresses[0], spec=IngressSpec.model_validate(spec))
    site = replace(site, name=one("name", "site"), namespace=one("namespace", "shop"))
    check(replace(desired, ingresses=(site,)))


@given(st.sampled_from(["name", "namespace"]), TEXT)
@example("name", "../../haproxy.cfg")
@settings(deadline=None)
def test_a_tls_secret(field: str, text: str) -> None:
    desired = objects()
    check(replace(desired, tls=(replace(desired.tls[0], **{field: text}),)))


@given(st.text())
@example(HOSTILE)
@settings(deadline=None)
def test_a_nodes_mesh_address(text: str) -> None:
    desired = objects()
    check(replace(desired, nodes=tuple(replace(node, mesh_address=text, name=text) for node in desired.nodes)))


def test_a_line_more_would_be_found() -> None:
    desired = objects()
    sticky = desired.services[0].spec.model_copy(update={"session_affinity": "ClientIP"})
    changed = replace(desired, services=(replace(desired.services[0], spec=sticky), *desired.services[1:]))
    assert shapes(changed) - PLAIN
