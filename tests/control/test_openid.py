"""Signing in with OpenID Connect, against a provider that a thread plays on this machine."""

from __future__ import annotations

import http.server
import json
import re
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import User
from django.test import Client

from control import openid
from control.data import DataError
from control.models import AuditEntry, RoleBinding
from control.services import people
from control.services.audit import Actor
from tests.control.people_data import PASSWORD, person

pytestmark = pytest.mark.django_db
SECRET = "a secret of this client, and long enough for HS256"
GIVEN = {
    "PIERHEAD_OIDC_ISSUER": "https://id.example.com/realms/main/",
    "PIERHEAD_OIDC_CLIENT_ID": "pierhead",
    "PIERHEAD_OIDC_CLIENT_SECRET": SECRET,
}


class Provider(http.server.ThreadingHTTPServer):
    """`claims` is who is signed in there; `asked` what the token endpoint was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.issuer = f"http://127.0.0.1:{self.server_port}"
        self.claims: dict[str, Any] = {"sub": "1234", "preferred_username": "olga"}
        self.asked: dict[str, list[str]] = {}
        self.audience = "pierhead"

    def answer(self, path: str) -> dict[str, Any]:
        ends = {"authorization_endpoint": "authorize", "token_endpoint": "token", "userinfo_endpoint": "me"}
        match path:
            case "/.well-known/openid-configuration":
                found = {name: f"{self.issuer}/{end}" for name, end in ends.items()}
                return {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys", **found}
            case "/token":
                now = int(time.time())
                said = {**self.claims, "iss": self.issuer, "aud": self.audience, "iat": now, "exp": now + 60}
                return {"access_token": "x", "token_type": "Bearer", "id_token": jwt.encode(said, SECRET, "HS256")}
            case _:
                return self.claims


class _Answers(http.server.BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        self._say(self.server.answer(self.path))

    def do_POST(self) -> None:
        self.server.asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self._say(self.server.answer(self.path))

    def _say(self, found: dict[str, Any]) -> None:
        body = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def provider(settings: Any) -> Iterator[Provider]:
    server = Provider()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found = openid.provider({**GIVEN, "PIERHEAD_OIDC_ISSUER": server.issuer, "PIERHEAD_OIDC_NAME": "Harbour ID"})
    settings.OPENID, settings.SOCIALACCOUNT_PROVIDERS = found, openid.allauth_settings(found)
    yield server
    server.shutdown()
    server.server_close()


def go(client: Client, **asked: str) -> dict[str, str]:
    """To the provider; what it is asked."""
    answer = client.get("/sign-in/openid", asked)
    assert answer.status_code == 302, answer.content
    return {name: value for name, [value] in parse_qs(urlsplit(answer["Location"]).query).items()}


def come_back(client: Client, state: str, **more: str) -> Any:
    return client.get("/sign-in/openid/callback", {"code": "abc", "state": state, **more})


def came_in(client: Client, **asked: str) -> Any:
    return come_back(client, go(client, **asked)["state"])


def test_a_new_person_comes_in_without_a_role_and_is_told(provider: Provider) -> None:
    client = Client()
    asked = go(client, next="/account")
    assert asked["client_id"] == "pierhead"
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"] == "http://testserver/sign-in/openid/callback"
    assert come_back(client, asked["state"])["Location"] == "/account"
    assert provider.asked["code_verifier"]
    row = User.objects.get()
    assert (row.username, row.has_usable_password(), row.is_superuser, row.email) == ("olga", False, False, "")
    assert not RoleBinding.objects.exists()
    told = client.get("/")
    assert told.status_code == 403
    assert "olga has no role yet. An administrator gives one" in told.content.decode()
    assert "both are kept there" in client.get("/account").content.decode()
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.detail) == ("sign-in", "olga", "OpenID Connect")


def test_the_same_person_again_with_the_role_that_they_have_now(provider: Provider) -> None:
    came_in(Client())
    people.give("olga", "viewer", "", Actor("ada"))
    provider.claims["preferred_username"] = "olga-married"
    client = Client()
    came_in(client)
    assert client.get("/").status_code == 200
    assert User.objects.count() == SocialAccount.objects.count() == 1


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        pytest.param({"preferred_username": "admin"}, r"admin\d+", id="a name that somebody has"),
        pytest.param({"preferred_username": "ADMIN"}, r"admin\d+", id="in capitals"),
        pytest.param({"email": "admin@example.com", "email_verified": True}, r"admin\d+", id="an address"),
        pytest.param({"preferred_username": "<b>\"'/"}, "b", id="hardly a name"),
        pytest.param({}, "user", id="none"),
    ],
)
def test_nobody_becomes_who_is_there_already(provider: Provider, claims: dict[str, Any], name: str) -> None:
    person("admin", {"": "superuser"}, email="admin@example.com")
    provider.claims = {"sub": "666", **claims}
    client = Client()
    came_in(client)
    made = User.objects.get(socialaccount__uid="666")
    assert not made.is_superuser
    assert re.fullmatch(name, made.username)
    assert client.get("/people").status_code == 403


def test_a_disabled_person_stays_out(provider: Provider) -> None:
    came_in(Client())
    User.objects.update(is_active=False)
    client = Client()
    answer = came_in(client)
    assert (answer.status_code, "is not right" in answer.content.decode()) == (403, True)
    assert client.get("/account").status_code == 302


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"state": "forged"}, id="a state that we did not give"),
        pytest.param({"error": "access_denied"}, id="somebody changed their mind"),
    ],
)
def test_what_comes_back_wrong_is_refused(provider: Provider, wrong: dict[str, str]) -> None:
    client = Client()
    answer = come_back(client, **{"state": go(client)["state"], **wrong})
    assert (answer.status_code, "did not say who you are" in answer.content.decode()) == (401, True)
    assert not User.objects.exists()


def test_a_state_counts_once_and_in_its_own_browser(provider: Provider) -> None:
    client = Client()
    state = go(client)["state"]
    assert come_back(Client(), state).status_code == 401
    assert come_back(client, state).status_code == 302
    assert come_back(Client(), state).status_code == 401


def test_a_token_for_another_client_is_refused(provider: Provider) -> None:
    provider.audience = "another"
    assert came_in(Client()).status_code == 401
    assert not User.objects.exists()


def test_a_link_joins_no_accounts(provider: Provider) -> None:
    """`process=connect` would give whoever is signed in at the provider the account that is signed in here."""
    person("admin", {"": "superuser"})
    client = Client()
    client.post("/sign-in", {"username": "admin", "password": PASSWORD})
    assert client.get("/sign-in/openid", {"process": "connect"})["Location"] == "/"
    stranger = Client()
    state = go(stranger, process="connect", scope="admin", auth_params="prompt=none")["state"]
    stranger.post("/sign-in", {"username": "admin", "password": PASSWORD})
    come_back(stranger, state)
    assert not SocialAccount.objects.filter(user__username="admin").exists()


def test_a_provider_that_does_not_answer_is_said(provider: Provider, settings: Any) -> None:
    found = openid.provider({**GIVEN, "PIERHEAD_OIDC_ISSUER": "http://127.0.0.1:1"})
    settings.OPENID, settings.SOCIALACCOUNT_PROVIDERS = found, openid.allauth_settings(found)
    answer = Client().get("/sign-in/openid")
    assert (answer.status_code, "does not answer" in answer.content.decode()) == (502, True)


def test_the_button_is_there_when_a_provider_is(provider: Provider, settings: Any) -> None:
    html = Client().get("/sign-in?next=/account").content.decode()
    assert 'href="/sign-in/openid?next=%2Faccount">Sign in with Harbour ID</a>' in html
    settings.OPENID = None
    assert "Sign in with" not in Client().get("/sign-in").content.decode()
    assert Client().get("/sign-in/openid").status_code == 404
    assert Client().get("/sign-in/openid/callback").status_code == 404


def test_nobody_without_a_password_gets_a_second_factor_here(provider: Provider) -> None:
    client = Client()
    came_in(client)
    assert client.get("/account/second-factor").status_code == 404
    assert client.post("/account/password", {}).status_code == 404


# --- settings ---


def test_the_settings_are_read(tmp_path: Any) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    found = openid.provider(
        {**GIVEN, "PIERHEAD_OIDC_CLIENT_SECRET": "", "PIERHEAD_OIDC_CLIENT_SECRET_FILE": str(tmp_path / "secret")}
    )
    assert found == openid.Provider("https://id.example.com/realms/main", "pierhead", "from a file")
    assert "from a file" not in repr(found)
    assert openid.provider({}) is None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        pytest.param({"PIERHEAD_OIDC_CLIENT_ID": ""}, "PIERHEAD_OIDC_CLIENT_ID must be set too", id="a part"),
        pytest.param({"PIERHEAD_OIDC_ISSUER": "http://id.example.com"}, "must begin with https://", id="no TLS"),
        pytest.param({"PIERHEAD_OIDC_ISSUER": "id.example.com"}, "is no address", id="no address"),
    ],
)
def test_settings_that_are_refused(wrong: dict[str, str], said: str) -> None:
    with pytest.raises(DataError, match=said):
        openid.provider({**GIVEN, **wrong})
