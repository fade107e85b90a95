"""Ingresses: hosts, paths, backends, TLS, and annotations of other controllers (Kubernetes: networking/validation).

Hosts and paths become keys of the router's maps, so what they may hold is limited here. Annotations of other ingress
controllers change what an Ingress does there; none is honoured here, so none is ignored either.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping

from deployer.core.manifest_checks import names
from deployer.core.manifest_checks.finding import Finding, Path, shown
from deployer.core.objects.kinds import Ingress
from deployer.core.objects.network import HTTPIngressPath, IngressBackend, IngressRule, IngressSpec, IngressTLS

CLASS = "pierhead"
SSL_REDIRECT = "pierhead.io/ssl-redirect"
_SPEC: Path = ("spec",)
_ANNOTATIONS: Path = ("metadata", "annotations")
_CLASS_ANNOTATION = "kubernetes.io/ingress.class"
_ONE_CLASS = f"there is one class, the router of each node: write {CLASS}, or leave it out"
_LONGEST_PATH = 1024
"""With the host it is one key of a map, of at most 2048 characters."""

_PATH = re.compile(r"/(?:[A-Za-z0-9!$&()*+,./:;=@_~-]|%[0-9A-Fa-f]{2})*")
"""What RFC 3986 lets stand in a path as it is (pchar and '/'), without `'`."""
_PATTERN = re.compile(r"[*^$()|\[\]{}\\]")
_STEPS = re.compile(r"//|/\.\.?(?:/|$)|%2[fF]")

_ACME = re.compile(r"kubernetes\.io/tls-acme|(?:[a-z0-9-]+\.)*cert-?manager\.(?:io|k8s\.io)/.*|certmanager\.k8s\.io/.*")
_NO_ACME = "certificates come from TLS Secrets; ACME is not here yet: remove it"
_FOREIGN = (
    "nginx.ingress.kubernetes.io/", "nginx.org/", "nginx.com/", "traefik.ingress.kubernetes.io/", "traefik.io/",
    "alb.ingress.kubernetes.io/", "haproxy.org/", "haproxy-ingress.github.io/", "haproxy.com/",
    "ingress.kubernetes.io/", "appgw.ingress.kubernetes.io/", "konghq.com/", "projectcontour.io/",
)  # fmt: skip
_REDIRECT = f'hosts with a TLS entry are redirected already; {SSL_REDIRECT}: "false" turns that off: remove it'
_INSTEAD: Mapping[str, str] = {
    "ssl-redirect": _REDIRECT,
    "force-ssl-redirect": _REDIRECT,
    "backend-protocol": "write appProtocol at the Service's port (http, h2c, grpc): remove it",
    "affinity": "write sessionAffinity: ClientIP in the Service: remove it",
    "whitelist-source-range": "write a NetworkPolicy with an ipBlock: remove it",
    "allowlist-source-range": "write a NetworkPolicy with an ipBlock: remove it",
    "use-regex": "regular expressions are not matched: write pathType: Prefix or Exact, and remove it",
    "rewrite-target": "paths reach the application as they are: let it serve them, and remove it",
    "proxy-body-size": "bodies have no limit here: remove it",
    "websocket-services": "websockets need nothing: remove it",
}
"""The name behind the prefix -> what to do. For any other: it is not read, so it must go."""


def ingress(found: Ingress) -> Iterator[Finding]:
    spec = found.spec
    yield from _annotations(found.metadata.annotations)
    yield from _class(spec)
    if not spec.rules and spec.default_backend is None:
        yield Finding((*_SPEC, "rules"), "is required, or a defaultBackend", "write where requests go")
    if spec.default_backend is not None:
        yield from _backend(spec.default_backend, (*_SPEC, "defaultBackend"))
    for index, rule in enumerate(spec.rules):
        yield from _rule(rule, (*_SPEC, "rules", index))
    for index, entry in enumerate(spec.tls):
        yield from _tls(entry, (*_SPEC, "tls", index), spec)
    entries = enumerate(spec.tls)
    hosts = ((host, (*_SPEC, "tls", n, "hosts", m)) for n, one in entries for m, host in enumerate(one.hosts))
    yield from names.unique(hosts, "TLS hosts")


def _annotations(found: Mapping[str, str]) -> Iterator[Finding]:
    for key, value in found.items():
        path = (*_ANNOTATIONS, key)
        if _ACME.fullmatch(key):
            yield Finding(path, "is not supported", _NO_ACME)
        elif key.startswith(_FOREIGN):
            remedy = _INSTEAD.get(key.partition("/")[2], "it is for another ingress controller: remove it")
            yield Finding(path, "is not supported", remedy)
        elif key == _CLASS_ANNOTATION and value != CLASS:
            yield Finding(path, f'"{shown(value)}" is not a class that is here', _ONE_CLASS)
        elif key == SSL_REDIRECT and value not in ("true", "false"):
            yield Finding(path, f'"{shown(value)}" is neither "true" nor "false"', 'write "true" or "false", in quotes')
        elif key.startswith("pierhead.io/") and key != SSL_REDIRECT:
            yield Finding(path, "is not an annotation of an Ingress", f"there is {SSL_REDIRECT}: remove it")


def _class(spec: IngressSpec) -> Iterator[Finding]:
    if spec.ingress_class_name not in (None, CLASS):
        message = f'"{shown(str(spec.ingress_class_name))}" is not a class that is here'
        yield Finding((*_SPEC, "ingressClassName"), message, _ONE_CLASS)


def _rule(rule: IngressRule, path: Path) -> Iterator[Finding]:
    if rule.host:
        yield from _host(rule.host, (*path, "host"))
    if rule.http is None:
        yield Finding((*path, "http"), "is required", "list its paths, or write a defaultBackend and remove the rule")
        return
    for index, one in enumerate(rule.http.paths):
        place = (*path, "http", "paths", index)
        yield from _path(one, (*place, "path"))
        yield from _backend(one.backend, (*place, "backend"))


def _host(host: str, path: Path) -> Iterator[Finding]:
    name = host.removeprefix("*.")
    if _is_address(name) or _is_address(name.strip("[]")):
        yield Finding(path, f'"{shown(host)}" is an address, not a host name', "leave host out to match every name")
    elif host == "*":
        yield Finding(path, '"*" is not a host name', "leave host out to match every name")
    elif re.fullmatch(r"[^:/\s]+:[0-9]+", host):
        yield Finding(path, f'"{shown(host)}" has a port', "write the name alone: the ports are 80 and 443")
    elif "://" in host:
        yield Finding(path, f'"{shown(host)}" is a URL', "write the host name alone")
    else:
        yield from names.dns_subdomain(name, path)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _path(found: HTTPIngressPath, path: Path) -> Iterator[Finding]:
    text = found.path
    if not text.startswith("/"):
        yield Finding(path, "must start with '/'", "write one such as /api")
    elif found.path_type == "ImplementationSpecific" and _PATTERN.search(text):
        message = f'"{shown(text)}" looks like a pattern, and patterns are not matched'
        yield Finding(path, message, "write pathType: Prefix, and the part before the pattern")
    elif not _PATH.fullmatch(text):
        message = f'"{shown(text)}" holds characters that no path has as they are'
        yield Finding(path, message, "write them percent-encoded, such as %20; a query cannot be matched")
    elif _STEPS.search(text):
        yield Finding(path, f'"{shown(text)}" holds //, /./, /../ or %2F', "write the path that is meant")
    elif len(text) > _LONGEST_PATH:
        yield Finding(path, f"has {len(text)} characters, {_LONGEST_PATH} are the limit", "shorten it")


def _backend(backend: IngressBackend, path: Path) -> Iterator[Finding]:
    place = (*path, "service")
    yield from names.service_name(backend.service.name, (*place, "name"))
    port = backend.service.port
    if port.name and port.number is not None:
        yield Finding((*place, "port"), "has a name and a number", "write one of the two")
    elif port.name:
        yield from names.dns_label(port.name, (*place, "port", "name"))
    elif port.number is None:
        remedy = "write port: {number: 80}, or the name of one of the Service's ports"
        yield Finding((*place, "port"), "needs a name or a number", remedy)


def _tls(entry: IngressTLS, path: Path, spec: IngressSpec) -> Iterator[Finding]:
    if not entry.secret_name:
        message = "is required: there is no certificate for the hosts without it"
        yield Finding((*path, "secretName"), message, "name a Secret of type: kubernetes.io/tls")
    else:
        yield from names.dns_subdomain(entry.secret_name, (*path, "secretName"))
    for index, host in enumerate(entry.hosts):
        place = (*path, "hosts", index)
        yield from _host(host, place)
        if not any(_overlap(host, rule.host) for rule in spec.rules) and spec.default_backend is None:
            message = f"no rule is for {shown(host)}: requests for it are answered with 404"
            yield Finding(place, message, "add a rule, or mend the name", is_warning=True)


def _overlap(host: str, other: str) -> bool:
    """Whether some name is meant by both. A wildcard stands for one label; a rule without a host is for every name."""
    return not other or host == other or _covers(host, other) or _covers(other, host)


def _covers(wildcard: str, host: str) -> bool:
    return wildcard.startswith("*.") and host.partition(".")[2] == wildcard[2:]
