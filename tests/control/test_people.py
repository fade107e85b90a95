"""People: roles given and taken, people added, disabled and enabled; by pages, and by commands."""

from __future__ import annotations

import re
import time

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from control.models import ApiToken, AuditEntry, RoleBinding
from control.services import people, tokens
from control.services.audit import Actor
from control.services.refusal import Refused
from tests.control.commands import Run, runner
from tests.control.people_data import PASSWORD, person, signed_in
from tests.control.test_contention import side_by_side

pytestmark = pytest.mark.django_db
BY = Actor("ada", "10.0.0.1")
HOSTILE = "<script>alert('x')</script>\"><img src=x>"


@pytest.fixture
def admin() -> Client:
    return signed_in(person("ada", {"": "superuser"}))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(monkeypatch, capsys)


def words(html: bytes) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html.decode()).split())


def of(name: str, doing: str = "") -> str:
    return f"/people/{User.objects.get(username=name).pk}" + (f"/{doing}" if doing else "")


def roles(name: str) -> dict[str, str]:
    return dict(RoleBinding.objects.filter(subject__username=name).values_list("namespace", "role"))


# --- the pages ---


def test_a_person_is_added_and_comes_in_with_the_password_that_was_shown(admin: Client) -> None:
    answer = admin.post("/people/add", {"name": "olga", "role": "operator", "namespace": "shop"})
    [made] = re.findall(r"<code>([\w-]{20})</code>", answer.content.decode())
    assert roles("olga") == {"shop": "operator"}
    assert made not in str(AuditEntry.objects.values())
    came = Client().post("/sign-in", {"username": "olga", "password": made})
    assert (came.status_code, came["Location"]) == (302, "/")
    assert "olga Active operator in shop password" in words(admin.get("/people").content)
    assert set(AuditEntry.objects.values_list("action", "actor")) >= {("user add", "ada"), ("role give", "ada")}


def test_roles_are_given_and_taken(admin: Client) -> None:
    person("olga", {"shop": "viewer"})
    assert admin.post(of("olga", "give"), {"role": "operator", "namespace": "shop"}).status_code == 302
    assert roles("olga") == {"shop": "operator"}
    assert admin.post(of("olga", "take"), {"role": "operator", "namespace": "shop"}).status_code == 302
    assert roles("olga") == {}
    entries = AuditEntry.objects.filter(action__startswith="role").values_list("action", "object", "detail")
    assert set(entries) == {
        ("role give", "User olga", "operator in namespace shop"),
        ("role take", "User olga", "operator in namespace shop"),
    }


@pytest.mark.parametrize(
    ("path", "given", "said"),
    [
        pytest.param("olga/give", {"role": "king"}, "there is no role", id="a role that is none"),
        pytest.param("olga/give", {"role": "viewer", "namespace": "No!"}, "is no name of a namespace", id="a place"),
        pytest.param("olga/take", {"role": "viewer"}, "olga is not viewer in all namespaces", id="not theirs"),
        pytest.param("ada/disable", {}, "ada is the only administrator", id="the last administrator"),
        pytest.param("ada/take", {"role": "admin"}, "ada is the only administrator", id="their role"),
        pytest.param("olga/second-factor-off", {}, "olga has no second factor", id="no second factor"),
        pytest.param("add", {"name": "olga"}, "user olga exists already", id="a name that is taken"),
        pytest.param("add", {"name": HOSTILE}, "is not valid", id="a name that is none"),
        pytest.param("add", {"name": "new", "role": "king"}, "there is no role", id="a new one with a wrong role"),
    ],
)
def test_what_is_refused_changes_nothing(admin: Client, path: str, given: dict[str, str], said: str) -> None:
    person("olga")
    name, _, doing = path.partition("/")
    answer = admin.post(of(name, doing) if doing else f"/people/{name}", given)
    assert (answer.status_code, said in words(answer.content)) == (409, True)
    assert set(User.objects.values_list("username", "is_active", "is_superuser")) == {
        ("ada", True, True), ("olga", True, False),
    }  # fmt: skip
    assert not RoleBinding.objects.exists()
    assert not AuditEntry.objects.exists()


def test_a_disabled_person_is_out_at_once_and_old_sessions_do_not_come_back(admin: Client) -> None:
    olga = person("olga", {"": "operator"})
    client = signed_in(olga)
    secret = tokens.make(olga, "ci", BY, time.time(), role="viewer")
    assert client.get("/").status_code == 200
    admin.post(of("olga", "disable"))
    assert client.get("/")["Location"].startswith("/sign-in")
    assert Client(headers={"Authorization": f"Bearer {secret}"}).get("/").status_code == 401
    assert not ApiToken.objects.exists()
    admin.post(of("olga", "enable"))
    assert client.get("/")["Location"].startswith("/sign-in")
    assert signed_in(olga).get("/").status_code == 200
    assert admin.get("/people").status_code == 200, "whoever did it is still signed in"


def test_a_new_password_ends_sessions(admin: Client) -> None:
    client = signed_in(person("olga", {"": "viewer"}))
    answer = admin.post(of("olga", "password"))
    assert "This is shown once" in words(answer.content)
    assert client.get("/")["Location"].startswith("/sign-in")


def test_names_are_shown_and_not_obeyed(admin: Client) -> None:
    person(HOSTILE, {"": "viewer"})
    for path in ("/people", of(HOSTILE), of(HOSTILE, "password")):
        answer = admin.post(path) if path.endswith("password") else admin.get(path)
        html = answer.content.decode()
        assert "alert" in html
        assert not re.search(r"<script>|<img", html)
    assert "&lt;script&gt;alert" in admin.get("/people").content.decode()


def test_only_administrators_are_offered_the_page(admin: Client) -> None:
    assert 'href="/people"' in admin.get("/account").content.decode()
    assert 'href="/people"' not in signed_in(person("o", {"": "operator"})).get("/account").content.decode()


@pytest.mark.parametrize("count", [1, 40])
def test_queries_do_not_grow(admin: Client, count: int) -> None:
    for number in range(count):
        person(f"p{number}", {"": "viewer", "shop": "admin"})
    with CaptureQueriesContext(connection) as queries:
        admin.get("/people")
    assert len(queries) <= 8, [one["sql"][:100] for one in queries]


# --- the last administrator ---


def test_whoever_is_administrator_by_role_counts_and_who_is_disabled_does_not() -> None:
    person("ada", {"": "superuser"})
    person("bea", {"": "admin"})
    person("cid", {"": "superuser"}, is_active=False)
    people.take("ada", "admin", "", BY)
    assert not User.objects.get(username="ada").is_superuser
    for doing in (
        lambda: people.disable("bea", BY), lambda: people.remove("bea", BY),
        lambda: people.take("bea", "admin", "", BY), lambda: people.give("bea", "viewer", "", BY),
    ):  # fmt: skip
        with pytest.raises(Refused, match="bea is the only administrator"):
            doing()
    assert roles("bea") == {"": "admin"}
    people.enable("cid", BY)
    people.remove("bea", BY)


@pytest.mark.django_db(transaction=True)
def test_two_who_demote_each_other_at_the_same_time_do_not_both() -> None:
    person("ada", {"": "superuser"})
    person("bea", {"": "admin"})
    errors = side_by_side(lambda: people.take("ada", "admin", "", BY), lambda: people.take("bea", "admin", "", BY))
    assert [type(one) for one in errors] == [Refused]


def test_sessions_of_others_are_left_alone() -> None:
    olga, vic = person("olga"), person("vic")
    signed_in(olga), signed_in(olga), signed_in(vic)
    assert people.end_sessions(olga) == 2
    assert Session.objects.count() == 1


# --- the commands ---


def test_the_commands_tell_the_same_story(run: Run) -> None:
    assert "They may do nothing yet: user role give olga viewer" in run("user", "add", "olga").err
    assert run("user", "role", "give", "olga", "operator", "-n", "shop").out == "user/olga is operator in shop\n"
    assert run("user", "role", "give", "olga", "viewer").out == "user/olga is viewer of all\n"
    assert run("user", "list").lines[1][:4] == ["olga", "Active", "viewer of all, operator in shop", "password"]
    assert run("user", "role", "take", "olga", "viewer").out == "user/olga is no more viewer of all\n"
    refused = run("user", "role", "take", "olga", "viewer")
    assert (refused.code, "olga is not viewer in all namespaces" in refused.err) == (1, True)
    assert "disabled" in run("user", "disable", "olga").out
    assert not User.objects.get().is_active
    assert run("user", "enable", "olga").code == 0
    assert run("user", "role", "give", "olga", "king").code == 2
    assert "user nobody does not exist" in run("user", "disable", "nobody").err


def test_tokens_by_command(run: Run) -> None:
    assert run("user", "add", "olga", "--role", "operator", "-n", "shop").err == ""
    refused = run("user", "token", "make", "olga", "ci")
    assert "olga is not viewer for all namespaces" in refused.err
    made = run("user", "token", "make", "olga", "ci", "--role", "operator", "-n", "shop", "--days", "7").out.split()[0]
    assert tokens.use(made, time.time()) is not None
    [_, line] = run("user", "token", "list", "olga").lines
    assert [cell.strip() for cell in line[:3]] == ["ci", f"{made[:8]}...", "operator in shop"]
    assert run("user", "token", "revoke", "olga", "ci").code == 0
    assert tokens.use(made, time.time()) is None
    assert run("user", "token", "list", "olga").err == "No tokens of olga.\n"
    assert "has no token ci" in run("user", "token", "revoke", "olga", "ci").err


def test_a_password_by_command_is_shown_once(run: Run) -> None:
    person("olga")
    shown = run("user", "password", "olga").out
    assert User.objects.get().check_password(shown.split("password ")[1].split()[0])
    assert not User.objects.get().check_password(PASSWORD)
