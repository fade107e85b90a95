"""What a node's route loop is given, and what is given out for it: addresses, networks, certificates."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography import x509
from django.conf import settings
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest import param

from control.models import (
    Authority,
    Event,
    Ingress,
    NetworkPolicy,
    Node,
    Pod,
    PodNetwork,
    Router,
    Service,
    ServiceAddress,
)
from control.store import addresses, identities
from control.store.nodes import desired
from control.store.routing import RouteRows, adopt_networks, mesh_address, routing_version
from deployer.adapters import authority
from deployer.core.network import simulated_hosts
from deployer.core.network.endpoints import node_label
from deployer.core.network.routing import Routed
from tests.control import factories
from tests.control.factories import NOW

pytestmark = pytest.mark.django_db
ROUTES = RouteRows(authority)
DAY = 86400.0


def load(node: Node, now: float = NOW) -> Routed:
    found = ROUTES.load(node.uid, now)
    assert found is not None
    return found


def small(monkeypatch: pytest.MonkeyPatch, pod_range: str) -> None:
    monkeypatch.setattr(settings, "PIERHEAD", dataclasses.replace(settings.PIERHEAD, pod_range=pod_range))


# Networks


def pods_on(words: str, node: Node) -> list[Pod]:
    """A word is `namespace`, `namespace/owner` for an isolated workload, or `host`."""
    rows = []
    for word in words.split():
        namespace, _, owner = word.partition("/")
        placement = {"cpu": 0, "network": addresses.ISOLATED if owner else "host" if word == "host" else ""}
        rows.append(factories.pod(namespace=namespace, node=node, placement=placement))
        if owner:
            rows[-1].owner = f"Deployment/{owner}"
            Pod.objects.filter(pk=rows[-1].pk).update(owner=rows[-1].owner)
    return rows


def given_out() -> str:
    return " ".join(f"{row.name}={row.index}" for row in PodNetwork.objects.order_by("index"))


@pytest.mark.parametrize(
    ("pods", "expected"),
    [
        param("shop blog", "pierhead-blog=1 pierhead-shop=2", id="by name among those that are new at one time"),
        param("shop shop", "pierhead-shop=1", id="one for all pods of a namespace"),
        param("host", "", id="the host's network has no index"),
        param("shop/db", "pierhead-shop-78b61deb=1", id="one of its own for an isolated workload"),
    ],
)
def test_networks_get_the_smallest_free_index(pods: str, expected: str) -> None:
    row = factories.node()
    rows = pods_on(pods, row)
    assert addresses.choose_networks(rows) == [one for one in rows if one.network]
    load(row)
    assert given_out() == expected


def test_a_network_has_the_same_index_on_every_node() -> None:
    first, second = factories.node("n1"), factories.node("n2")
    pods_on("shop", first)
    pods_on("blog shop", second)
    seen = {(one.name, one.index) for node in (first, second) for one in load(node).cluster.networks}
    assert seen == {("pierhead-shop", 1), ("pierhead-blog", 2)}


def test_when_no_network_is_free_those_without_pods_are_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    small(monkeypatch, "10.208.0.0/19")
    row = factories.node()
    shop, blog = pods_on("shop blog", row)
    Pod.objects.filter(pk=shop.pk).update(network="pierhead-shop")
    assert addresses.network_indexes([shop]) == {"pierhead-shop": 1}
    assert addresses.network_indexes([blog]) == {}
    assert Event.objects.get(reason="NoPodNetwork").message.startswith("all 1 pod networks are in use: pierhead-blog")
    Pod.objects.filter(pk=shop.pk).delete()
    assert addresses.network_indexes([blog]) == {"pierhead-blog": 1}


@pytest.mark.parametrize(
    ("records", "found", "expected"),
    [
        param("", "shop=3", "shop=3!", id="nothing on record: as the host has it"),
        param("shop=3", "shop=3", "shop=3!", id="the same: now it is known to exist"),
        param("shop=1", "shop=3", "shop=3!", id="one that was only given out moves"),
        param("shop=1 blog=2", "blog=1 shop=2", "blog=1! shop=2!", id="two that were given out the other way round"),
        param("shop=1", "blog=1", "blog=1! shop=2", id="one that exists is made way for"),
        param("shop=1!", "blog=1", "shop=1! NetworkDiffers", id="two hosts differ: the first one stands"),
        param("shop=1!", "shop=2", "shop=1! NetworkDiffers", id="one network differs between two hosts"),
        param("", "shop=x", "", id="a range that none of ours has"),
    ],
)
def test_networks_of_hosts_are_taken_over(records: str, found: str, expected: str) -> None:
    node = factories.node()
    for word in records.split():
        name, _, index = word.partition("=")
        PodNetwork.objects.create(
            name=f"pierhead-{name}", index=int(index.strip("!")), namespace=name, seen=index.endswith("!")
        )
    seen = dict(word.split("=") for word in found.split())
    ranges = {"x": "172.17.0.0/16", **{str(index): f"10.208.{index * 16}.0/20" for index in range(4)}}
    cidrs = {f"pierhead-{name}": ranges[index] for name, index in seen.items()}
    adopt_networks(node.uid, {**cidrs, "bridge": "10.208.16.0/20"})
    left = [f"{row.namespace}={row.index}{'!' * row.seen}" for row in PodNetwork.objects.order_by("index")]
    left += [event.reason for event in Event.objects.filter(kind="Node", name=node.name)]
    assert " ".join(left) == expected
    assert not adopt_networks(node.uid, cidrs)


def test_a_pod_is_told_its_network_and_the_routers_address_on_it() -> None:
    _, _, pods = factories.shop(1)
    node = pods[0].node
    assert node is not None
    found = desired(node.uid, [pods[0].uid])[pods[0].uid]
    assert found is not None and found.subnet is not None
    assert (found.network, found.subnet.pods, found.dns) == ("pierhead-shop", "10.208.16.0/21", "10.208.24.1")
    assert (found.released, found.release_by, found.router_problem) == (True, 0, "it has not been set up yet")
    assert Pod.objects.get(pk=pods[0].pk).network == "pierhead-shop"


# Services


def indexes() -> dict[str, int]:
    return dict(ServiceAddress.objects.filter(released_at=None).values_list("service", "index"))


def test_services_are_numbered_and_numbers_are_not_given_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "MOST_SERVICES", 4)
    story = [
        ("a b", {"a": 1, "b": 2}),
        ("b c", {"b": 2, "c": 3}),  # not 1, which clients of a may remember
        ("b c d", {"b": 2, "c": 3, "d": 4}),
        ("b d e", {"b": 2, "d": 4, "e": 1}),  # none is free: the one that was released first
        ("b c d e", {"b": 2, "c": 3, "d": 4, "e": 1}),  # back again, at its old number
        ("b c d e f", {"b": 2, "c": 3, "d": 4, "e": 1}),  # no number for f
    ]
    for at, (words, expected) in enumerate(story):
        addresses.service_addresses([(word, "") for word in words.split()], NOW + at)
        assert indexes() == expected


@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sets(st.sampled_from("abcdef"), max_size=4), min_size=1, max_size=8))
def test_no_number_is_held_twice_and_a_held_one_never_changes(
    monkeypatch: pytest.MonkeyPatch, story: list[set[str]]
) -> None:
    monkeypatch.setattr(addresses, "MOST_SERVICES", 4)
    ServiceAddress.objects.all().delete()
    before: dict[str, int] = {}
    for at, names in enumerate(story):
        addresses.service_addresses([(name, "") for name in names], NOW + at)
        now = indexes()
        assert set(now) == names and len(set(now.values())) == len(now) and set(now.values()) <= {1, 2, 3, 4}
        assert all(now[name] == index for name, index in before.items() if name in now)
        before = now


def test_a_headless_service_has_an_address_for_each_pod() -> None:
    _, _, pods = factories.shop(2)
    factories.service("web", spec={"clusterIP": "None"})
    factories.service("api")
    node = pods[0].node
    assert node is not None
    api, web = load(node).cluster.services
    assert (web.index, set(web.pod_indexes)) == (0, {pod.uid for pod in pods})
    assert sorted({api.index, *web.pod_indexes.values()}) == [1, 2, 3]
    Service.objects.filter(name="web").delete()
    assert [one.index for one in load(node).cluster.services] == [api.index]


# What is loaded


PROBED = {
    "containers": [
        {
            "name": "web", "image": factories.IMAGE, "ports": [{"name": "http", "containerPort": 8080}],
            "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "initialDelaySeconds": 1000},
            "livenessProbe": {"tcpSocket": {"port": 8080}},
        }
    ]
}  # fmt: skip


def probed(**fields: Any) -> Pod:
    """A pod of a Deployment whose container is probed by the router."""
    owner = factories.replica_set(factories.deployment(), spec={"template": {**factories.template(), "spec": PROBED}})
    started = {"status": factories.pod_status(factories.running(started_seen_at=NOW - 280)).to_dict(), "ready": True}
    placement = {"cpu": 0, "probed": True}
    row: Pod = factories.pod(owner, ip="10.208.16.2", placement=placement, **{**started, **fields})
    return row


def test_a_pod_is_loaded_with_what_its_template_says() -> None:
    row = probed(probes={"web/liveness": {"started_at": NOW - 280, "passing": True, "message": ""}})
    assert row.node is not None
    found = load(row.node)
    (pod,) = found.cluster.pods
    assert (pod.key, pod.owner, pod.network) == (f"shop.{row.name}", "Deployment/web", "pierhead-shop")
    assert pod.ports == {"http": 8080}
    assert pod.readiness is not None and (pod.readiness.port, pod.readiness.path) == (8080, "/ready")
    assert [(one.container, one.kind) for one in pod.probes] == [("web", "liveness")]
    assert [(one.kind, one.passing) for one in found.before[row.uid]] == [("liveness", True)]
    assert found.wake_at == NOW - 280 + 1000, "readiness becomes due"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        param({}, "ready", id="ready"),
        param({"ready": False}, "", id="not ready"),
        param({"deleted_at": NOW}, "ready leaving", id="deleted"),
        param({"phase": "Succeeded"}, "", id="over"),
        param({"labels": {"app": "other"}}, "none", id="nobody selects it, and it is elsewhere"),
        param({"namespace": "blog"}, "none", id="another namespace"),
    ],
)
def test_pods_elsewhere_are_loaded_when_a_service_selects_them(fields: dict[str, Any], expected: str) -> None:
    here, there = factories.node("here"), factories.node("there")
    factories.service()
    factories.pod(node=there, **fields)
    found = load(here)
    words = ["ready" * one.ready + " leaving" * one.leaving for one in found.cluster.pods]
    assert (words[0] if words else "none") == expected
    assert len(found.leaving) == expected.count("leaving")


def test_a_pod_that_is_over_has_no_address_because_it_may_be_another_pods_by_now() -> None:
    here = factories.node()
    for phase in ("Running", "Succeeded", "Failed"):
        factories.pod(node=here, name=phase.lower(), ip="10.208.16.2", phase=phase)
    found = {one.name: one.ip for one in load(here).cluster.pods}
    assert found == {"running": "10.208.16.2", "succeeded": "", "failed": ""}


def test_what_is_read_is_at_least_as_new_as_its_version() -> None:
    node = factories.node()
    before = routing_version()
    factories.service()
    assert load(node).version == routing_version() > before
    assert ROUTES.load("gone", NOW) is None


def test_a_load_costs_no_more_queries_for_more_pods(django_assert_max_num_queries: Any) -> None:
    _, current, _ = factories.shop(1)
    factories.service()
    node = Node.objects.get()
    load(node)
    for number in range(20):
        factories.pod(current, f"more-{number}")
    with django_assert_max_num_queries(20) as told:
        load(node)
    assert isinstance(told, CaptureQueriesContext)
    assert not [one["sql"] for one in told.captured_queries if one["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]


@pytest.mark.parametrize(
    ("address", "annotation", "mesh", "line"),
    [
        param("tcp://10.0.0.5:2376", "", "10.0.0.5", "10.0.0.5", id="the engine's host"),
        param("tcp://10.0.0.5:2376", "192.168.1.5", "192.168.1.5", "10.0.0.5", id="another network between hosts"),
        param("ssh://deploy@h.example", "", "h.example", "h.example", id="ssh"),
        param("unix:///var/run/docker.sock", "", "", "127.0.0.1", id="a local socket"),
        param("sim://one", "", simulated_hosts.mesh_address("one"), "", id="simulated"),
    ],
)
def test_where_a_router_is_reached(address: str, annotation: str, mesh: str, line: str) -> None:
    given = {"pierhead.io/mesh-address": annotation} if annotation else {}
    row = factories.node(address=address, annotations=given)
    assert (mesh_address(row), load(row).line_host) == (mesh, line)


# Certificates


@pytest.fixture
def node() -> Iterator[Node]:
    yield factories.node()


def names_in(pem: str) -> tuple[str, list[str], int]:
    found = x509.load_pem_x509_certificate(pem.encode())
    common = found.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return str(common), names.get_values_for_type(x509.DNSName), found.serial_number
    except x509.ExtensionNotFound:
        return str(common), [], found.serial_number


def test_a_node_and_the_control_plane_are_certified(node: Node) -> None:
    found = load(node)
    label = node_label(node.uid)
    assert names_in(found.cluster.identity.certificate)[:2] == (label, [f"*.{label}.mesh"])
    assert names_in(found.control.certificate)[:2] == ("pierhead-control", [])
    assert found.cluster.identity.authority == found.control.authority
    assert x509.load_pem_x509_crl(found.cluster.identity.revoked.encode()) is not None
    assert "PRIVATE" not in str([*Authority.objects.values(), *Router.objects.values()]), "keys are sealed"


@pytest.mark.parametrize(("days", "renewed"), [(0, False), (59.9, False), (60.1, True), (200, True)])
def test_a_certificate_is_made_anew_after_two_thirds_of_its_time(node: Node, days: float, renewed: bool) -> None:
    before = load(node)
    after = load(node, NOW + days * DAY)
    assert (after.cluster.identity.certificate != before.cluster.identity.certificate) == renewed
    assert (after.control.certificate != before.control.certificate) == renewed
    assert after.cluster.identity.authority == before.cluster.identity.authority
    assert before.wake_at == NOW + 60 * DAY


def test_a_removed_nodes_certificate_is_revoked(node: Node) -> None:
    other = factories.node("n2")
    serial = names_in(load(node).cluster.identity.certificate)[2]
    identities.revoke(node.uid, NOW)
    revoked = x509.load_pem_x509_crl(load(other).cluster.identity.revoked.encode())
    assert [one.serial_number for one in revoked] == [serial]
    identities.revoke(other.uid, NOW + 91 * DAY)
    assert len(Authority.objects.get().revoked) == 1, "what has expired anyway is dropped"


# Ingresses


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        param({"tls.crt": "", "tls.key": ""}, "tls.crt is not a certificate in PEM", id="not PEM"),
        param({"tls.crt": ""}, "it has no key tls.key", id="half of it"),
    ],
)
def test_a_secret_that_cannot_serve_says_why(node: Node, values: dict[str, str], sentence: str) -> None:
    factories.secret("shop-tls", values)
    tls_ingress()
    assert load(node).cluster.tls == load(node).cluster.tls == ()
    told = Event.objects.get(kind="Secret", reason="BadCertificate")
    assert told.message.startswith(f"Secret shop/shop-tls cannot be used for TLS: {sentence}")
    assert told.count == 1


def test_a_tls_secret_is_loaded_for_the_ingress_that_names_it_and_written_anew(node: Node) -> None:
    """A second key, or a line that only HAProxy takes for the beginning of something, does not reach a router."""
    made, other = (authority.make_authority(name, NOW) for name in ("shop.example.com", "other"))
    row = factories.secret("shop-tls", {"tls.crt": f"{made.certificate}{other.key}  -----BEGIN X", "tls.key": made.key})
    assert base64.b64decode(row.sealed.load()["tls.crt"]).decode().startswith(made.certificate)
    assert load(node).cluster.tls == (), "no Ingress names it"
    tls_ingress()
    (pair,) = load(node).cluster.tls
    assert (pair.namespace, pair.name, pair.certificate, pair.key) == ("shop", "shop-tls", made.certificate, made.key)


def tls_ingress() -> None:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    paths = {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}
    spec = {"rules": [{"host": "shop.example.com", "http": paths}], "tls": [{"secretName": "shop-tls"}]}
    factories.made(Ingress(namespace="shop", name="shop", spec=spec))
    factories.made(NetworkPolicy(namespace="shop", name="open", spec={"podSelector": {}, "ingress": [{}]}))
