"""What manifests say about the network: services, ingresses, network policies and probes that the router makes."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.core.manifest_scenarios import changed, read, remedies, told

C = "spec.containers[0]"
R = "spec.rules[0]"
P = "spec.rules[0].http.paths[0]"
A = "metadata.annotations"
I = "spec.ingress[0]"  # noqa: E741 - beside the other letters


@pytest.mark.parametrize(
    ("change", "sentences"),
    [
        ("spec.selector = -", ["spec.selector: is required: endpoints written by hand are not supported"]),
        ("spec.selector = {};; spec.clusterIP = 'None'",
         ["spec.selector: is required: endpoints written by hand are not supported"]),
        ("spec.selector = -;; spec.ports = -;; spec.type = ExternalName;; spec.externalName = db.example.com", []),
        ("spec.sessionAffinity = ClientIP;; spec.sessionAffinityConfig.clientIP.timeoutSeconds = 600", []),
        ("spec.sessionAffinity = ClientIP;; spec.sessionAffinityConfig.clientIP.timeoutSeconds = 86401",
         ["spec.sessionAffinityConfig.clientIP.timeoutSeconds: must be at most 86400"]),
        *((f"spec.ports[0].appProtocol = {one}", []) for one in (
            "http", "https", "tcp", "ws", "wss", "h2c", "http2", "grpc", "kubernetes.io/h2c", "kubernetes.io/ws",
            "kubernetes.io/wss")),
        ("spec.ports[0].appProtocol = HTTP",
         ['spec.ports[0].appProtocol: "HTTP" is not a protocol that the router knows']),
        ("spec.ports[0].appProtocol = redis",
         ['spec.ports[0].appProtocol: "redis" is not a protocol that the router knows']),
        (f"spec.type = NodePort;; {A} = {{pierhead.io/nodes: 'zone=a,example.com/disk=ssd'}}", []),
        (f"spec.type = LoadBalancer;; {A} = {{pierhead.io/nodes: 'edge='}}", []),
        (f"{A} = {{pierhead.io/nodes: zone=a}}",
         [f'{A}["pierhead.io/nodes"]: is not for type: ClusterIP, which opens no port on a node']),
        *((f"spec.type = NodePort;; {A} = {{pierhead.io/nodes: '{text}'}}",
           [f'{A}["pierhead.io/nodes"]: "{text}" does not choose nodes by labels'])
          for text in ("", "zone", "zone=a,", "zone==a", "zone!=a=b", "=a", "zone in (a)")),
        (f"spec.type = NodePort;; {A} = {{pierhead.io/nodes: 'zone=a, disk=b'}}", []),
        (f"spec.type = NodePort;; {A} = {{pierhead.io/nodes: 'zone=a,my disk=b'}}",
         [f'{A}["pierhead.io/nodes"]: "my disk" is not a valid key']),
        (f"spec.type = NodePort;; {A} = {{pierhead.io/nodes: 'zone=a,zone=b'}}",
         [f'{A}["pierhead.io/nodes"]: "zone" is the name of two labels']),
    ],
)  # fmt: skip
def test_a_service_can_be_routed(change: str, sentences: list[str]) -> None:
    assert told("Service", change) == sentences


def test_a_protocol_that_is_not_known_lists_those_that_are() -> None:
    (remedy,) = remedies("Service", "spec.ports[0].appProtocol = redis")
    assert remedy.startswith("write one of http, https, tcp, ws, wss, h2c, http2, grpc, kubernetes.io/h2c, ")


@pytest.mark.parametrize(
    ("change", "sentences"),
    [
        *((f"{R}.host = {host}", []) for host in ("shop.example", "'*.shop.example'", "a", "xn--bcher-kva.example")),
        (f"{R}.host = -", []),
        (f"{R}.host = Shop.example", [f'{R}.host: "Shop.example" is not a valid name']),
        (f"{R}.host = shop.example:8080", [f'{R}.host: "shop.example:8080" has a port']),
        (f"{R}.host = https://shop.example", [f'{R}.host: "https://shop.example" is a URL']),
        (f"{R}.host = 10.0.0.1", [f'{R}.host: "10.0.0.1" is an address, not a host name']),
        (f"{R}.host = '[2001:db8::1]'", [f'{R}.host: "[2001:db8::1]" is an address, not a host name']),
        (f"{R}.host = '*'", [f'{R}.host: "*" is not a host name']),
        *((f"{R}.host = {json.dumps(host)}", [f'{R}.host: "{host[2:] if host[:2] == "*." else host}" is not a valid '
                                              "name"])
          for host in ("a.*.example", "*a.example", "*.*.example", "a_b.example", "a b", "shop.example.", "-a")),
        (f"{R}.host = \"a\\nbind :80\"", [f'{R}.host: "a?bind :80" is not a valid name']),
        (f"{R}.host = {'a' * 64}.{'b' * 190}",
         [f'{R}.host: "{"a" * 64}.{"b" * 52}..." has 255 characters, 253 are the limit']),
        (f"{R}.http = -", [f"{R}.http: is required"]),
        (f"{R}.http.paths = []", [f"{R}.http.paths: must not be empty"]),
        ("spec.rules = -", ["spec.rules: is required, or a defaultBackend"]),
        ("spec.rules = -;; spec.defaultBackend.service = {name: web, port: {name: http}}", []),
        ("spec.ingressClassName = pierhead", []),
        ("spec.ingressClassName = nginx", ['spec.ingressClassName: "nginx" is not a class that is here']),
        ("spec.ingressClassName = ''", ['spec.ingressClassName: "" is not a class that is here']),
        (f"{P}.backend.service.name = Web", [f'{P}.backend.service.name: "Web" is not a valid name']),
        (f"{P}.backend.service.port = {{}}", [f"{P}.backend.service.port: needs a name or a number"]),
        (f"{P}.backend.service.port.name = http", [f"{P}.backend.service.port: has a name and a number"]),
        (f"{P}.backend.service.port.number = 0", [f"{P}.backend.service.port.number: must be at least 1"]),
        (f"{P}.backend.service.port = {{name: a b}}", [f'{P}.backend.service.port.name: "a b" is not a valid name']),
        (f"{P}.backend = {{resource: {{kind: a, name: b}}}}", [f"{P}.backend.resource: is not supported"]),
        ("spec.tls = [{hosts: [shop.example]}]",
         ["spec.tls[0].secretName: is required: there is no certificate for the hosts without it"]),
        ("spec.tls = [{secretName: T}]", ['spec.tls[0].secretName: "T" is not a valid name']),
        ("spec.tls = [{secretName: t, hosts: [10.0.0.1]}]",
         ['spec.tls[0].hosts[0]: "10.0.0.1" is an address, not a host name']),
        ("spec.tls = [{secretName: t, hosts: [shop.example]}, {secretName: u, hosts: [shop.example]}]",
         ['spec.tls[1].hosts[0]: "shop.example" is the name of two TLS hosts']),
        ("spec.tls = [{secretName: t, hosts: [shop.example]}]", []),
    ],
)  # fmt: skip
def test_an_ingress_makes_sense(change: str, sentences: list[str]) -> None:
    assert told("Ingress", change) == sentences


@pytest.mark.parametrize("path", ["/", "/api", "/api/", "/a%20b/~c;v=1", "/$metadata", "/c++", "/a.b/.well-known/x"])
def test_a_path_of_an_ingress(path: str) -> None:
    assert told("Ingress", f"{P}.path = {json.dumps(path)}") == []


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("", "must start with '/'"),
        ("api", "must start with '/'"),
        ("http://x/", "must start with '/'"),
        *((path, "holds characters that no path has as they are") for path in (
            "/a b", "/a\tb", "/a\nb", "/a#b", "/a?b=c", "/a'b", '/a"b', "/a\\b", "/ä", "/a\x7f", "/a\u2028b", "/a%zz",
            "/a%2", "/a|b", "/{id}")),
        *((path, "holds //, /./, /../ or %2F") for path in (
            "//", "/a//b", "/a/./b", "/a/../b", "/a/..", "/.", "/a%2Fb", "/a%2fb")),
        ("/" + "a" * 1024, "has 1025 characters, 1024 are the limit"),
    ],
)  # fmt: skip
def test_what_is_no_path_of_an_ingress(path: str, said: str) -> None:
    (sentence,) = told("Ingress", f"{P}.path = {json.dumps(path)}")
    assert sentence.startswith(f"{P}.path: ")
    assert sentence.endswith(said)


@pytest.mark.parametrize("path", ["/api(/|$)(.*)", "/api/*", "/foo/[a-z]+", "/^a"])
def test_a_pattern_of_another_controller_is_refused(path: str) -> None:
    change = f"{P}.path = {json.dumps(path)};; {P}.pathType = ImplementationSpecific"
    assert told("Ingress", change) == [f'{P}.path: "{path}" looks like a pattern, and patterns are not matched']
    assert told("Ingress", f"{P}.path = /api;; {P}.pathType = ImplementationSpecific") == []


NGINX = "nginx.ingress.kubernetes.io"
ELSEWHERE = "it is for another ingress controller: remove it"


@pytest.mark.parametrize(
    ("key", "value", "said", "remedy"),
    [
        (f"{NGINX}/rewrite-target", "/", "is not supported", "paths reach the application as they are"),
        (f"{NGINX}/force-ssl-redirect", "true", "is not supported", "hosts with a TLS entry are redirected already"),
        (f"{NGINX}/backend-protocol", "GRPC", "is not supported", "write appProtocol at the Service's port"),
        (f"{NGINX}/server-snippet", "x", "is not supported", ELSEWHERE),
        ("traefik.ingress.kubernetes.io/router.entrypoints", "web", "is not supported", ELSEWHERE),
        ("alb.ingress.kubernetes.io/scheme", "internal", "is not supported", ELSEWHERE),
        ("haproxy-ingress.github.io/ssl-redirect", "true", "is not supported", "hosts with a TLS entry"),
        ("haproxy.org/rate-limit-requests", "5", "is not supported", ELSEWHERE),
        ("ingress.kubernetes.io/affinity", "cookie", "is not supported", "write sessionAffinity: ClientIP"),
        ("cert-manager.io/cluster-issuer", "le", "is not supported",
         "certificates come from TLS Secrets; ACME is not here yet"),
        ("acme.cert-manager.io/http01-edit-in-place", "true", "is not supported", "certificates come from TLS"),
        ("kubernetes.io/tls-acme", "true", "is not supported", "certificates come from TLS Secrets"),
        ("kubernetes.io/ingress.class", "nginx", '"nginx" is not a class that is here', "there is one class"),
        ("pierhead.io/ssl-redirect", "no", '"no" is neither "true" nor "false"', 'write "true" or "false"'),
        ("pierhead.io/ssl_redirect", "no", "is not an annotation of an Ingress", "there is pierhead.io/ssl-redirect"),
        ("kubernetes.io/ingress.class", "pierhead", "", ""),
        ("pierhead.io/ssl-redirect", "true", "", ""),
        ("pierhead.io/ssl-redirect", "false", "", ""),
        ("example.com/owner", "shop", "", ""),
    ],
)  # fmt: skip
def test_annotations_that_change_an_ingress_are_never_ignored(key: str, value: str, said: str, remedy: str) -> None:
    change = f"{A} = {json.dumps({key: value})}"
    assert told("Ingress", change) == ([f'{A}["{key}"]: {said}'] if said else [])
    assert [one.partition(remedy)[0] for one in remedies("Ingress", change)] == ([""] if said else [])


@pytest.mark.parametrize(
    ("hosts", "warned"),
    [
        ("[shop.example]", []),
        ("['*.example']", []),
        ("[other.example]", ["spec.tls[0].hosts[0]"]),
        ("[a.shop.example, shop.example, '*.shop.example']", ["spec.tls[0].hosts[0]", "spec.tls[0].hosts[2]"]),
    ],
)
def test_a_tls_host_without_a_rule_is_a_warning(hosts: str, warned: list[str]) -> None:
    result = read(json.dumps(changed("Ingress", f"spec.tls = [{{secretName: t, hosts: {hosts}}}]")))
    assert not result.errors
    assert [one.field for one in result.warnings] == warned


@pytest.mark.parametrize(
    ("change", "sentences"),
    [
        ("spec.podSelector = {};; spec.ingress = -", []),
        ("spec.podSelector = -;; spec.policyTypes = [Ingress]", []),
        ("spec.ingress = [{}]", []),
        ("spec.podSelector.matchLabels.app = '-x'", ['spec.podSelector.matchLabels.app: "-x" is not a label value']),
        ("spec.podSelector = {matchExpressions: [{key: a, operator: Gt, values: ['1']}]}",
         ["spec.podSelector.matchExpressions[0].operator: Gt compares nodes only"]),
        (f"{I}.from[0] = {{}}", [f"{I}.from[0]: says nothing about who may connect"]),
        (f"{I}.from[0] = {{podSelector: {{}}, namespaceSelector: {{}}}}", []),
        (f"{I}.from[0] = {{namespaceSelector: {{matchExpressions: [{{key: a, operator: In}}]}}}}",
         [f"{I}.from[0].namespaceSelector.matchExpressions[0].values: must not be empty with In"]),
        (f"{I}.from[0] = {{podSelector: {{}}, ipBlock: {{cidr: 10.0.0.0/8}}}}",
         [f"{I}.from[0].ipBlock: ipBlock stands alone, and podSelector is beside it"]),
        (f"{I}.from[0] = {{ipBlock: {{cidr: 10.0.0.0/8, except: [10.1.0.0/16, 10.2.3.4/32]}}}}", []),
        (f"{I}.from[0] = {{ipBlock: {{cidr: '2001:db8::/32', except: ['2001:db8:1::/48']}}}}", []),
        (f"{I}.from[0] = {{ipBlock: {{except: [10.1.0.0/16]}}}}", [f"{I}.from[0].ipBlock.cidr: is required"]),
        *((f"{I}.from[0] = {{ipBlock: {{cidr: '{text}'}}}}",
           [f'{I}.from[0].ipBlock.cidr: "{text}" is not an address block'])
          for text in ("", "10.0.0.0", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/255.0.0.0", "010.0.0.0/8", "a/8",
                       "fe80::%1/64", "10.0.0.0/8 allow")),
        (f"{I}.from[0] = {{ipBlock: {{cidr: 10.0.0.1/8}}}}",
         [f"{I}.from[0].ipBlock.cidr: 10.0.0.1/8 has bits beyond its prefix"]),
        *((f"{I}.from[0] = {{ipBlock: {{cidr: 10.0.0.0/8, except: ['{text}']}}}}",
           [f"{I}.from[0].ipBlock.except[0]: {text} is not a smaller part of 10.0.0.0/8"])
          for text in ("10.0.0.0/8", "0.0.0.0/0", "11.0.0.0/16", "2001:db8::/48")),
        (f"{I}.ports = [{{}}, {{port: http}}, {{port: 80, endPort: 80}}, {{port: 80, endPort: 90}}]", []),
        (f"{I}.ports[0].port = 0", [f"{I}.ports[0].port: must be between 1 and 65535"]),
        (f"{I}.ports[0].port = 65536", [f"{I}.ports[0].port: must be between 1 and 65535"]),
        (f"{I}.ports[0].port = '80'", [f'{I}.ports[0].port: "80" is not a port name']),
        (f"{I}.ports[0].endPort = 5431", [f"{I}.ports[0].endPort: 5431 is less than port (5432)"]),
        (f"{I}.ports[0].endPort = 65536", [f"{I}.ports[0].endPort: must be at most 65535"]),
        (f"{I}.ports[0] = {{endPort: 80}}", [f"{I}.ports[0].endPort: needs a port that is a number"]),
        (f"{I}.ports[0] = {{port: http, endPort: 80}}", [f"{I}.ports[0].endPort: needs a port that is a number"]),
        (f"{I}.ports[0].protocol = SCTP", [f'{I}.ports[0].protocol: "SCTP" is not supported']),
    ],
)  # fmt: skip
def test_a_network_policy_makes_sense(change: str, sentences: list[str]) -> None:
    assert told("NetworkPolicy", change) == sentences


HTTP, TCP = f"{C}.readinessProbe.httpGet", f"{C}.readinessProbe.tcpSocket"


@pytest.mark.parametrize(
    ("change", "sentences"),
    [
        (f"{HTTP} = {{port: 80}}", []),
        (f"{HTTP} = {{port: 80, path: '/health?full=1&x=%20', scheme: HTTPS}}", []),
        (f"{HTTP} = {{port: 80, httpHeaders: [{{name: Host, value: shop.example}}, {{name: X-A, value: a b}}]}}", []),
        (f"{TCP} = {{port: 5432}};; {C}.livenessProbe = {{exec: {{command: [x]}}}}", []),
        (f"{TCP} = {{port: pg}};; {C}.ports = [{{containerPort: 5432, name: pg}}]", []),
        (f"{TCP} = {{port: 80}};; spec.initContainers = [{{name: s, image: a, restartPolicy: Always, "
         "startupProbe: {tcpSocket: {port: 1}}}]", []),
        (f"{TCP} = {{port: pg}};; {C}.ports = [{{containerPort: 80, name: http}}, {{containerPort: 81}}]",
         [f'{TCP}.port: container web has no port "pg"']),
        (f"{TCP} = {{port: '5432'}}", [f'{TCP}.port: "5432" is text, which is the name of a port']),
        (f"{TCP} = {{port: 0}}", [f"{TCP}.port: must be between 1 and 65535"]),
        (f"{HTTP} = {{port: 65536}}", [f"{HTTP}.port: must be between 1 and 65535"]),
        (f"{HTTP} = {{path: /}}", [f"{HTTP}.port: is required"]),
        (f"{C}.readinessProbe = {{periodSeconds: 5}}",
         [f"{C}.readinessProbe: needs exactly one of exec, httpGet and tcpSocket, and has none"]),
        (f"{HTTP} = {{port: 80}};; {TCP} = {{port: 80}}",
         [f"{C}.readinessProbe: needs exactly one of exec, httpGet and tcpSocket, and has 2"]),
        (f"{HTTP} = {{port: 80}};; {C}.readinessProbe.exec.command = [x];; {C}.livenessProbe.exec.command = [y]",
         [f"{C}.readinessProbe: needs exactly one of exec, httpGet and tcpSocket, and has 2",
          f"{C}.readinessProbe.exec.command: differs from the command of livenessProbe: Docker runs one health check "
          "per container"]),
        (f"{HTTP} = {{port: 80}};; {C}.readinessProbe.successThreshold = 3", []),
        (f"{C}.readinessProbe = {{exec: {{command: [x]}}, successThreshold: 2}}",
         [f"{C}.readinessProbe.successThreshold: 2 is not supported with exec: Docker counts one success as healthy"]),
        (f"{C}.livenessProbe = {{tcpSocket: {{port: 80}}, successThreshold: 2}}",
         [f"{C}.livenessProbe.successThreshold: must be 1 for a livenessProbe, as in Kubernetes"]),
        (f"{C}.startupProbe = {{exec: {{command: [x]}}, successThreshold: 2}}",
         [f"{C}.startupProbe.successThreshold: must be 1 for a startupProbe, as in Kubernetes"]),
        (f"{HTTP} = {{port: 80}};; {C}.readinessProbe.timeoutSeconds = 60", []),
        *((f"{HTTP} = {{port: 80, path: {json.dumps(path)}}}", [f"{HTTP}.path: must start with '/'"])
          for path in ("", "healthz", " /", "http://x/")),
        *((f"{HTTP} = {{port: 80, path: {json.dumps(path)}}}",
           [f"{HTTP}.path: holds characters that no request has as they are"])
          for path in ("/a b", "/a\r\nX: y", "/a\tb", "/ä", "/#a", '/"', "/a\x1f", "/%", "/%0")),
        (f"{HTTP} = {{port: 80, httpHeaders: [{{name: 'X Y', value: a}}]}}",
         [f'{HTTP}.httpHeaders[0].name: "X Y" is not the name of a header']),
        (f"{HTTP} = {{port: 80, httpHeaders: [{{name: '', value: a}}]}}",
         [f'{HTTP}.httpHeaders[0].name: "" is not the name of a header']),
        (f"{HTTP} = {{port: 80, httpHeaders: [{{name: Content-length, value: '5'}}]}}",
         [f"{HTTP}.httpHeaders[0].name: Content-length is set by the prober itself"]),
        (f"{HTTP} = {{port: 80, httpHeaders: [{{name: X, value: \"a\\r\\nY: b\"}}]}}",
         [f"{HTTP}.httpHeaders[0].value: holds a line end or another character that cannot be printed"]),
        (f"{HTTP} = {{port: 80, httpHeaders: [{{name: Host, value: a b}}]}}",
         [f'{HTTP}.httpHeaders[0].value: "a b" is not a host']),
        (f"{HTTP} = {{port: 80, httpHeaders: [{{name: X-A, value: a}}, {{name: x-a, value: b}}]}}",
         [f'{HTTP}.httpHeaders[1].name: "x-a" is the name of two headers']),
    ],
)  # fmt: skip
def test_a_probe_makes_sense(change: str, sentences: list[str]) -> None:
    assert told("Pod", change) == sentences


def test_a_pod_on_the_host_s_network_may_be_probed() -> None:
    assert told("Pod", f"{HTTP} = {{port: 80}};; spec.hostNetwork = true", allowed="host-network") == []


def test_a_refused_handler_is_told_once() -> None:
    assert told("Pod", f"{C}.livenessProbe = {{grpc: {{port: 80}}}}") == [f"{C}.livenessProbe.grpc: is not supported"]


ODD = "/a.b-%20*:\"'\\#? \t\r\n\x0b\x1f\x7f\x85\u00a0\u2028é{}|;"
words = st.text(st.sampled_from(ODD), max_size=12) | st.text(max_size=8)


def _is_plain(text: str) -> bool:
    return all(unicodedata.category(one)[0] not in "CZ" and not one.isspace() for one in text)


@pytest.mark.parametrize(
    ("kind", "field"),
    [("Ingress", f"{P}.path"), ("Ingress", f"{R}.host"), ("Pod", f"{HTTP}.path")],
)
@given(text=words.map(lambda word: f"/{word}") | words)
@example(text="/a\n")
@settings(max_examples=200, deadline=None)
def test_what_is_accepted_is_one_word(kind: str, field: str, text: str) -> None:
    """A path or a host goes into the router's maps, one a line: nothing in it may end a word or a line."""
    port = f"{HTTP} = {{port: 80}};; " if kind == "Pod" else ""
    if not told(kind, f"{port}{field} = {json.dumps(text.replace(';;', ''))}"):
        assert _is_plain(text.replace(";;", ""))


@given(name=words, value=words)
@example(name="X", value="a\nb")
@settings(max_examples=200, deadline=None)
def test_a_header_that_is_accepted_is_one_line(name: str, value: str) -> None:
    header = json.dumps({"name": name, "value": value}).replace(";;", "")
    if not told("Pod", f"{HTTP} = {{port: 80, httpHeaders: [{header}]}}"):
        found = json.loads(header)
        assert _is_plain(found["name"])
        assert len(found["value"].splitlines()) <= 1
