"""Ingress rules as the entries of maps: which host and path lead to which backend.

    Prefix /cart of shop.example.com -> prefix map: "shop.example.com/cart/"; looked up is host + path + "/"
    Exact /status                    -> exact map:  "shop.example.com/status"; a rule without a host has "*" for one

Of two Ingresses that want one host and path, the older has it (then by namespace and name); the other is told so.
Hosts and paths of manifests go nowhere else: a host that is none is refused, a path is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from deployer.core.network.maps import INGRESS_DEFAULT, INGRESS_EXACT, INGRESS_PREFIX, INGRESS_TLS, is_word, path_word
from deployer.core.network.values import RoutedIngress
from deployer.core.objects.network import HTTPIngressPath, IngressBackend

DEFAULT_KEY = "default"
REDIRECT, STAY = "redirect", "stay"
REDIRECT_ANNOTATION = "pierhead.io/ssl-redirect"
_HOST = re.compile(r"(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_MAPS = (INGRESS_DEFAULT, INGRESS_EXACT, INGRESS_PREFIX)

Resolve = Callable[[RoutedIngress, IngressBackend], str]
"""The name of HAProxy's backend for an Ingress' backend."""


@dataclass(frozen=True, slots=True)
class _Rule:
    ingress: RoutedIngress
    map: str
    key: str
    what: str  # "shop.example.com/cart (Prefix)"
    backend: IngressBackend


def rules(ingresses: Iterable[RoutedIngress], resolve: Resolve) -> tuple[dict[str, dict[str, str]], list[str]]:
    """The maps of host and path, and the problems."""
    maps: dict[str, dict[str, str]] = {name: {} for name in _MAPS}
    owners: dict[tuple[str, str], RoutedIngress] = {}
    problems: list[str] = []
    for ingress in by_age(ingresses):
        problems.extend(f"{shown(ingress)}: the host of a rule is none; its rule is left out" for _ in _wrong(ingress))
        for rule in _rules(ingress):
            owner = owners.setdefault((rule.map, rule.key), ingress)
            if rule.key in maps[rule.map]:
                problems.append(_conflict(rule, owner))
            elif not is_word(rule.key):
                problems.append(f"{shown(ingress)}: the path of a rule is too long; its rule is left out")
            else:
                maps[rule.map][rule.key] = resolve(ingress, rule.backend)
    return maps, problems


def redirects(ingresses: Iterable[RoutedIngress]) -> Mapping[str, Mapping[str, str]]:
    """Which hosts' requests over http are sent to https: those of TLS entries, unless the annotation says no.

    A host with a rule of its own stands there in either case, so that `*.` of its parent does not speak for it. Of two
    Ingresses with one host, the one that sends it to https decides.
    """
    sent: set[str] = set()
    stay: set[str] = set()
    for ingress in ingresses:
        own = {rule.host.lower() for rule in ingress.spec.rules}
        secure = _secure(ingress)
        sent |= secure | {host for host in own if _parent(host) in secure}
        stay |= own
    found = {**dict.fromkeys(stay, STAY), **dict.fromkeys(sent, REDIRECT)}
    return {INGRESS_TLS: {host: what for host, what in sorted(found.items()) if _HOST.fullmatch(host)}}


def by_age(ingresses: Iterable[RoutedIngress]) -> list[RoutedIngress]:
    return sorted(ingresses, key=lambda one: (one.created_at, one.namespace, one.name))


def shown(ingress: RoutedIngress) -> str:
    return f"Ingress {ingress.namespace}/{ingress.name}"


def _secure(ingress: RoutedIngress) -> set[str]:
    """The hosts, also "*.shop.test", of its TLS entries; an entry without any means those of the rules."""
    if ingress.annotations.get(REDIRECT_ANNOTATION) == "false":
        return set()
    entries = (entry.hosts or tuple(rule.host for rule in ingress.spec.rules) for entry in ingress.spec.tls)
    return {host.lower() for hosts in entries for host in hosts}


def _parent(host: str) -> str:
    return "*." + host.partition(".")[2]


def _rules(ingress: RoutedIngress) -> Iterator[_Rule]:
    if ingress.spec.default_backend is not None:
        what = "the default backend"
        yield _Rule(ingress, INGRESS_DEFAULT, DEFAULT_KEY, what, ingress.spec.default_backend)
    for rule in ingress.spec.rules:
        if rule.http is not None and not (rule.host and not _HOST.fullmatch(rule.host.lower())):
            yield from (_path_rule(ingress, rule.host.lower(), path) for path in rule.http.paths)


def _path_rule(ingress: RoutedIngress, host: str, path: HTTPIngressPath) -> _Rule:
    word = path_word(path.path)
    what = f"{host or 'any host'}{word} ({path.path_type})"
    if path.path_type == "Exact":
        return _Rule(ingress, INGRESS_EXACT, f"{host or '*'}{word}", what, path.backend)
    return _Rule(ingress, INGRESS_PREFIX, f"{host or '*'}{word.rstrip('/')}/", what, path.backend)


def _wrong(ingress: RoutedIngress) -> Iterator[str]:
    yield from (rule.host for rule in ingress.spec.rules if rule.host and not _HOST.fullmatch(rule.host.lower()))


def _conflict(rule: _Rule, owner: RoutedIngress) -> str:
    if owner is rule.ingress:
        return f"{shown(owner)}: {rule.what} stands there twice; the first one holds"
    return f"{shown(rule.ingress)}: {rule.what} belongs to {shown(owner)}, which is older; remove it from one of them"
