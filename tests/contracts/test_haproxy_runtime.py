"""The real HAProxy does what `runtime.py`, `commands.py` and `probes.py` rest on: servers, maps, probes at run time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from deployer.core.network import commands, probes, runtime
from deployer.core.network.values import ContainerProbe, NetworkCheck, ProbeResult, Server
from tests.contracts.haproxy import DEADLINE_SECONDS, Pod, poll, router
from tests.core.network.proxy import config
from tests.core.network.towns import cluster, pod
from tests.ports import free_port

WEB, DB = "svc.shop.web.80", "svc.shop.db.5432"


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A path that a socket can have: they are short."""
    return tmp_path_factory.mktemp("hap")


@pytest.fixture
def pods() -> Iterator[list[Pod]]:
    found = [Pod() for _ in range(3)]
    for one in found:
        threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield found
    for one in found:
        one.gate.set()
        one.shutdown()
        one.server_close()


BALANCED = """
frontend vip.shop.web.80
    bind unix@{folder}/web.sock
    option idle-close-on-response
    default_backend svc.shop.web.80
backend svc.shop.web.80
    balance random(2)
    option redispatch 1
    retries 3
    retry-on conn-failure empty-response response-timeout
frontend vip.shop.db.5432
    mode tcp
    bind unix@{folder}/db.sock
    default_backend svc.shop.db.5432
backend svc.shop.db.5432
    mode tcp
    balance random(2)
backend probe.http.1
    balance random
"""
WATCHED = ("check", "inter", "1s", "fastinter", "300ms", "fall", "2", "rise", "1", "observe", "layer4",
           "error-limit", "2", "on-error", "mark-down", "on-marked-down", "shutdown-sessions")  # fmt: skip


def server(name: str, address: str, *words: str) -> Server:
    return runtime.marked(Server(f"shop.{name}", address, words or WATCHED, f"uid-{name}"))


def shape(live: runtime.Live) -> dict[str, dict[str, tuple[str, int, str, bool]]]:
    return {
        backend: {name: (one.address, one.weight, one.mark, one.is_open) for name, one in servers.items()}
        for backend, servers in live.servers.items()
    }


def test_moves_converge_wherever_they_are_broken_off(folder: Path, pods: list[Pod]) -> None:
    a, b, c = (one.address for one in pods)
    before = config({WEB: [server("a", a), server("b", b)], DB: [server("d", a)], "probe.http.1": [server("p", a)]})
    after = config({
        WEB: [server("a", c), server("c", c, "check", "weight", "3")],
        DB: [server("d", a, "check", "inter", "7s"), server("e", b)],
        "probe.http.1": [server("q", c, "check")],
    })  # fmt: skip
    with router(folder, BALANCED) as one:
        for desired, other in ((before, after), (after, before)):
            one.converge(other)
            for count in range(8):
                for command in runtime.moves(desired, one.look()).commands[:count]:
                    one.send(command)
            one.converge(desired)
            expected = {
                backend: {
                    that.name: (that.address, 3 if "weight" in that.arguments else 1, that.arguments[-1], True)
                    for that in servers
                }
                for backend, servers in desired.servers.items()
            }
            assert shape(one.look()) == expected


def test_a_keep_alive_client_loses_nothing_while_pods_come_and_go(folder: Path, pods: list[Pod]) -> None:
    with router(folder, BALANCED) as one:
        one.converge(config({WEB: [server("p0", pods[0].address)]}))
        answers: list[int] = []
        ends = threading.Event()

        def keep_asking() -> None:
            client = one.client
            while not ends.is_set():
                answers.append(client.ask()[0])
            client.close()

        clients = [threading.Thread(target=keep_asking) for _ in range(2)]
        for client in clients:
            client.start()
        for cycle in range(1, 21):
            enough = len(answers) + 1
            one.converge(config({WEB: [server(f"p{cycle}", pods[cycle % 3].address)]}))
            poll(partial(_has, answers, enough), "clients go on")
        # The line of the only server changes as well, under the same name.
        one.converge(config({WEB: [server("p20", pods[0].address)]}))
        ends.set()
        for client in clients:
            client.join(DEADLINE_SECONDS)
        assert answers
        assert set(answers) == {200}


def test_a_request_under_way_ends_before_its_server_goes(folder: Path, pods: list[Pod]) -> None:
    slow, other = pods[0], pods[1]
    slow.gate.clear()
    found: list[tuple[int, str]] = []
    with router(folder, BALANCED) as one:
        one.converge(config({WEB: [server("slow", slow.address)]}))
        asking = threading.Thread(target=lambda: found.append(one.ask()))
        asking.start()
        poll(lambda: bool(slow.seen), "the request has arrived")
        desired = config({WEB: [server("other", other.address)]})
        for command in runtime.moves(desired, one.look()).commands:
            one.send(command)
        drains = runtime.moves(desired, one.look({"uid-slow": "shop.slow"}))
        assert drains.waiting == (f"{WEB}/shop.slow",)
        assert drains.left == {"uid-slow"}
        assert drains.commands == ()
        slow.gate.set()
        asking.join(DEADLINE_SECONDS)
        assert found == [(200, "ok")]
        poll(lambda: runtime.moves(desired, one.look()).waiting == (), "its streams have ended")
        one.converge(desired)
        assert list(one.look().servers[WEB]) == ["shop.other"]


MAPPED = """
frontend mapped
    bind unix@{folder}/web.sock
    http-request return status 200 content-type text/plain lf-string "%[req.hdr(a),map_str({folder}/m.map,-)] %[req.hdr(b),map_str({folder}/m.map,-)]"
"""  # noqa: E501


def test_a_map_is_replaced_at_once(folder: Path) -> None:
    path = f"{folder}/m.map"
    (folder / "m.map").write_text("left 0\nright 0\n")
    many = {f"key-{number}": "x" * 200 for number in range(150)}
    with router(folder, MAPPED) as one:
        seen: list[str] = []
        ends = threading.Event()

        def keep_asking() -> None:
            client = one.client
            while not ends.is_set():
                seen.append(client.ask(a="left", b="right")[1])
            client.close()

        asking = threading.Thread(target=keep_asking)
        asking.start()
        for number in range(1, 11):
            version = commands.read_version(one.send(commands.prepare_map(path)))
            assert version is not None
            lines = commands.map_commands(path, {"left": str(number), "right": str(number), **many}, version)
            assert len(lines) > 2
            for line in lines if number != 5 else lines[:-1]:  # one is given up half-way
                one.send(line)
        ends.set()
        asking.join(DEADLINE_SECONDS)
        assert all(left == right != "-" for left, right in (answer.split() for answer in seen))
        assert one.ask(a="left", b="right")[1] == "10 10"


def test_entries_arrive_as_they_are(folder: Path) -> None:
    path = f"{folder}/m.map"
    (folder / "m.map").write_text("old 0\n")
    entries = {"left": r'a; b \ "c" <<', "right": "<<", "k;show": "#x", "@1": "é  ü", "\\": "'"}
    with router(folder, MAPPED) as one:
        version = commands.read_version(one.send(commands.prepare_map(path)))
        assert version is not None
        for line in commands.map_commands(path, {**entries, "#no": "1", "a\nb": "2"}, version):
            assert one.send(line).strip() == ""
        assert commands.read_map(one.send(f"show map {path}")) == entries
        desired = {**entries, "left": "new;value"}
        for line in commands.map_changes(path, desired, entries) or ():
            assert one.send(line).strip() == ""
        assert commands.read_map(one.send(f"show map {path}")) == desired
        unknown = one.send(f"show map {path}x")
        assert commands.read_map(unknown) is None
        assert commands.read_version(one.send(commands.prepare_map(f"{path}x"))) is None


def _has(answers: list[int], count: int) -> bool:
    return len(answers) >= count


def test_probes_pass_and_fail_as_promised(folder: Path, pods: list[Pod]) -> None:
    good, bad, late = pods
    bad.code = late.code = 503

    def probe(what: str, port: int, **more: object) -> ContainerProbe:
        values: dict[str, object] = {"kind": "http", "path": "/healthz?a=b%20c", "period_seconds": 1, **more}
        return ContainerProbe("main", what, NetworkCheck(port=port, **values), "id", 5.0)  # type: ignore[arg-type]

    made = (
        probe("readiness", good.server_port, headers=(("X-Key", "a b;c"), ("x-none", "")), host="web.test"),
        probe("liveness", bad.server_port, fall=3),
        probe("startup", free_port(), kind="tcp", fall=1),
    )
    one_pod = pod("shop/web", ip="127.0.0.1", probes=made)
    other = pod("shop/other", ip="127.0.0.1", probes=(
        probe("readiness", late.server_port, fall=3),
        replace(probe("liveness", good.server_port, kind="tcp"), container="tcp"),
    ))  # fmt: skip
    seen = cluster([one_pod, other])
    (folder / "maps").mkdir()
    for name, entries in probes.maps(seen).items():
        (folder / name).write_text("".join(f"{key} {value}\n" for key, value in entries.items()))
    text = "\n".join("\n    ".join((f"backend {one.name}", *one.lines)) for one in probes.backends(seen)) + "\n"
    text = text.replace("{", "{{").replace("}", "}}").replace("/pierhead/", "{folder}/")
    desired = config({one.name: [runtime.marked(server) for server in one.servers] for one in probes.backends(seen)})
    with router(folder, text) as one:
        one.converge(desired)
        began_at = time.monotonic()
        known: dict[str, tuple[ProbeResult, ...]] = {}
        told_at: dict[tuple[str, str, bool | None], float] = {}

        def results() -> dict[tuple[str, str], ProbeResult]:
            known.update(probes.results(seen.pods, one.look().stats, known))
            found = {(uid, that.container + "." + that.kind): that for uid, them in known.items() for that in them}
            for (uid, name), that in found.items():
                told_at.setdefault((uid, name, that.passing), time.monotonic() - began_at)
            return found

        poll(lambda: results()["uid-shop-web", "main.liveness"].passing is False, "the liveness probe has failed")
        found = results()
        ready = found["uid-shop-web", "main.readiness"]
        assert (ready.passing, ready.message, ready.started_at) == (True, "", 5.0)
        assert found["uid-shop-web", "main.liveness"].message == (
            f"HTTP 503 from /healthz?a=b%20c on port {bad.server_port}"
        )
        assert found["uid-shop-web", "main.startup"].passing is False
        assert found["uid-shop-web", "main.startup"].message.startswith("connection refused on port ")
        assert found["uid-shop-other", "main.readiness"].passing is False, "not ready from its first failure on"
        assert found["uid-shop-other", "tcp.liveness"].passing is True
        # HAProxy alone would have taken it down with its first failure; three at intervals of 1 s are needed.
        assert told_at["uid-shop-web", "main.liveness", False] >= 2
        assert len(bad.seen) >= 3
        path, headers = good.seen[0]
        assert path == "/healthz?a=b%20c"
        assert (headers["host"], headers["x-key"], headers["accept"]) == ("web.test", "a b;c", "*/*")
        assert "x-none" not in headers
        late.code = 204
        poll(lambda: results()["uid-shop-other", "main.readiness"].passing is True, "it is ready now")
        late.code = 500
        count = len(late.seen)
        poll(lambda: results()["uid-shop-other", "main.readiness"].passing is False, "it is not ready any more")
        assert len(late.seen) - count >= 3, "it takes as many failures as failureThreshold says"


def test_a_first_check_does_not_wait_for_a_whole_period(folder: Path, pods: list[Pod]) -> None:
    check = NetworkCheck("http", pods[0].server_port, period_seconds=60)
    made = tuple(ContainerProbe("main", kind, check, "id", 5.0) for kind in ("readiness", "liveness"))
    seen = cluster([pod("shop/web", ip="127.0.0.1", probes=made)])
    servers: Iterable[Server] = next(one.servers for one in probes.backends(seen) if one.name == "probe.http.1")
    with router(folder, BALANCED) as one:
        one.converge(config({"probe.http.1": servers}))

        def passing() -> list[bool | None]:
            found = probes.results(seen.pods, one.look().stats, {})
            return [that.passing for that in found["uid-shop-web"]]

        poll(lambda: passing()[1] is True, "readiness is known", 5)
        assert passing() == [None, True], "a liveness probe passes until it fails"
