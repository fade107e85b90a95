"""Ingress rules become entries of maps; conflicts become sentences, and the rest works."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from deployer.core.network.values import RouterConfig, TlsPair
from tests.core.network.sketch import config, ingress, pods, section, service

WEB = service("web", {"port": 80, "name": "http"}, {"port": 5432, "name": "db"})


@pytest.mark.parametrize(
    ("rule", "kind", "key", "backend"),
    [
        pytest.param("shop.test/ Prefix web:80", "prefix", "shop.test/", "svc.shop.web.80", id="a root"),
        pytest.param("shop.test/a Prefix web:http", "prefix", "shop.test/a/", "svc.shop.web.80", id="a port by name"),
        pytest.param("shop.test/a/ Prefix web:80", "prefix", "shop.test/a/", "svc.shop.web.80", id="a final slash"),
        pytest.param("Shop.Test/a Exact web:80", "exact", "shop.test/a", "svc.shop.web.80", id="exact, any case"),
        pytest.param("*.shop.test/ Prefix web:80", "prefix", "*.shop.test/", "svc.shop.web.80", id="a wildcard"),
        pytest.param("/a Prefix web:80", "prefix", "*/a/", "svc.shop.web.80", id="any host"),
        pytest.param("/a Exact web:db", "exact", "*/a", "ingress.shop.web.5432", id="a tcp port"),
        pytest.param("/\u00fc Exact web:80", "exact", "*/%C3%BC", "svc.shop.web.80", id="what has to be escaped"),
    ],
)
def test_rules(rule: str, kind: str, key: str, backend: str) -> None:
    found = config(WEB, ingress("site", rule))
    assert found.maps[f"maps/ingress-{kind}.map"] == {key: backend}
    assert found.problems == ()
    assert section(found, f"backend {backend}") or backend in found.servers


@pytest.mark.parametrize(
    ("things", "sentence"),
    [
        pytest.param(
            (
                ingress("b", "a.test/x Prefix web:80", created_at=1),
                ingress("a", "a.test/x/ Prefix web:80", created_at=2),
            ),
            "Ingress shop/a: a.test/x/ (Prefix) belongs to Ingress shop/b, which is older; remove it from one of them",
            id="two for one path: the older has it",
        ),
        pytest.param(
            (ingress("b", "a.test/x Exact web:80"), ingress("a", "a.test/x Exact web:80")),
            "Ingress shop/b: a.test/x (Exact) belongs to Ingress shop/a, which is older; remove it from one of them",
            id="of one age: the first by name",
        ),
        pytest.param(
            (ingress("a", "a.test/ Prefix web:80", "a.test/ Prefix web:db"),),
            "Ingress shop/a: a.test/ (Prefix) stands there twice; the first one holds",
            id="twice in one",
        ),
        pytest.param(
            (ingress("a", "a.test/ Prefix gone:80"),),
            "Ingress shop/a leads to the Service shop/gone, which does not exist: it is answered with 503",
            id="no Service",
        ),
        pytest.param(
            (ingress("a", "a.test/ Prefix web:81"),),
            "Ingress shop/a leads to port 81 of Service shop/web, which has 80 (http), 5432 (db):"
            " it is answered with 503",
            id="no port",
        ),
        pytest.param(
            (ingress("a", "a_b.test/ Prefix web:80"),),
            "Ingress shop/a: the host of a rule is none; its rule is left out",
            id="no host",
        ),
        pytest.param(
            (ingress("a", "a.test/ Prefix web:80", tls=[{"hosts": ["a.test"], "secretName": "cert"}]),),
            "Ingress shop/a: the TLS Secret shop/cert is missing or is none;"
            " its hosts show a certificate that browsers refuse",
            id="no certificate",
        ),
    ],
)
def test_problems_are_told_and_the_rest_works(things: Any, sentence: str) -> None:
    found = config(WEB, *things, ingress("fine", "fine.test/ Prefix web:80", created_at=9))
    assert found.problems == (sentence,)
    assert found.maps["maps/ingress-prefix.map"]["fine.test/"] == "svc.shop.web.80"


def test_the_older_of_two_has_the_default() -> None:
    def default(name: str) -> dict[str, Any]:
        return {"default_backend": {"service": {"name": name, "port": {"number": 80}}}}

    found = config(WEB, ingress("new", **default("gone"), created_at=2), ingress("old", **default("web"), created_at=1))
    assert found.maps["maps/ingress-default.map"] == {"default": "svc.shop.web.80"}
    assert len(found.problems) == 1


@pytest.mark.parametrize(
    ("tls", "annotations", "hosts"),
    [
        pytest.param([{"hosts": ["a.test", "*.B.test"]}], {}, {"a.test", "*.b.test"}, id="hosts of TLS entries"),
        pytest.param([{"hosts": ["*.test"]}], {}, {"*.test", "shop.test"}, id="a rule's host below a wildcard"),
        pytest.param([{"secretName": "cert"}], {}, {"shop.test"}, id="none named: the rules'"),
        pytest.param([{"hosts": ["a.test"]}], {"pierhead.io/ssl-redirect": "false"}, set(), id="not wanted"),
        pytest.param([], {}, set(), id="no TLS"),
    ],
)
def test_who_is_sent_to_https(tls: Any, annotations: Any, hosts: set[str]) -> None:
    found = config(WEB, ingress("site", "shop.test/ Prefix web:80", tls=tls, annotations=annotations))
    entries = found.maps["maps/ingress-tls.map"]
    assert {host for host, what in entries.items() if what == "redirect"} == hosts
    assert "shop.test" in entries


@pytest.mark.parametrize(
    ("more", "what"),
    [
        pytest.param({}, "stay", id="a rule without TLS"),
        pytest.param({"tls": [{}], "annotations": {"pierhead.io/ssl-redirect": "false"}}, "stay", id="not wanted"),
        pytest.param({"tls": [{"secretName": "other"}]}, "redirect", id="TLS of its own"),
    ],
)
def test_a_wildcard_of_tls_does_not_speak_for_a_host_with_its_own_rule(more: Any, what: str) -> None:
    wild = ingress("wild", "*.shop.test/ Prefix web:80", tls=[{"hosts": ["*.shop.test"]}])
    found = config(WEB, wild, ingress("plain", "plain.shop.test/ Prefix web:80", **more))
    assert found.maps["maps/ingress-tls.map"] == {"*.shop.test": "redirect", "plain.shop.test": what}


def test_certificates_are_files_and_their_list_begins_with_the_nodes_own() -> None:
    pair = TlsPair("shop", "cert", "PEM\n", "SECRET\n")
    site = ingress("site", "shop.test/ Prefix web:80")
    found = config(WEB, site, tls=(pair,))
    path, listing = pair_files(found)
    assert found.files[path] == b"PEM\nSECRET\n"
    assert found.files[listing].decode().splitlines() == ["/pierhead/tls/node.pem", f"/pierhead/{path}"]
    assert f"ssl crt-list /pierhead/{listing} " in found.text
    assert found.structure != config(WEB, site, tls=(replace(pair, key="NEW\n"),)).structure
    assert "SECRET" not in repr(found)


def test_certificates_are_in_files_of_their_content() -> None:
    """So a configuration that HAProxy refuses alters nothing that the running one reads, and no name is too long."""
    pair, site = TlsPair("shop", "c" * 253, "PEM\n", "KEY\n"), ingress("site", "shop.test/ Prefix web:80")
    others = [replace(pair, key="NEW\n"), replace(pair, name="other"), replace(pair, namespace="blog")]
    seen = [pair_files(config(WEB, site, tls=(one,))) for one in (pair, *others)]
    assert len({path for path, _ in seen}) == len({listing for _, listing in seen}) == 4
    assert all(re.fullmatch(r"tls/ingress/[0-9a-f]{16}\.pem", path) for path, _ in seen)
    assert all(re.fullmatch(r"tls/ingress\.[0-9a-f]{12}\.crt-list", listing) for _, listing in seen)


def pair_files(found: RouterConfig) -> tuple[str, str]:
    """The one certificate's file, and the list's."""
    (path,) = (name for name in found.files if name.startswith("tls/ingress/"))
    (listing,) = (name for name in found.files if name.endswith(".crt-list"))
    return path, listing


def test_rules_come_and_go_without_a_reload() -> None:
    one = config(WEB, ingress("site", "shop.test/ Prefix web:80"), pods("web", "a:R"))
    two = config(WEB, ingress("site", "shop.test/cart Exact web:80"), ingress("more", "/ Prefix gone:80"))
    assert one.structure == two.structure
