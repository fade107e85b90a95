"""Between two routers: who is let in, who is not, what is reached; and names, as a real resolver gives them."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from deployer.core.network.addresses import virtual_address
from deployer.core.network.config import router_config
from deployer.core.network.endpoints import sni
from deployer.core.network.mesh import CONTROL_NAME, command_line_name
from deployer.core.network.values import RoutedNode, RoutedPod
from tests.contracts.loopback import LOCAL_RANGE, Router, eventually, get, needs_haproxy, over_tls, pod, scratch
from tests.contracts.mesh_certificates import MeshAuthority, Pair
from tests.core.network.sketch import cluster, httpget, pods, service
from tests.environment import require
from tests.ports import free_port

HERE, THERE = RoutedNode("uid-a", "a", "127.0.0.1"), RoutedNode("uid-b", "b", "127.0.0.1")
OTHER_RANGE, THIRD_RANGE = "127.80.0.0/12", "127.96.0.0/12"
"""Routers that run at one time share no address: HAProxy would share them out."""
WEB = {"port": 8080, "targetPort": "web"}


@dataclass(frozen=True)
class Mesh:
    """Node a's router and node b's, one pod on b, and the port of b's mesh."""

    here: Router
    there: Router
    port: int
    pod: RoutedPod
    statuses: dict[str, int]
    authority: MeshAuthority
    folder: Path

    def context(self, pair: Pair, authority: MeshAuthority | None = None) -> ssl.SSLContext:
        """What a client shows and trusts."""
        file = self.folder / f"{pair.certificate.serial_number}.pem"
        file.write_text(pair.pem + pair.key)
        context = ssl.create_default_context(cadata=(authority or self.authority).certificate)
        context.load_cert_chain(file)
        return context


@pytest.fixture(scope="module")
def revoked() -> list[Pair]:
    return []


@pytest.fixture(scope="module")
def mesh(revoked: list[Pair]) -> Iterator[Mesh]:
    needs_haproxy()
    authority, port, statuses = MeshAuthority(), free_port(), {"/ready": 200}
    revoked.append(authority.node("uid-removed"))
    authority.revoked.append(revoked[0])
    with scratch() as folder, pod("127.0.1.1", "web-1", statuses) as number:
        check = httpget(port=number, period_seconds=1, fall=1)
        one = replace(pods("web", "b:R")[0], ip="127.0.1.1", ports={"web": number}, readiness=check)
        view = replace(cluster(service("web", WEB), one), nodes=(HERE, THERE), mesh_port=port)
        near = replace(view, node=HERE, pod_range=LOCAL_RANGE, identity=authority.identity(HERE.uid))
        far = replace(view, node=THERE, pod_range=OTHER_RANGE, identity=authority.identity(THERE.uid))
        there = Router(folder / "b", router_config(far))
        here = Router(folder / "a", router_config(near), {f"bind :{port}": f"bind :{free_port()}"})
        with there.running(), here.running():
            yield Mesh(here, there, port, one, statuses, authority, folder)


def name_of_pod(mesh: Mesh) -> str:
    return sni(mesh.pod.uid, mesh.pod.ports["web"], mesh.pod.node)


ASK = "GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n"


def test_a_pod_of_another_node_is_reached(mesh: Mesh) -> None:
    status, body = get(virtual_address(LOCAL_RANGE, 1, 1), 8080)
    assert (status, body.splitlines()[0]) == (200, "web-1")


def test_readiness_is_asked_for_through_the_mesh(mesh: Mesh) -> None:
    backend, name = "svc.shop.web.8080", "shop.web-1"
    eventually(lambda: last_check(mesh.here, backend, name), lambda found: found == ("L7OK", "200"))
    mesh.statuses["/ready"] = 503
    try:
        eventually(lambda: last_check(mesh.here, backend, name), lambda found: found == ("L7STS", "503"))
    finally:
        mesh.statuses["/ready"] = 200
    eventually(lambda: mesh.here.states(backend)[name], lambda state: state == "UP")


def last_check(router: Router, backend: str, server: str) -> tuple[str, str]:
    rows = [line.split(",") for line in router.ask("show stat").splitlines()]
    return next((row[36].removeprefix("* "), row[37]) for row in rows if row[:2] == [backend, server])


def test_a_node_is_let_in(mesh: Mesh) -> None:
    answer = over_tls(mesh.port, name_of_pod(mesh), mesh.context(mesh.authority.node(HERE.uid)), ASK)
    assert answer.startswith("HTTP/1.1 200")


def test_a_certificate_of_another_authority_is_refused(mesh: Mesh) -> None:
    stranger = mesh.context(MeshAuthority().node(HERE.uid))
    assert "200" not in over_tls(mesh.port, name_of_pod(mesh), stranger, ASK)


def test_a_revoked_certificate_is_refused(mesh: Mesh, revoked: list[Pair]) -> None:
    assert "200" not in over_tls(mesh.port, name_of_pod(mesh), mesh.context(revoked[0]), ASK)


def test_no_certificate_is_refused(mesh: Mesh) -> None:
    bare = ssl.create_default_context(cadata=mesh.authority.certificate)
    assert "200" not in over_tls(mesh.port, name_of_pod(mesh), bare, ASK)


def test_a_name_that_nobody_has_leads_nowhere(mesh: Mesh) -> None:
    unknown = sni("uid-nobody", 1, THERE.uid)
    assert over_tls(mesh.port, unknown, mesh.context(mesh.authority.node(HERE.uid)), ASK) in (
        "",
        "ConnectionResetError",
    )


def test_a_router_that_is_another_node_is_not_trusted(mesh: Mesh) -> None:
    """What a stolen certificate of one node is good for: not to stand in for another."""
    wrong = sni(mesh.pod.uid, mesh.pod.ports["web"], "uid-c")
    context = mesh.context(mesh.authority.node(HERE.uid))
    assert over_tls(mesh.port, wrong, context, ASK) == "SSLCertVerificationError"


def test_the_command_line_is_the_control_planes_alone(mesh: Mesh) -> None:
    name, question = command_line_name(THERE.uid), "get var proc.structure\n"
    control, node = mesh.authority.issue(CONTROL_NAME), mesh.authority.node(HERE.uid)
    assert mesh.there.config.structure in over_tls(mesh.port, name, mesh.context(control), question)
    assert mesh.there.config.structure not in over_tls(mesh.port, name, mesh.context(node), question)


def test_an_affinity_outlives_a_reload() -> None:
    needs_haproxy()
    authority = MeshAuthority()
    with (
        scratch() as folder,
        pod("127.0.1.1", "web-1") as first,
        pod("127.0.1.2", "web-2") as second,
    ):
        them = pods("web", "a:RR")
        here = tuple(
            replace(one, ip=f"127.0.1.{place}", ports={"web": port})
            for place, (one, port) in enumerate(zip(them, (first, second), strict=True), 1)
        )
        sticky = service("web", WEB, sessionAffinity="ClientIP")
        identity, port = authority.identity("uid-a"), free_port()
        view = cluster(sticky, here, pod_range=THIRD_RANGE, identity=identity, mesh_port=port)
        more = replace(view, services=(sticky, service("other", 8081, index=2)))
        router = Router(folder, router_config(view))
        with router.running():
            address = virtual_address(THIRD_RANGE, 1, 1)
            before = {one: get(address, 8080, source=f"127.0.3.{one}")[1][:5] for one in range(1, 12)}
            assert set(before.values()) == {"web-1", "web-2"}
            eventually(lambda: router.ask("show peers"), lambda said: "resync_timeout=<PAST>" in said)
            router.reload(router_config(more))
            eventually(lambda: clients(router.ask("show table svc.shop.web.8080")), lambda kept: kept == before)
            assert {one: get(address, 8080, source=f"127.0.3.{one}")[1][:5] for one in before} == before


def clients(table: str) -> dict[int, str]:
    """The last number of each client's address -> the pod that it stays with."""
    found = re.findall(r"key=::ffff:127\.0\.3\.(\d+) .* server_key=shop\.(web-\d)", table)
    return {int(number): name for number, name in found}


def test_names_and_an_external_one() -> None:
    """A pod's question is answered from the name files; the external name is asked for by HAProxy."""
    needs_haproxy()
    require(shutil.which("dnsmasq"), "dnsmasq is missing: apt-get install dnsmasq-base")
    with scratch() as folder, pod("127.0.1.9", "outside") as number:
        external = service("out", number, type="ExternalName", externalName="outside.test", index=3)
        alias = service("alias", type="ExternalName", externalName="web.shop.svc.cluster.local", index=0)
        headless = service("db", 5432, index=0, clusterIP="None", pod_indexes={"uid-db-1": 11, "uid-db-2": 12})
        things = (service("web", WEB), external, alias, headless, pods("db", "a:Rr"))
        view = cluster(
            *things, pod_range=THIRD_RANGE, identity=MeshAuthority().identity("uid-a"), mesh_port=free_port()
        )
        asked = free_port()
        router = Router(folder, router_config(view), {"127.0.0.1:53\n": f"127.0.0.1:{asked}\n"})
        with resolver(folder, asked), router.running():
            web = virtual_address(THIRD_RANGE, 1, 1)
            for name in ("web.shop", "web.shop.svc", "web.shop.svc.cluster.local", "alias.shop.svc.cluster.local"):
                assert web in eventually(lambda name=name: addresses_of(name, asked)), name
            first = virtual_address(THIRD_RANGE, 1, 11)
            found = addresses_of("db.shop.svc", asked)
            assert first in found
            assert virtual_address(THIRD_RANGE, 1, 12) not in found
            assert first in addresses_of("db-1.db.shop.svc.cluster.local", asked)
            assert not addresses_of("nobody.shop.svc.cluster.local", asked)
            there = virtual_address(THIRD_RANGE, 1, 3)
            assert there in addresses_of("out.shop.svc.cluster.local", asked)
            eventually(lambda: get(there, number), lambda answer: answer[1].startswith("outside"))


@contextmanager
def resolver(folder: Path, port: int) -> Iterator[None]:
    command = ["dnsmasq", "--keep-in-foreground", "--no-hosts", "--no-resolv", "--pid-file=", f"--port={port}"]
    command += ["--listen-address=127.0.0.1", "--bind-interfaces", "--local=/cluster.local/", "--user=root"]
    command += [f"--hostsdir={folder}/home/names", "--address=/outside.test/127.0.1.9", "--conf-file=/dev/null"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def addresses_of(name: str, port: int) -> set[str]:
    """The A records of a name; none also while nobody answers."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    question = struct.pack(">6H", 1, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.settimeout(1)
        line.connect(("127.0.0.1", port))
        try:
            line.send(question)
            answer = line.recv(4096)
        except OSError:
            return set()
    count, rest = struct.unpack(">H", answer[6:8])[0], answer[len(question) :]
    return {socket.inet_ntoa(rest[16 * place + 12 : 16 * place + 16]) for place in range(count)}
