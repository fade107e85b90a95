"""What every engine promises of terminals; and how a real one's connection is taken over, against odd servers."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from deployer.adapters.docker import open_engine
from deployer.adapters.docker_address import EngineAddress
from deployer.adapters.docker_line import Line
from deployer.ports import Engine, EngineError, EngineUnreachable, Terminal
from tests.contracts.bench import Bench, docker_bench, reason_of, spec
from tests.contracts.test_docker_wire import Answer, serving
from tests.engines.hosts import Hosts
from tests.engines.servers import Registry, ssh_server

PATIENCE_SECONDS = 15.0


@contextmanager
def opened(bench: Bench, *command: str, columns: int = 80, rows: int = 24) -> Iterator[Screen]:
    terminal = bench.engine.terminal("box", command or ("sh",), columns=columns, rows=rows)
    screen = Screen(terminal)
    try:
        yield screen
    finally:
        terminal.close()
        screen.ended()


class Screen:
    """What a terminal has printed, collected by a thread that reads until the end."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal, self.text = terminal, ""
        self.failure: EngineError | None = None
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()

    def type(self, keys: str) -> None:
        self.terminal.write(keys.encode())

    def shows(self, *words: str) -> None:
        """All of them, in this order."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not _in_order(self.text, words):
            assert time.monotonic() < deadline, f"{words} not in {self.text!r}"
            threading.Event().wait(0.01)

    def ended(self) -> None:
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive(), f"still reading behind {self.text!r}"

    def _collect(self) -> None:
        try:
            while piece := self.terminal.read():
                self.text += piece.decode(errors="replace")
        except EngineError as error:
            self.failure = error


def _in_order(text: str, words: Sequence[str]) -> bool:
    position = 0
    for word in words:
        found = text.find(word, position)
        if found < 0:
            return False
        position = found + len(word)
    return True


# Every engine


def test_what_is_typed_is_echoed_and_obeyed(bench: Bench) -> None:
    bench.run("box")
    with opened(bench) as screen:
        screen.type("echo one")
        screen.shows("echo one")
        screen.type("\recho two\r")
        screen.shows("echo one", "one\r\n", "echo two", "two\r\n")


def test_it_has_the_size_that_it_was_given_and_is_given_later(bench: Bench) -> None:
    bench.run("box")
    with opened(bench, columns=100, rows=30) as screen:
        screen.type("stty size\r")
        screen.shows("30 100")
        screen.terminal.resize(132, 50)
        screen.type("stty size\r")
        screen.shows("50 132")


def test_keys_reach_the_program(bench: Bench) -> None:
    bench.run("box")
    with opened(bench) as screen:
        screen.type("sleep 1000\r")
        screen.shows("sleep 1000\r\n")
        bench.sleep(0.2)
        screen.type("\x03")
        screen.shows("^C")
        screen.type("echo bax\x7fck\r")
        screen.shows("back\r\n")


def test_a_flood_is_interrupted(bench: Bench) -> None:
    bench.run("box")
    with opened(bench) as screen:
        screen.type("while true; do echo flood; done\r")
        screen.shows("flood", "done\r\n")
        bench.sleep(0.5)
        screen.type("\x03")
        screen.shows("done\r\n", "^C")
        screen.type("echo over\r")
        screen.shows("^C", "over\r\n")


@pytest.mark.parametrize(("keys", "code"), [("exit 7\r", 7), ("\x04", 0)])
def test_a_program_that_ends_ends_the_reading(bench: Bench, keys: str, code: int) -> None:
    bench.run("box")
    with opened(bench) as screen:
        screen.shows(" ")  # its prompt
        screen.type(keys)
        screen.ended()
        assert screen.failure is None
        assert bench.eventually(lambda: screen.terminal.exit_code() is not None)
        assert screen.terminal.exit_code() == code


def test_any_program_can_be_run(bench: Bench) -> None:
    bench.run("box")
    with opened(bench, "echo", "a b", "c;d") as screen:
        screen.ended()
        assert screen.text == "a b c;d\r\n"


def test_closing_ends_a_read_that_waits_and_the_program(bench: Bench) -> None:
    bench.run("box")
    with opened(bench) as screen:
        screen.type("sleep 1000\r")
        screen.shows("sleep 1000\r\n")
        bench.sleep(0.2)
        assert screen.terminal.exit_code() is None
        screen.terminal.close()
        screen.ended()
        assert screen.failure is None
        assert bench.eventually(lambda: screen.terminal.exit_code() is not None)
        if not hasattr(bench.engine, "host"):  # a simulated container has no processes
            assert "sleep 1000" not in bench.engine.execute("box", ("ps",), 10).output
        screen.terminal.close()
        with pytest.raises(EngineError):
            screen.terminal.write(b"x")


def test_a_container_that_stops_ends_it(bench: Bench) -> None:
    bench.run("box")
    with opened(bench) as screen:
        screen.shows(" ")
        bench.engine.stop("box", 0)
        screen.ended()


def test_a_program_that_is_not_there_is_told_by_the_first_read(bench: Bench) -> None:
    bench.run("box")
    with opened(bench, "/bin/missing") as screen:
        screen.ended()
        assert screen.failure is not None and screen.failure.reason == "CommandNotFound"
        assert "box" in screen.failure.sentence


def test_only_in_what_runs_and_is_ours(bench: Bench) -> None:
    def opening(name: str) -> Callable[[], object]:
        return lambda: bench.engine.terminal(name, ("sh",), columns=80, rows=24)

    theirs = bench.other.create(spec("theirs"))
    bench.other.start("theirs")
    bench.engine.create(spec("created"))
    assert reason_of(opening("theirs")) == reason_of(opening(theirs)) == "NoSuchContainer"
    assert reason_of(opening("nobody")) == "NoSuchContainer"
    assert reason_of(opening("created")) == "RunContainerError"


@pytest.mark.engines
def test_a_tunnel_carries_terminals_too(one_host: tuple[Hosts, Registry], tmp_path: Path) -> None:
    (host, *_), registry = one_host
    with ssh_server(host) as server, docker_bench(host, server.address, registry, tmp_path) as bench:
        bench.run("box")
        with opened(bench) as screen:
            screen.type("stty size\r")
            screen.shows("24 80\r\n")
            screen.terminal.close()
            screen.ended()
            assert bench.eventually(lambda: screen.terminal.exit_code() is not None)
        bench.clean()


# A real one's connection

OURS = {"Labels": {"pierhead.io/cluster": "c1"}, "Image": "x"}
FOUND = {"Id": "abc", "Name": "/web", "State": {"Status": "running"}, "Config": OURS}
ANSWERS: dict[str, Answer] = {"containers/web/json": (200, FOUND), "containers/abc/exec": (201, {"Id": "e1"})}


def test_an_engine_that_refuses_to_hand_over_is_quoted() -> None:
    said: Answer = (409, {"message": "container abc is paused"})
    expected = pytest.raises(EngineError, match="cannot open a terminal in web: container abc is paused")
    with serving({**ANSWERS, "exec/e1/start": said}) as (_, engine), expected:
        engine.terminal("web", ("sh",), columns=80, rows=24)


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 nonsense\r\n\r\n", b"HTTP/1.1 101"])
def test_an_answer_that_is_none_is_a_broken_connection(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with pretending(said, monkeypatch) as engine, pytest.raises(EngineUnreachable, match="the connection broke"):
        engine.terminal("web", ("sh",), columns=80, rows=24)


def test_an_engine_that_hangs_is_waited_for_as_long_as_always(monkeypatch: pytest.MonkeyPatch) -> None:
    with pretending(None, monkeypatch) as engine, pytest.raises(EngineUnreachable, match=r"no answer within 0\.2 s"):
        engine.terminal("web", ("sh",), columns=80, rows=24)


@contextmanager
def pretending(said: bytes | None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """An engine whose every answer is known, and that takes its one connection with these bytes; None: with none."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []

        def serve() -> None:
            connection, _ = server.accept()
            held.append(connection)
            if said is not None:
                connection.recv(65536)
                connection.sendall(said)
                connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        address = EngineAddress(f"tcp://127.0.0.1:{server.getsockname()[1]}")
        engine = open_engine(address, "c1", run_dir=Path("/nonexistent"), timeout_seconds=0.2)
        monkeypatch.setattr(engine, "_ours", lambda container: container)
        monkeypatch.setattr(engine._wire, "json", lambda _request: {"Id": "e1"})  # type: ignore[attr-defined]
        engine._wire._version = "1.41"  # type: ignore[attr-defined]
        yield engine
        thread.join(PATIENCE_SECONDS)
        engine.close()
        for one in held:
            one.close()


@pytest.fixture
def pair() -> Iterator[tuple[Line, socket.socket]]:
    ours, theirs = socket.socketpair()
    line = Line(ours, b"first", 0.1)
    with closing(line), theirs:
        yield line, theirs


def test_what_came_with_the_answer_is_read_first(pair: tuple[Line, socket.socket]) -> None:
    line, theirs = pair
    theirs.sendall(b"then")
    assert [line.read(), line.read()] == [b"first", b"then"]
    theirs.close()
    assert line.read() == b""


def test_a_peer_that_takes_nothing_is_not_waited_for_for_ever(pair: tuple[Line, socket.socket]) -> None:
    line, _ = pair
    with pytest.raises(TimeoutError, match=r"nothing could be sent for 0\.1 s"):
        line.write(b"x" * 10_000_000)


def test_the_end_of_reading_leaves_writing(pair: tuple[Line, socket.socket]) -> None:
    line, theirs = pair
    line.read()
    line.end_reading()
    assert line.read() == b""
    line.write(b"last words")
    assert theirs.recv(100) == b"last words"
