"""Who gets a terminal in a pod, what the audit trail says of it, how many there are, and what ends them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client

from control.dashboard import access
from control.models import AuditEntry, Pod
from control.services import terminals
from control.services.terminals import ALONE_SECONDS, IDLE_SECONDS, PERSON, Terminals
from tests.control.people_data import bearing, person, signed_in
from tests.control.terminal_data import Screen, entries, eventually, opened, place, process, send, town
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
            monkeypatch.setattr(access, "get_user", lambda _request: 1 / 0)
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
