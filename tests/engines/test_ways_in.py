"""From outside the hosts: node ports, Ingress with TLS, ports that are taken, hosts that no longer belong."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
import ssl
import tempfile

import pytest

from tests.engines.certificates import Authority
from tests.engines.control_plane import deployment, eventually
from tests.engines.hosts import Host, Hosts
from tests.engines.net import SLEEP, address, client, served, service
from tests.engines.shop import HTTPD, OpenShop

pytestmark = pytest.mark.engines


def web(name: str = "web", version: str = "1") -> str:
    return deployment(name, image=f"test/web:{version}", replicas=2, command=HTTPD)


def fetch(host: Host, port: int, path: str = "/version", *, name: str = "", ca: str = "") -> tuple[int, str]:
    """Status and body of a GET from outside; (0, "") when nothing answers. With `ca` by TLS, and verified."""
    with contextlib.suppress(OSError, http.client.HTTPException), contextlib.ExitStack() as opened:
        line: socket.socket = opened.enter_context(socket.create_connection((host.ip, port), timeout=3))
        if ca:
            context = ssl.create_default_context(cadata=ca)
            line = opened.enter_context(context.wrap_socket(line, server_hostname=name))
        connection = http.client.HTTPConnection(name or host.ip)
        connection.sock = line
        connection.request("GET", path, headers={"Host": name or host.ip})
        answer = opened.enter_context(connection.getresponse())
        return answer.status, answer.read().decode().strip()
    return 0, ""


def ingress(name: str, host: str, *, secret: str = "", to: str = "web", path: str = "/", kind: str = "Prefix") -> str:
    tls = f"\n  tls: [{{hosts: [{host}], secretName: {secret}}}]" if secret else ""
    return f"""apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: {name}}}
spec:{tls}
  rules:
    - host: {host}
      http:
        paths: [{{path: {path}, pathType: {kind}, backend: {{service: {{name: {to}, port: {{number: 80}}}}}}}}]
"""


def secret(name: str, certificate: str, key: str) -> str:
    data = {"tls.crt": certificate, "tls.key": key}
    encoded = {field: base64.b64encode(text.encode()).decode() for field, text in data.items()}
    return json.dumps({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "kubernetes.io/tls", "data": encoded,
    })  # fmt: skip


def test_a_node_port_is_open_on_every_host(open_shop: OpenShop) -> None:
    shop = open_shop(web(), service("web", more="type: NodePort"))
    found = json.loads(shop.plane.manage("get", "service", "web", "-n", shop.name, "-o", "json"))
    port = found["spec"]["ports"][0]["nodePort"]
    assert 30000 <= port <= 32767
    for host in shop.hosts:
        eventually(lambda host=host: fetch(host, port) == (200, "1"), 40, shop.tell)


def test_an_ingress_serves_hosts_and_paths_with_tls(open_shop: OpenShop) -> None:
    authority = Authority()
    pair = authority.server("shop.example.com")
    shop = open_shop(
        web(), web("blue", "2"), service("web"), service("blue"), secret("cert", pair.certificate, pair.key),
        ingress("shop", "shop.example.com", secret="cert"), ingress("plain", "plain.example.com", to="blue"),
    )  # fmt: skip
    first = shop.hosts[0]
    ca = authority.certificate
    eventually(lambda: fetch(first, 443, name="shop.example.com", ca=ca) == (200, "1"), 40, shop.tell)
    assert fetch(first, 80, name="shop.example.com")[0] in (301, 302, 308)
    for host in shop.hosts:
        eventually(lambda host=host: fetch(host, 80, name="plain.example.com") == (200, "2"), 20, shop.tell)
    assert fetch(first, 80, name="nobody.example.com")[0] == 404


def test_a_port_that_the_host_uses_already_is_named_and_the_others_serve(open_shop: OpenShop, hosts: Hosts) -> None:
    taken = hosts[0]
    squatter = taken.spawn("/usr/bin/python3", "-m", "http.server", "31999", "--bind", "0.0.0.0")
    try:
        eventually(lambda: _listens(taken, 31999), 20)
        wanted = service("web", more="type: NodePort").replace("port: 80,", "port: 80, nodePort: 31999,")
        also = service("also", app="web", more="type: NodePort").replace("port: 80,", "port: 80, nodePort: 31998,")
        shop = open_shop(web(), wanted, also)
        eventually(lambda: fetch(shop.hosts[1], 31999) == (200, "1"), 40, shop.tell)
        eventually(lambda: fetch(taken, 31998) == (200, "1"), 40, shop.tell)
        eventually(lambda: "31999" in shop.plane.manage("describe", "node", taken.name), 30, shop.tell)
    finally:
        squatter.terminate()
        squatter.wait(timeout=10)


def test_a_host_that_was_removed_can_no_longer_connect(open_shop: OpenShop, hosts: Hosts) -> None:
    gone = hosts[2]
    shop = open_shop(web(), service("web"), deployment("caller", image="test/web:1", replicas=1, command=SLEEP))
    at = client(shop, "caller")
    served(shop, at, "web")
    certificate = gone.docker("exec", "pierhead-router", "cat", "/pierhead/tls/node.pem")
    ca = gone.docker("exec", "pierhead-router", "cat", "/pierhead/tls/ca.pem")
    other = shop.hosts[0]
    assert _may_connect(other, certificate, ca)
    shop.plane.manage("node", "drain", gone.name)
    shop.wait(lambda: not gone.docker("ps", "-q", "--filter", f"name=pierhead-{shop.name}-").split(), 60)
    shop.plane.manage("node", "remove", gone.name)
    try:
        eventually(lambda: not _may_connect(other, certificate, ca), 30, shop.tell)
        assert at.fetch(address(shop, "web")) == "1"
    finally:
        shop.plane.add(gone)


def _listens(host: Host, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host.ip, port), timeout=1):
        return True
    return False


def _may_connect(host: Host, pem: str, ca: str) -> bool:
    """Whether the mesh port takes this certificate: TLS 1.3 tells a client of its refusal with the first read."""
    context = ssl.create_default_context(cadata=ca)
    context.check_hostname = False
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(pem)
        file.flush()
        context.load_cert_chain(file.name)
    try:
        with socket.create_connection((host.ip, 8443), timeout=3) as raw:
            raw.settimeout(2)
            with context.wrap_socket(raw, server_hostname="nobody.mesh") as line:
                line.settimeout(2)
                line.recv(1)
    except TimeoutError:
        return True
    except ssl.SSLError:
        return False
    except OSError:
        return True
    return True
