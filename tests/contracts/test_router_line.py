"""What a router's command line promises: one suite against a real HAProxy behind its mesh port and the simulated."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from deployer.adapters.authority import issue, make_authority
from deployer.adapters.router_line import TlsLine, open_line
from deployer.ports import EngineError, RouterLine
from tests.contracts.bench import reason_of
from tests.contracts.lines import (
    BACKEND,
    CLI,
    LineBench,
    RealRouter,
    real_bench,
    real_router,
    simulated_bench,
)
from tests.ports import free_port


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRouter]:
    with real_router(Path(tmp_path_factory.mktemp("r"))) as started:
        yield started


@pytest.fixture(params=["simulated", "haproxy"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LineBench]:
    if request.param == "simulated":
        with simulated_bench(tmp_path) as bench:
            yield bench
    else:
        with real_bench(request.getfixturevalue("router")) as bench:
            yield bench


# The same for both


def test_a_reload_brings_the_pushed_structure(bench: LineBench) -> None:
    bench.one(f"add server {BACKEND}/late {bench.up}")
    for structure in ("abc", "abd"):
        bench.reload(structure)
        assert bench.one("get var proc.structure").endswith(f"<{structure}>")
    assert bench.one(f"set server {BACKEND}/late state maint") == "No such server."
    assert bench.one("get var proc.other") == "Variable not found."


def test_servers_come_and_go(bench: LineBench) -> None:
    check = "check inter 100ms fastinter 100ms fall 1 rise 1"
    which = f"{BACKEND}/shop.late"
    assert bench.one(f"add server {which} {bench.up} {check}") == "New server registered."
    assert "same name" in bench.one(f"add server {which} {bench.up} {check}")
    assert bench.stat("shop.late")["status"] == "MAINT"
    assert bench.line.ask([f"enable health {which}", f"enable server {which}"]) == ["", ""]
    bench.eventually(lambda: bench.stat("shop.late")["status"] == "UP")
    assert bench.one(f"del server {which}") == "Only servers in maintenance mode can be deleted."
    assert bench.one(f"set server {which} state drain") == ""
    assert bench.stat("shop.late")["status"] == "DRAIN"
    assert bench.line.ask([f"set server {which} state maint", f"del server {which}"]) == ["", "Server deleted."]
    assert bench.one(f"del server {which}") == "No such server."


def test_a_server_behind_which_nothing_runs_is_down(bench: LineBench) -> None:
    which = f"{BACKEND}/gone"
    added = f"add server {which} {bench.down} check inter 100ms fastinter 100ms fall 1 rise 1"
    bench.line.ask([added, f"enable health {which}", f"enable server {which}"])
    bench.eventually(lambda: bench.stat("gone")["status"] == "DOWN")
    assert bench.stat("gone")["check_status"] == "L4CON"
    assert "Connection refused" in bench.stat("gone")["last_chk"]
    bench.line.ask([f"set server {which} state maint", f"del server {which}"])


def test_servers_of_the_file_are_there_at_once(bench: LineBench) -> None:
    bench.eventually(lambda: bench.stat("shop.first")["status"] == "UP")
    assert bench.stat("shop.plain")["status"] == "no check"
    assert bench.stat("shop.first")["check_status"] == "L4OK"
    version, header, *rows = bench.one(f"show servers state {BACKEND}").splitlines()
    seen = [dict(zip(header.split()[1:], row.split(), strict=True)) for row in rows]
    host, _, port = bench.up.rpartition(":")
    assert version == "1"
    assert [(row["be_name"], row["srv_name"], row["srv_addr"], row["srv_port"]) for row in seen] == [
        (BACKEND, "shop.first", host, port),
        (BACKEND, "shop.plain", host, port),
    ]
    assert [(row["srv_op_state"], row["srv_admin_state"]) for row in seen] == [("2", "0"), ("2", "0")]


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("set server nobody/x state maint", "No such backend."),
        (f"enable server {BACKEND}/nobody", "No such server."),
        (f"add server {BACKEND}", "Require 'backend/server'."),
        ("show servers state nobody", "Can't find backend."),
        ("show stat nobody 4 -1", "No such proxy."),
        ("show map /nobody", "Unknown map identifier. Please use #<id> or <file>."),
        ("prepare map /nobody", "Unknown map identifier. Please use #<id> or <file>."),
        ("show table nobody", "No such table"),
        ("show table table.latency", "# table: table.latency, type: string, size:5120, used:0"),
    ],
)
def test_what_cannot_be_is_answered_in_haproxys_words(bench: LineBench, command: str, answer: str) -> None:
    assert bench.one(command) == answer


def test_rows_can_be_chosen(bench: LineBench) -> None:
    def names(command: str) -> list[tuple[str, str]]:
        return [(row.split(",")[0], row.split(",")[1]) for row in bench.one(command).splitlines()[1:]]

    assert names(f"show stat {BACKEND} 4 -1") == [(BACKEND, "shop.first"), (BACKEND, "shop.plain")]
    assert names(f"show stat {BACKEND} 2 -1") == [(BACKEND, "BACKEND")]


def test_a_map_is_replaced_as_a_whole(bench: LineBench) -> None:
    def entries(which: str) -> list[str]:
        return [line.partition(" ")[2] for line in bench.one(f"show map {which}").splitlines()]

    assert entries(bench.map) == ["one 1"]
    version = bench.one(f"prepare map {bench.map}").removeprefix("New version created: ")
    payload = "two two words\nthree 3"
    assert bench.one(f"add map @{version} {bench.map} <<\n{payload}") == ""
    assert bench.one(f"add map @{version} {bench.map} four 4") == ""
    assert entries(bench.map) == ["one 1"]
    assert entries(f"@{version} {bench.map}") == ["two two words", "three 3", "four 4"]
    assert bench.one(f"commit map @{version} {bench.map}") == ""
    assert entries(bench.map) == ["two two words", "three 3", "four 4"]
    assert bench.one(f"commit map @99 {bench.map}") == "Version number out of range."


def test_commands_may_be_joined_and_words_escaped(bench: LineBench) -> None:
    joined = rf"show table nobody;add map {bench.map} k a\ b\;c\<\<;get var proc.other;set map {bench.map} one 2"
    answers = bench.line.ask([joined, f"show map {bench.map}", f"del map {bench.map} one;del map {bench.map} one"])
    assert answers[0] == "No such table\nVariable not found."
    assert [line.partition(" ")[2] for line in answers[1].splitlines()] == ["one 2", "k a b;c<<"]
    assert answers[2] == "Key not found."
    assert bench.one(f"set map {bench.map} one 1") == "entry not found."


def test_weights(bench: LineBench) -> None:
    assert bench.line.ask([f"set server {BACKEND}/shop.plain weight 7"]) == [""]
    assert bench.stat("shop.plain")["weight"] == "7"
    assert "between 0 and 256" in bench.one(f"set server {BACKEND}/shop.plain weight 300")


def test_a_long_payload_fits(bench: LineBench) -> None:
    lines = [f"key-{number} {'v' * 50}" for number in range(2000)]
    version = bench.one(f"prepare map {bench.map}").removeprefix("New version created: ")
    commands = [f"add map @{version} {bench.map} <<\n" + "\n".join(lines) + "\n", f"commit map @{version} {bench.map}"]
    assert bench.line.ask(commands) == ["", ""]
    assert [line.partition(" ")[2] for line in bench.one(f"show map {bench.map}").splitlines()] == lines


def test_threads_share_a_line(bench: LineBench) -> None:
    answers: list[list[str]] = []
    asked = ["get var proc.other", "show table nobody"] * 20
    threads = [threading.Thread(target=lambda: answers.append(bench.line.ask(asked))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert answers == [["Variable not found.", "No such table"] * 20] * 4


def test_a_line_that_was_hung_up_is_taken_up_again(bench: LineBench) -> None:
    before = bench.one("get var proc.structure")
    bench.line.close()
    assert bench.one("get var proc.structure") == before


# The real one's connection


def test_only_the_control_planes_certificate_is_let_through(router: RealRouter) -> None:
    control = router.certificate("pierhead-control")
    stranger = issue(make_authority("other", time.time()), "pierhead-control", [], time.time(), 3600)
    assert reason_of(router.line(router.certificate("node-2")).ask, ["show info"]) == "RouterRefused"
    assert reason_of(router.line(router.revoked).ask, ["show info"]) == "RouterRefused"
    assert reason_of(router.line(stranger).ask, ["show info"]) == "RouterRefused"
    assert reason_of(router.line(control, server_name=f"p1.{CLI[11:]}").ask, ["show info"]) == "RouterRefused"


def test_a_router_that_is_not_the_one_is_not_spoken_to(router: RealRouter) -> None:
    control, other = router.certificate("pierhead-control"), make_authority("other", time.time())
    for line in (
        router.line(control, server_name="router-cli.n9.mesh"),
        router.line(control, authority=other.certificate),
    ):
        with pytest.raises(EngineError, match=f"router at 127.0.0.1:{router.port}: its certificate") as caught:
            line.ask(["show info"])
        assert caught.value.reason == "RouterRefused"


def test_nobody_there(router: RealRouter) -> None:
    port = free_port()
    line = router.line(router.certificate("pierhead-control"), port=port)
    with pytest.raises(EngineError, match=rf"router at 127\.0\.0\.1:{port}: connection refused") as caught:
        line.ask(["show info"])
    assert caught.value.reason == "RouterUnreachable"


def test_texts_that_are_no_certificates_are_not_repeated(router: RealRouter) -> None:
    good = router.certificate("pierhead-control")
    for certificate, key in (
        ("SECRET", good.key),
        (good.certificate, "SECRET"),
        (good.certificate, router.revoked.key),
    ):
        with pytest.raises(EngineError) as caught:
            open_line("host", 1, CLI, certificate, key, router.authority.certificate, 1)
        assert caught.value.reason == "RouterRefused" and "SECRET" not in caught.value.sentence


@pytest.mark.parametrize("command", ["show info\nshow stat", "add map @1 x <<\na 1\n\nb 2", "show " + "x" * 20_000])
def test_a_command_is_one_command(router: RealRouter, command: str) -> None:
    with pytest.raises(ValueError, match="a command"):
        router.line(router.certificate("pierhead-control")).ask([command])


# What happens to commands when a connection is lost, told by a go-between that cuts it


class Cutter:
    """Passes bytes on to the router until it is told to cut. `accepted` counts connections."""

    def __init__(self, port: int) -> None:
        self._target, self._open, self.accepted = port, list[socket.socket](), 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        for each in self._open:
            with closing(each):
                each.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._target))
            self.accepted += 1
            self._open += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=_pass_on, args=(one, other), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    try:
        while piece := source.recv(65536):
            target.sendall(piece)
    except OSError:
        return


@contextmanager
def cut_line(router: RealRouter) -> Iterator[tuple[RouterLine, Cutter]]:
    control = router.certificate("pierhead-control")
    with closing(Cutter(router.port)) as cutter, closing(router.line(control, port=cutter.port)) as line:
        yield line, cutter


def test_a_connection_lost_between_calls_is_made_anew(router: RealRouter) -> None:
    with cut_line(router) as (line, cutter):
        line.ask(["show version"])
        line.ask(["show version"])
        assert cutter.accepted == 1
        cutter.cut()
        assert line.ask([f"set server {BACKEND}/shop.plain weight 2"]) == [""]
        assert cutter.accepted == 2


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (f"set server {BACKEND}/shop.plain weight 3", None),
        (f"get weight {BACKEND}/shop.plain", "2 (initial 1)"),
    ],
)
def test_only_what_reads_is_asked_again_when_its_answer_was_lost(
    router: RealRouter, monkeypatch: pytest.MonkeyPatch, command: str, expected: str | None
) -> None:
    exchange, sent = TlsLine._exchange, list[str]()
    with cut_line(router) as (line, cutter):
        line.ask([f"set server {BACKEND}/shop.plain weight 2"])

        def breaks(self: TlsLine, connection: ssl.SSLSocket, said: str) -> str:
            sent.append(said)
            if len(sent) == 2:  # after the look at whom the kept connection leads to
                cutter.cut()
            return exchange(self, connection, said)

        monkeypatch.setattr(TlsLine, "_exchange", breaks)
        if expected is not None:
            assert line.ask([command]) == [expected]
            assert sent == ["show info", command, "prompt", command]
            return
        with pytest.raises(EngineError, match="may have been carried out") as caught:
            line.ask([command])
        assert caught.value.reason == "RouterUnreachable" and sent == ["show info", command]


class Pieces:
    """A connection on which every answer comes by itself."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = list(pieces)

    def settimeout(self, seconds: float) -> None: ...

    def sendall(self, data: bytes) -> None: ...

    def recv(self, length: int) -> bytes:
        return self._pieces.pop(0)


def test_an_answer_ends_with_its_prompt_in_however_many_pieces(router: RealRouter) -> None:
    line = router.line(router.certificate("pierhead-control"))
    assert isinstance(line, TlsLine)
    pieces: Any = Pieces(b"one\n", b"two >\n", b"\n", b"> ")
    assert line._exchange(pieces, "a") == "one\ntwo >"
