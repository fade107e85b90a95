"""Terminals in pages: who gets one, what is audited, the order of keys, limits, ends, hosts that do not answer."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client

from control.dashboard import terminal as pages
from control.models import AuditEntry, Node, Pod
from control.services import terminal_output, terminals
from control.services.terminal_output import AHEAD, LOST, Output
from control.services.terminals import ALONE_SECONDS, IDLE_SECONDS, PERSON, Terminals
from deployer.ports import EngineError, EngineUnreachable
from tests.control.people_data import bearing, person, signed_in
from tests.scenarios.world import World, web

PATIENCE_SECONDS = 10.0


class Kept:
    """The world's engine, which a terminal must not close for everybody."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.closed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminals]:
    """A process's terminals; nobody looks at them but the test."""
    made = Terminals()
    made._keeps = True
    monkeypatch.setattr(terminals, "terminals", made)
    yield made
    made.end_all("the test is over")
    assert all(one.ended_at is not None for one in made._known.values())


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transactional_db: None, known: Terminals) -> World:
    made = World(tmp_path)
    made.add_node("a")
    made.push(web(replicas=1, command="sleep, '9999'"))
    made.pass_time(20)
    monkeypatch.setattr(terminals, "engine_of", lambda row: Kept(made.engines[row.name]))
    return made


@pytest.fixture
def ann(world: World, client: Client) -> Client:
    client.force_login(User.objects.create_superuser("ann"))
    return client


def place() -> str:
    pod = Pod.objects.order_by("name")[0]
    return f"/pods/{pod.namespace}/{pod.name}/terminal"


def send(client: Client, path: str, **body: Any) -> Any:
    return client.post(path, json.dumps(body), "application/json")


def opened(client: Client, **body: Any) -> Screen:
    answer = send(client, place(), **body)
    assert answer.status_code == 200, answer.content
    return Screen(client, answer.json()["place"])


class Screen:
    """What a page shows of a terminal."""

    def __init__(self, client: Client, line: str) -> None:
        self.client, self.line, self.heard, self.text, self.ended = client, line, 0, "", ""
        self._number = 0

    def type(self, keys: str) -> None:
        self._number += 1
        assert send(self.client, self.line, number=self._number, keys=keys).status_code == 204

    def shows(self, words: str) -> None:
        self._listen(lambda: words in self.text)

    def ends(self, words: str = "") -> None:
        self._listen(lambda: bool(self.ended))
        assert words in self.ended

    def _listen(self, until: Callable[[], bool]) -> None:
        """A stream of its own, behind what was heard already."""
        answer = self.client.get(self.line, headers={"Last-Event-ID": str(self.heard)})
        assert answer["Content-Type"] == "text/event-stream"
        if not answer.streaming:
            self._take(answer.content)
            return

        async def follow() -> None:
            pieces = cast(AsyncIterator[bytes], answer.streaming_content)
            async with asyncio.timeout(PATIENCE_SECONDS):
                async for piece in pieces:
                    self._take(piece)
                    if until():
                        break
            await cast(Any, pieces).aclose()

        asyncio.run(follow())
        assert until(), (self.text, self.ended)

    def _take(self, piece: bytes) -> None:
        fields = dict(line.partition(": ")[::2] for line in piece.decode().splitlines() if line[:1] not in ("", ":"))
        self.heard = int(fields.get("id", self.heard))
        match fields.get("event"):
            case "message":
                self.text += json.loads(fields["data"])
            case "end":
                self.ended = json.loads(fields["data"])


def eventually(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := look()):
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)
    return found


def entries() -> dict[str, AuditEntry]:
    return {one.action: one for one in AuditEntry.objects.filter(action__startswith="terminal")}


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


# --- who ---


@pytest.mark.parametrize(
    ("roles", "status"),
    [
        pytest.param({"shop": "admin"}, 200, id="administers here"),
        pytest.param({"": "admin"}, 200, id="administers everything"),
        pytest.param({"shop": "operator", "other": "admin"}, 403, id="acts here"),
        pytest.param({"": "viewer"}, 403, id="looks"),
        pytest.param({"other": "admin"}, 404, id="elsewhere"),
    ],
)
def test_who_gets_one(world: World, roles: dict[str, str], status: int) -> None:
    client = signed_in(person("bea", roles))
    assert (client.get(place()).status_code, send(client, place()).status_code) == (status, status)
    button = client.get(place().removesuffix("/terminal")).content.decode()
    assert (f'href="{place()}"' in button) == (status == 200)
    assert ("terminal open" in entries()) == (status == 200)


def test_no_token_and_no_other_site_gets_one(world: World) -> None:
    ada = person("ada", {"": "admin"})
    assert bearing(ada).get(place()).status_code == 401
    assert send(bearing(ada, name="cd"), place()).status_code == 403
    client = signed_in(ada, enforce_csrf_checks=True)
    assert send(client, place()).status_code == 403
    token = client.get(place()).context["csrf_token"]
    answer = client.post(place(), "{}", "application/json", headers={"X-CSRFToken": str(token)})
    assert answer.status_code == 200
    assert send(client, answer.json()["place"], number=1, keys="x").status_code == 403


def test_only_who_opened_it_uses_it_and_only_from_there(ann: Client) -> None:
    screen = opened(ann)
    others = signed_in(person("bea", {"": "admin"})), signed_in(User.objects.get(username="ann"))
    for other in others:
        answer = send(other, screen.line, number=1, keys="echo stolen\r")
        assert (answer.status_code, answer.json()["refused"]) == (410, "this terminal has ended")
        thief = Screen(other, screen.line)
        thief.ends("this terminal has ended")
        assert thief.text == ""
    elsewhere = screen.line.replace(Pod.objects.get().name, "another")
    assert send(ann, elsewhere, number=1, keys="x").status_code == 410


def test_another_process_says_what_the_proxy_should_do(ann: Client, known: Terminals) -> None:
    screen = opened(ann)
    known._mark = "0000"
    found = known._known.pop(screen.line.rpartition("/")[2])
    answer = send(ann, screen.line, number=1, keys="x")
    known._known[found.key] = found
    assert answer.status_code == 410
    assert "let the proxy lead all requests of a browser to the same process" in answer.json()["refused"]


# --- the audit trail ---


def test_who_where_and_how_long_is_audited_and_never_what(ann: Client) -> None:
    screen = opened(ann, container="web", command="sh")
    screen.type("echo s3cr3t\r")
    screen.shows("s3cr3t\r\n")
    first = entries()["terminal open"]
    assert (first.actor, first.source, first.object) == ("ann", "127.0.0.1", f"Pod shop/{Pod.objects.get().name}")
    assert first.detail == "container web: sh"
    send(ann, screen.line, end=True)
    screen.ends("it was closed")
    last = entries()["terminal close"]
    assert (last.actor, last.object) == (first.actor, first.object)
    assert last.detail == "container web: sh; 0 s, 12 bytes typed; it was closed"
    assert not AuditEntry.objects.filter(detail__contains="s3cr3t").exists()


def test_without_an_entry_no_terminal(ann: Client, monkeypatch: pytest.MonkeyPatch, known: Terminals) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(terminals, "record", fails)
    monkeypatch.setattr(terminals, "engine_of", lambda _row: pytest.fail("it was opened"))
    with pytest.raises(RuntimeError):
        send(ann, place())
    assert not known._known


# --- limits and ends ---


def test_a_person_and_a_process_have_a_most(ann: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    screens = [opened(ann) for _ in range(PERSON)]
    assert send(ann, place()).json()["refused"] == "4 terminals of yours are open, which is the most: close one of them"
    bea = signed_in(person("bea", {"": "admin"}))
    opened(bea)
    monkeypatch.setattr(terminals, "PROCESS", PERSON + 1)
    assert "5 terminals are open in this process of Pierhead" in send(bea, place()).json()["refused"]
    send(ann, screens[0].line, end=True)
    screens[0].ends()
    opened(ann)


def test_nothing_typed_for_long_ends_it(ann: Client, known: Terminals) -> None:
    screen = opened(ann)
    screen.shows("$ ")
    (one,) = known._known.values()
    one.output.left_at = None
    known.look(one.typed_at + IDLE_SECONDS - 1)
    assert one.ended_at is None and not one._why
    known.look(one.typed_at + IDLE_SECONDS)
    screen.ends("nothing was typed for 15 minutes")


def test_a_page_that_is_gone_ends_it_and_it_is_forgotten(ann: Client, known: Terminals) -> None:
    screen = opened(ann)
    screen.shows("$ ")
    (one,) = known._known.values()
    left_at = one.output.left_at
    assert left_at is not None
    known.look(left_at + ALONE_SECONDS)
    ended_at = eventually(lambda: one.ended_at)
    assert entries()["terminal close"].detail.endswith("its page was closed")
    known.look(ended_at + ALONE_SECONDS + 1)
    assert not known._known


@pytest.mark.parametrize("how", ["session", "role", "disabled", "unknown"])
def test_who_may_not_any_more_is_thrown_out(
    world: World, known: Terminals, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bea = person("bea", {"shop": "admin"})
    screen = opened(signed_in(bea))
    (one,) = known._known.values()
    known.look(one.typed_at + 1)
    assert not one._why
    match how:
        case "session":
            Session.objects.all().delete()
        case "role":
            bea.roles.update(role="operator")
        case "disabled":
            User.objects.update(is_active=False)
        case "unknown":
            monkeypatch.setattr(pages, "get_user", lambda _request: 1 / 0)
    known.look(one.typed_at + 2)
    eventually(lambda: one.ended_at)
    said = "could not be found out" if how == "unknown" else "the session has ended, or the role was taken away"
    assert said in entries()["terminal close"].detail
    assert screen.text == ""


def test_the_end_of_the_process_ends_all_of_them(ann: Client, known: Terminals) -> None:
    screen = opened(ann)
    screen.shows("$ ")
    known.end_all("Pierhead was stopped")
    assert entries()["terminal close"].detail.endswith("Pierhead was stopped")


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
