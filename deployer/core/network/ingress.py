"""Ingress: the two frontends that what comes from outside goes through, and the certificates they show.

Routing is in maps alone (`ingress_rules.py`), so rules come and go without a reload. The order of a lookup: the host
itself before `*.` of its parent before any host; in each, the exact path before the longest prefix; at last the default
backend. A Service's port that is carried as tcp has a second backend here, for what comes by Ingress is HTTP. Of a
Service with a canary, one of its two backends is chosen last (`choosing.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256

from deployer.core.network.choosing import http_lines
from deployer.core.network.ingress_rules import DEFAULT_KEY, REDIRECT, by_age, redirects, rules, shown
from deployer.core.network.maps import INGRESS_DEFAULT, INGRESS_EXACT, INGRESS_PREFIX, INGRESS_TLS, map_path
from deployer.core.network.names import is_alias
from deployer.core.network.openings import is_ingress_node
from deployer.core.network.preamble import DEFAULTS_HTTP
from deployer.core.network.scene import Scene
from deployer.core.network.sections import Part, Section
from deployer.core.network.services import backends, is_headless, port_mode, service_ports
from deployer.core.network.splits import backend_name, ingress_name, stickiness
from deployer.core.network.values import FOLDER, INGRESS_HTTP, INGRESS_HTTPS, RoutedIngress, RoutedService, TlsPair
from deployer.core.objects.network import IngressBackend, ServiceBackendPort
from deployer.core.objects.workload import ServicePort

MISSING, NONE = "ingress.missing", "ingress.none"
_FOUND = "{ var(txn.backend) -m found }"


def has_ingresses(scene: Scene) -> bool:
    """Whether this node opens 80 and 443."""
    cluster = scene.cluster
    return bool(cluster.ingresses) and is_ingress_node(cluster.node, cluster.nodes)


def ingress(scene: Scene) -> Part:
    if not has_ingresses(scene):
        return Part()
    wanted = _Wanted(scene)
    maps, problems = rules(scene.cluster.ingresses, wanted.name)
    pairs = _pairs(scene)
    listed = "".join(f"{FOLDER}/{path}\n" for path in ("tls/node.pem", *sorted(pairs))).encode()
    listing = f"tls/ingress.{sha256(listed).hexdigest()[:12]}.crt-list"
    choosing = _choosing(scene)
    sections = (_http(scene, choosing), _https(scene, listing, choosing), *_answers(), *wanted.sections.values())
    problems = [*problems, *wanted.problems, *_missing_pairs(scene)]
    files = {**pairs, listing: listed}
    return Part(sections, {**maps, **redirects(scene.cluster.ingresses)}, files, tuple(problems))


class _Wanted:
    """The backends that rules lead to; those that only Ingress needs are made as they are asked for."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.sections: dict[str, Section] = {}
        self.problems: list[str] = []

    def name(self, ingress: RoutedIngress, wanted: IngressBackend) -> str:
        service = self._scene.services.get((ingress.namespace, wanted.service.name))
        port = None if service is None or is_alias(service) else _port(service, wanted.service.port)
        if service is None or port is None:
            self.problems.append(_lack(ingress, wanted, service))
            return MISSING
        choice = self._scene.choices.get(service.uid)
        is_own = choice is not None and choice.is_split_behind(ingress.name)
        if port_mode(service, port) != "tcp" and not is_headless(service) and not is_own:
            return backend_name(service, port)
        name = ingress_name(service, port)
        mode = "http" if port_mode(service, port) == "tcp" else port_mode(service, port)
        if name not in self.sections:
            self.sections.update({one.name: one for one in backends(self._scene, name, service, port, mode)})
        return name


def _port(service: RoutedService, wanted: ServiceBackendPort) -> ServicePort | None:
    for port in service_ports(service):
        if (wanted.name and port.name == wanted.name) or (not wanted.name and port.port == wanted.number):
            return port
    return None


def _lack(ingress: RoutedIngress, wanted: IngressBackend, service: RoutedService | None) -> str:
    """Free text stays in the sentence: it is shown to people, never to HAProxy."""
    name = f"{ingress.namespace}/{wanted.service.name}"
    if service is None:
        return f"{shown(ingress)} leads to the Service {name}, which does not exist: it is answered with 503"
    if is_alias(service):
        return f"{shown(ingress)} leads to {service}, an alias: name the Service {service.spec.external_name} itself"
    there = ", ".join(str(port.port) + (f" ({port.name})" if port.name else "") for port in service_ports(service))
    port = wanted.service.port.name or wanted.service.port.number
    return f"{shown(ingress)} leads to port {port} of {service}, which has {there or 'none'}: it is answered with 503"


def _choosing(scene: Scene) -> tuple[str, ...]:
    """Between stable pods and canaries, of whichever Service it is; nothing while there is no such Service."""
    if not scene.choices:
        return ()
    services = (one for one in scene.services.values() if one.uid in scene.choices)
    made = (stickiness(scene.choices[one.uid].by_ingress, one) for one in services)
    return http_lines(one for one in made if one is not None)


def _http(scene: Scene, choosing: tuple[str, ...]) -> Section:
    hosts, asked = map_path(INGRESS_TLS), "http-request set-var(txn.tls)"
    lines = (
        f"bind {scene.router}:{INGRESS_HTTP} accept-proxy",
        *_named(),
        f"{asked} var(txn.host),map_str({hosts})",
        f"{asked} var(txn.parent),map_str({hosts}) unless {{ var(txn.tls) -m found }}",
        "http-request redirect location https://%[var(txn.host)]%[pathq] code 308"
        f" if {{ var(txn.tls) -m str {REDIRECT} }}",
        *_routed("http", choosing),
    )
    return Section(f"frontend ingress.http from {DEFAULTS_HTTP}", lines)


def _https(scene: Scene, listing: str, choosing: tuple[str, ...]) -> Section:
    tls = f"ssl crt-list {FOLDER}/{listing} alpn h2,http/1.1"
    lines = (f"bind {scene.router}:{INGRESS_HTTPS} accept-proxy {tls}", *_named(), *_routed("https", choosing))
    return Section(f"frontend ingress.https from {DEFAULTS_HTTP}", lines)


def _named() -> tuple[str, ...]:
    """The host without port and final dot; its parent as a wildcard: "*.example.com" of "shop.example.com"."""
    return (
        "http-request set-var(txn.host) req.hdr(host),field(1,:),lower,rtrim(.)",
        "http-request set-var(txn.parent) var(txn.host),regsub(^[^.]*,*)",
        "http-request set-var(txn.any) str(*)",
        "http-request set-var(txn.path) path",
    )


def _routed(scheme: str, choosing: tuple[str, ...]) -> tuple[str, ...]:
    """What the client says about its own address is not believed: the one that the edge saw is put there."""
    return (
        "option forwardfor",
        "http-request set-header X-Forwarded-Host %[req.hdr(host)]",
        f"http-request set-header X-Forwarded-Proto {scheme}",
        "http-request del-header X-Forwarded-For",
        *(line for host in ("host", "parent", "any") for line in _lookups(host)),
        f"http-request set-var(txn.backend) str({DEFAULT_KEY}),map_str({map_path(INGRESS_DEFAULT)}) unless {_FOUND}",
        *choosing,
        f"use_backend %[var(txn.backend)] if {_FOUND}",
        f"default_backend {NONE}",
    )


def _lookups(host: str) -> tuple[str, str]:
    exact, prefix = map_path(INGRESS_EXACT), map_path(INGRESS_PREFIX)
    name = f"http-request set-var(txn.backend) var(txn.{host})"
    return (
        f"{name},concat(,txn.path),map_str({exact}) unless {_FOUND}",
        f"{name},concat(,txn.path,/),map_beg({prefix}) unless {_FOUND}",
    )


def _answers() -> tuple[Section, Section]:
    def answer(status: int, sentence: str) -> str:
        return f'http-request return status {status} content-type text/plain string "{sentence}\\n"'

    return (
        Section(f"backend {MISSING} from {DEFAULTS_HTTP}", (answer(503, "The service of this address is missing."),)),
        Section(f"backend {NONE} from {DEFAULTS_HTTP}", (answer(404, "Nothing is served at this address."),)),
    )


def _pairs(scene: Scene) -> Mapping[str, bytes]:
    """Certificates by file. In their list the node's own comes first: it is shown where no other fits the name.

    Files are named by what they are and hold: a Secret's name may be longer than a file's, and a configuration that
    HAProxy refuses alters nothing that the running one reads.
    """
    found = ((pair, (pair.certificate.rstrip("\n") + "\n" + pair.key).encode()) for pair in scene.cluster.tls)
    return {f"tls/ingress/{_digest(pair, content)}.pem": content for pair, content in found}


def _digest(pair: TlsPair, content: bytes) -> str:
    return sha256(f"{pair.namespace}/{pair.name}\n".encode() + content).hexdigest()[:16]


def _missing_pairs(scene: Scene) -> Iterator[str]:
    there = {(pair.namespace, pair.name) for pair in scene.cluster.tls}
    for one in by_age(scene.cluster.ingresses):
        for name in sorted({entry.secret_name for entry in one.spec.tls if entry.secret_name}):
            if (one.namespace, name) not in there:
                yield (
                    f"{shown(one)}: the TLS Secret {one.namespace}/{name} is missing or is none;"
                    " its hosts show a certificate that browsers refuse"
                )
