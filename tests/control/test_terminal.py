"""Terminals in pages: what is typed and printed, the order of keys, hosts that do not answer, absurd requests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from control.models import AuditEntry, Node
from control.services import terminal_output, terminals
from control.services.terminal_output import AHEAD, LOST, Output
from control.services.terminals import Terminals
from deployer.ports import EngineError, EngineUnreachable
from tests.control.terminal_data import (
    PATIENCE_SECONDS,
    Screen,
    entries,
    eventually,
    opened,
    place,
    process,
    send,
    town,
)
from tests.scenarios.world import World


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminals]:
    with process(monkeypatch) as made:
        yield made


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transactional_db: None, known: Terminals) -> World:
    return town(tmp_path, monkeypatch)


@pytest.fixture
def ann(world: World, client: Client) -> Client:
    client.force_login(User.objects.create_superuser("ann"))
    return client


# --- what is typed and printed ---


def test_the_page_asks_no_host(ann: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminals, "engine_of", lambda _row: pytest.fail("a page asked a host"))
    html = ann.get(place()).content.decode()
    assert 'value="/bin/sh"' in html and "vendor/xterm/xterm.js" in html and not AuditEntry.objects.exists()
    assert ann.get("/pods/shop/nobody/terminal").status_code == 404
    assert "vendor/xterm" not in ann.get(place().removesuffix("/terminal")).content.decode()


def test_keys_go_down_and_lines_come_up(ann: Client) -> None:
    screen = opened(ann)
    screen.shows("$ ")
    screen.type("echo 'one <b>'\r")
    screen.shows("one <b>\r\n$ ")
    send(ann, screen.line, columns=132, rows=50)
    screen.type("stty size\r")
    screen.shows("50 132\r\n")
    screen.type("exit 3\r")
    screen.ends("the program has ended with exit code 3")
    assert send(ann, screen.line, number=9, keys="x").status_code == 409


def test_a_command_is_a_list_that_no_shell_looks_at(ann: Client) -> None:
    screen = opened(ann, command="echo 'a b' $(reboot); echo c")
    screen.ends()
    assert screen.text == "a b $(reboot); echo c\r\n"
    assert entries()["terminal open"].detail == "first container: echo 'a b' '$(reboot);' echo c"


def test_what_a_program_prints_stays_text(ann: Client) -> None:
    screen = opened(ann, command="echo </script>\u202e\x1b]0;x\x07event:end\u2028data")
    screen.ends()
    assert "</script>" in screen.text and "event:end" in screen.text
    answer = ann.get(screen.line)
    assert answer["X-Content-Type-Options"] == "nosniff" and "no-store" in answer["Cache-Control"]


def test_a_page_whose_connection_broke_goes_on_where_it_was(ann: Client) -> None:
    screen = opened(ann)
    for number in range(5):
        screen.type(f"echo {number}{number}\r")
        screen.shows(f"\n{number}{number}\r\n$ ")
    assert screen.text.count("echo 44\r\n44\r\n$ ") == 1
    anew = Screen(ann, screen.line)
    anew.shows("\n44\r\n$ ")
    assert anew.text == screen.text


# --- order ---


def test_batches_are_typed_once_and_in_order(ann: Client) -> None:
    screen = opened(ann)
    for number, keys in ((1, "echo a"), (1, "echo a"), (2, "b"), (1, "echo a"), (2, "b")):
        assert send(ann, screen.line, number=number, keys=keys).status_code == 204
    late = send(ann, screen.line, number=4, keys="d")
    assert (late.status_code, late.json()["refused"]) == (409, "keys were lost on the way: batch 3 is missing, 4 came")
    send(ann, screen.line, number=3, keys="c\r")
    screen.shows("abc\r\n")
    assert screen.text == "$ echo abc\r\nabc\r\n$ "


def test_a_host_that_takes_nothing_fills_no_memory(ann: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    held = threading.Event()

    class Stuck:
        read = staticmethod(lambda: held.wait(PATIENCE_SECONDS) and b"")
        write = staticmethod(lambda data: held.wait(PATIENCE_SECONDS))
        close = staticmethod(held.set)
        exit_code = staticmethod(lambda: None)

    class StuckEngine:
        terminal = staticmethod(lambda *_, **__: Stuck())
        close = staticmethod(lambda: None)

    monkeypatch.setattr(terminals, "engine_of", lambda _row: StuckEngine())
    screen = opened(ann)
    answers = [send(ann, screen.line, number=number, keys="x" * 1000) for number in range(1, 200)]
    assert answers[10].status_code == 204 and answers[-1].status_code == 409
    assert "does not take what is typed" in next(one for one in answers if one.status_code == 409).json()["refused"]
    send(ann, screen.line, end=True)
    held.set()
    screen.ends("it was closed")


# --- hosts and containers ---


def test_a_host_that_is_known_to_be_away_is_not_asked(ann: Client) -> None:
    Node.objects.update(ready=False)
    answer = send(ann, place())
    assert answer.status_code == 409
    assert "node a does not answer, so no terminal can be opened in" in answer.json()["refused"]
    assert not AuditEntry.objects.filter(action="terminal open").exists()


def test_a_host_that_hangs_holds_no_request(ann: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    held = threading.Event()

    def hangs(_row: Node) -> Any:
        held.wait(PATIENCE_SECONDS)
        raise EngineUnreachable("Unreachable", "a: no answer within 10 s")

    monkeypatch.setattr(terminals, "engine_of", hangs)
    screen = opened(ann)
    screen.type("ls\r")
    assert send(ann, screen.line, end=True).status_code == 204
    held.set()
    screen.ends("it was closed")


def test_what_a_host_says_is_told_and_audited(ann: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_row: Node) -> Any:
        raise EngineError("Unreachable", "a: cannot be reached")

    monkeypatch.setattr(terminals, "engine_of", away)
    screen = opened(ann)
    screen.ends("a: cannot be reached")
    assert entries()["terminal close"].detail.endswith("; a: cannot be reached")


def test_a_container_without_a_shell_is_a_sentence(ann: Client) -> None:
    opened(ann, command="/bin/missing -l").ends(
        "/bin/missing is not in the container's image, or cannot be run there: try another command"
    )


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param({"command": "sh 'x"}, "cannot be divided into words: no closing quotation", id="an open quote"),
        pytest.param({"command": "   "}, "write a command, such as /bin/sh", id="blanks"),
        pytest.param({"command": "''"}, "write a command", id="an empty word"),
        pytest.param({"command": "x" * 1001}, "1000 characters are the most", id="long"),
        pytest.param({"command": "a\0b"}, "no text", id="a NUL"),
        pytest.param({"container": "none"}, "has no container none; it has: web", id="no such container"),
    ],
)
def test_what_cannot_be_opened(ann: Client, body: dict[str, Any], said: str) -> None:
    answer = send(ann, place(), **body)
    assert answer.status_code == 409
    assert said in answer.json()["refused"]


@pytest.mark.parametrize("body", ["", "[]", "{", "7", '"x"', '{"command": "' + "x" * 200_000 + '"}'])
def test_absurd_bodies_are_refused(ann: Client, body: str) -> None:
    assert ann.post(place(), body, "application/json").status_code == 409
    screen = opened(ann)
    assert ann.post(screen.line, body, "application/json").status_code == 409


@pytest.mark.parametrize("size", [{"columns": -5, "rows": 10**9}, {"columns": "x", "rows": None}, {}])
def test_absurd_sizes_become_possible_ones(ann: Client, size: dict[str, Any]) -> None:
    screen = opened(ann, **size)
    assert send(ann, screen.line, **size).status_code == 204
    screen.type("stty size\r")
    screen.shows("stty size\r\n" + ("300 2\r\n" if size.get("columns") == -5 else "24 80\r\n"))


# --- on the way to the page ---


def test_a_program_waits_for_a_slow_page_until_it_is_ended() -> None:
    output, put = Output(), threading.Event()

    def print_much() -> None:
        for _ in range(4):
            output.put("x" * (AHEAD // 2))
        put.set()

    thread = threading.Thread(target=print_much, daemon=True)
    thread.start()
    eventually(lambda: output.behind(1).number == 2)
    assert not put.wait(0.1)
    output.sent(2)
    assert put.wait(PATIENCE_SECONDS)
    thread.join()
    output.release()
    output.put("x" * AHEAD)
    output.put("x" * AHEAD)


def test_what_is_not_kept_any_more_is_said_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal_output, "KEPT", 3)
    output = Output()
    for text in ("a", "bb", "cc"):
        output.put(text)
        output.sent(output.behind(0).number)
    output.end("over")
    assert output.behind(0).text == f"{LOST}cc"
    assert (output.behind(2).text, output.behind(2).ended) == ("cc", "over")
    assert (output.behind(3).ended, output.behind(99).ended) == ("over", "over")


def test_a_second_page_takes_the_place_of_the_first() -> None:
    output, woken = Output(), []

    def first() -> None:
        woken.append("first")

    def second() -> None:
        woken.append("second")

    output.join(first)
    output.join(second)
    output.leave(first, 5.0)
    assert woken == ["first"] and output.is_heard_by(second) and output.left_at is None
    output.put("x")
    output.leave(second, 6.0)
    assert woken == ["first", "second"] and output.left_at == 6.0
