"""Coming in and going out: sessions, second factor, limits of guessing, one's own account."""

from __future__ import annotations

import re
import threading
import time
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection
from django.test import Client

from control.dashboard import attempts
from control.models import ApiToken, AuditEntry
from control.services import people
from control.services.audit import Actor
from tests.control.people_data import PASSWORD, person, signed_in

NEW = "a much longer breakwater"


def sign_in(client: Client, name: str = "ada", password: str = PASSWORD, **more: str) -> Any:
    return client.post("/sign-in", {"username": name, "password": password, **more})


def code(secret: str, step: int = 0) -> str:
    return str(format_hotp_value(hotp_value(secret, int(time.time()) // 30 + step)))


def turn_on(client: Client) -> tuple[str, list[str]]:
    """The secret, and the recovery codes that were shown."""
    [text] = re.findall(r'class="secret"><code>([A-Z2-7 ]+)<', client.get("/account/second-factor").content.decode())
    secret = text.replace(" ", "")
    answer = client.post("/account/second-factor", {"code": code(secret), "current": PASSWORD})
    assert answer.status_code == 200, answer.content
    return secret, re.findall(r"<li><code>(\d{8})</code>", answer.content.decode())


def is_in(client: Client) -> bool:
    return client.get("/account").status_code == 200


pytestmark = pytest.mark.django_db


# --- sessions ---


def test_signing_in_makes_a_new_session_and_signing_out_ends_it() -> None:
    person("ada", {"": "viewer"})
    client = Client()
    client.get("/sign-in")
    client.session.update({"planted": "before"})
    client.cookies["pierhead_session"] = planted = "a" * 32
    assert sign_in(client).status_code == 302
    key = client.cookies["pierhead_session"].value
    assert key != planted
    assert is_in(client)
    client.post("/sign-out")
    late = Client()
    late.cookies["pierhead_session"] = key
    assert not is_in(late), "a session used after logout"


def test_the_key_changes_where_a_session_was_there_before() -> None:
    """Session fixation: what an attacker had the browser use is worth nothing once somebody has come in with it."""
    person("ada", {"": "viewer"})
    client = Client()
    session = client.session
    session["planted"] = "before"
    session.save()
    client.cookies["pierhead_session"] = session.session_key
    sign_in(client)
    assert client.cookies["pierhead_session"].value != session.session_key
    attacker = Client()
    attacker.cookies["pierhead_session"] = session.session_key
    assert not is_in(attacker)


def test_unknown_wrong_and_disabled_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    person("ada"), person("gone", is_active=False)
    answers = [sign_in(Client(), *pair) for pair in (("ada", "wrong"), ("nobody", PASSWORD), ("gone", PASSWORD))]
    said = [re.findall(r'role="alert">([^<]*)<', one.content.decode()) for one in answers]
    assert [one.status_code for one in answers] == [200, 200, 200]
    assert said == [["The name or the password is not right."]] * 3


def test_each_of_them_hashes_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a name exists cannot be told from the time that an answer takes."""
    from django.contrib.auth.hashers import MD5PasswordHasher

    person("ada"), person("gone", is_active=False)
    hashed: list[str] = []
    encode = MD5PasswordHasher.encode
    monkeypatch.setattr(MD5PasswordHasher, "encode", lambda self, *a: hashed.append("") or encode(self, *a))
    counts = []
    for pair in (("ada", "wrong"), ("nobody", "wrong"), ("gone", "wrong"), ("gone", PASSWORD)):
        hashed.clear()
        sign_in(Client(), *pair)
        counts.append(len(hashed))
    assert counts == [1, 1, 1, 1]


def test_a_token_of_the_form_is_needed() -> None:
    person("ada")
    assert sign_in(Client(enforce_csrf_checks=True)).status_code == 403


def test_the_pages_of_allauth_are_not_there() -> None:
    person("ada", {"": "admin"})
    client = Client()
    sign_in(client)
    for path in ("signup/", "accounts/signup/", "accounts/login/", "accounts/password/reset/", "accounts/email/"):
        assert client.get(f"/{path}").status_code == 404


# --- limits ---


@pytest.mark.django_db(transaction=True)
def test_guesses_at_the_same_time_are_counted_as_well() -> None:
    person("ada")
    answers: list[int] = []
    together = threading.Barrier(12)

    def guess() -> None:
        together.wait()
        answers.append(sign_in(Client(), password="wrong").status_code)
        connection.close()

    threads = [threading.Thread(target=guess) for _ in range(12)]
    [one.start() for one in threads], [one.join() for one in threads]
    assert answers.count(200) <= attempts.FAILURES_OF_PAIR
    assert set(answers) == {200, 429}


@pytest.mark.django_db(transaction=True)
def test_codes_at_the_same_time_are_counted_as_well() -> None:
    person("ada")
    cache.clear()
    first = Client()
    sign_in(first)
    turn_on(first)
    waiting = Client()
    sign_in(waiting)
    answers: list[int] = []
    together = threading.Barrier(10)

    def guess(number: int) -> None:
        client = Client()
        client.cookies = waiting.cookies
        together.wait()
        answers.append(client.post("/sign-in/code", {"code": f"99999{number}"}).status_code)
        connection.close()

    threads = [threading.Thread(target=guess, args=(number,)) for number in range(10)]
    [one.start() for one in threads], [one.join() for one in threads]
    assert answers.count(200) <= 5
    assert set(answers) == {200, 429}


def test_confirming_a_password_is_limited_too() -> None:
    client = signed_in(person("ada"))
    given = {"current": "wrong", "new": NEW, "again": NEW}
    codes = [client.post("/account/password", given).status_code for _ in range(6)]
    assert codes == [400] * 5 + [429]
    assert client.post("/account/password", {**given, "current": PASSWORD}).status_code == 429


# --- the second factor ---


def test_with_a_second_factor_the_password_is_not_enough() -> None:
    person("ada", {"": "viewer"})
    client = Client()
    sign_in(client)
    secret, codes = turn_on(client)
    assert len(codes) == 10
    assert secret not in str(Authenticator.objects.values_list("data"))
    other = Client()
    assert sign_in(other, next="/account")["Location"] == "/sign-in/code"
    assert not is_in(other)
    assert AuditEntry.objects.filter(action=attempts.FAILED).count() == 1, "not in yet"
    wrong = other.post("/sign-in/code", {"code": "000000"})
    assert "That code is not right" in wrong.content.decode()
    assert other.post("/sign-in/code", {"code": code(secret, 1)})["Location"] == "/account"
    assert is_in(other)
    assert set(AuditEntry.objects.values_list("action", flat=True)) == {
        attempts.SIGNED_IN, attempts.WRONG_CODE, "second factor on",
    }  # fmt: skip


def test_a_code_lets_in_once_and_so_does_a_recovery_code() -> None:
    person("ada")
    client = Client()
    sign_in(client)
    secret, codes = turn_on(client)
    for given in (code(secret, 1), codes[3]):
        found = []
        for _ in range(2):
            other = Client()
            sign_in(other)
            other.post("/sign-in/code", {"code": given})
            found.append(is_in(other))
        assert found == [True, False], given


def test_the_code_is_asked_only_after_the_password() -> None:
    person("ada")
    assert Client().get("/sign-in/code")["Location"] == "/sign-in"
    assert Client().post("/sign-in/code", {"code": "123456"})["Location"] == "/sign-in"


def test_who_is_disabled_between_password_and_code_stays_out() -> None:
    ada = person("ada")
    person("bea", {"": "superuser"})
    client = Client()
    sign_in(client)
    secret, _ = turn_on(client)
    other = Client()
    sign_in(other)
    people.disable("ada", Actor("bea"))
    answer = other.post("/sign-in/code", {"code": code(secret, 1)})
    assert "The name or the password is not right." in answer.content.decode()
    people.enable("ada", Actor("bea"))
    assert not is_in(other)
    assert not AuditEntry.objects.filter(action=attempts.SIGNED_IN, source="10.0.0.1").exists()
    assert ada.authenticator_set.count() == 2


def test_who_is_removed_between_password_and_code_is_led_back() -> None:
    person("ada")
    client = Client()
    sign_in(client)
    turn_on(client)
    other = Client()
    sign_in(other)
    User.objects.all().delete()
    assert other.post("/sign-in/code", {"code": "000000"})["Location"] == "/sign-in"


def test_turning_it_on_takes_the_password_and_the_first_code() -> None:
    client = signed_in(person("ada"))
    html = client.get("/account/second-factor").content.decode()
    secret = re.findall(r'class="secret"><code>([A-Z2-7 ]+)<', html)[0].replace(" ", "")
    picture = client.get("/account/second-factor.svg")
    assert (picture["Content-Type"], picture.content[:5]) == ("image/svg+xml", b"<?xml")
    assert b"style" not in picture.content
    for given in ({"code": code(secret), "current": "wrong"}, {"code": "000000", "current": PASSWORD}):
        answer = client.post("/account/second-factor", given)
        assert answer.status_code == 400
        assert secret[:4] in answer.content.decode(), "the same secret: it may have been scanned already"
    assert not Authenticator.objects.exists()
    assert client.get("/account/second-factor.svg").status_code == 200


def test_new_recovery_codes_and_off() -> None:
    client = signed_in(person("ada"))
    _, codes = turn_on(client)
    assert client.get("/account/second-factor.svg").status_code == 404, "the secret is not shown again"
    assert client.post("/account/second-factor/codes", {"current": "wrong"}).status_code == 400
    again = client.post("/account/second-factor/codes", {"current": PASSWORD}).content.decode()
    assert len(set(re.findall(r"<li><code>(\d{8})</code>", again)) - set(codes)) == 10
    assert client.post("/account/second-factor/off", {"current": "wrong"}).status_code == 400
    assert client.post("/account/second-factor/off", {"current": PASSWORD}).status_code == 302
    assert not Authenticator.objects.exists()
    assert AuditEntry.objects.filter(action="second factor off").exists()


def test_an_administrator_turns_it_off_for_who_lost_their_phone() -> None:
    person("ada")
    client = Client()
    sign_in(client)
    turn_on(client)
    people.forget_second_factor("ada", Actor("bea"))
    other = Client()
    sign_in(other)
    assert is_in(other)


# --- one's own account ---


def test_a_new_password_ends_other_sessions() -> None:
    person("ada")
    here, there = Client(), Client()
    sign_in(here), sign_in(there)
    given = {"current": PASSWORD, "new": NEW, "again": NEW}
    assert "The two are not the same." in here.post("/account/password", {**given, "again": "x"}).content.decode()
    assert "too short" in here.post("/account/password", {**given, "new": "x", "again": "x"}).content.decode()
    assert here.post("/account/password", given).status_code == 302
    assert (is_in(here), is_in(there)) == (True, False)
    assert User.objects.get().check_password(NEW)


def test_sessions_are_listed_and_ended() -> None:
    person("ada"), person("bea")
    here, there, hers = Client(headers={"User-Agent": "<b>Here"}), Client(), Client()
    sign_in(here), sign_in(there), sign_in(hers, "bea")
    html = here.get("/account").content.decode()
    assert html.count("127.0.0.1") == 2
    assert "&lt;b&gt;Here" in html
    answer = here.post("/account/sessions/end", follow=True)
    assert "Signed out elsewhere: 1." in answer.content.decode()
    assert (is_in(here), is_in(there), is_in(hers)) == (True, False, True)


def test_a_token_is_made_shown_once_and_revoked() -> None:
    client = signed_in(person("olga", {"shop": "operator"}))
    given = {"name": "ci", "role": "operator", "namespace": "shop", "days": "30"}
    answer = client.post("/account/tokens/make", given)
    [secret] = re.findall(r"<code>(ph_[\w-]{43})</code>", answer.content.decode())
    assert "no-store" in answer["Cache-Control"]
    assert secret not in client.get("/account").content.decode()
    assert "has a token ci already" in client.post("/account/tokens/make", given).content.decode()
    assert "olga is not admin in namespace shop" in (
        client.post("/account/tokens/make", {**given, "name": "x", "role": "admin"}).content.decode()
    )
    assert client.post("/account/tokens/make", {**given, "days": "367"}).status_code == 400
    client.post("/account/tokens/ci/revoke")
    assert not ApiToken.objects.exists()
    assert list(AuditEntry.objects.order_by("pk").values_list("action", flat=True)) == ["token make", "token revoke"]


def test_nobody_revokes_what_is_not_theirs() -> None:
    client = signed_in(person("olga", {"": "viewer"}))
    client.post("/account/tokens/make", {"name": "ci", "role": "viewer", "days": "30"})
    signed_in(person("mal", {"": "admin"})).post("/account/tokens/ci/revoke")
    assert ApiToken.objects.count() == 1


def test_who_has_no_role_has_an_account_and_is_told() -> None:
    html = signed_in(person("ada")).get("/account").content.decode()
    assert "You have no role yet" in html
    assert "A new token" not in html
