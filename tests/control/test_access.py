"""Every route with every kind of person and token, against a table; what is not made by `access` fails."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.http import Http404
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from control.dashboard import access
from control.dashboard.access import Need
from control.models import ROLES, ApiToken, AuditEntry, Deployment
from control.selectors.rights import Rights
from control.services import tokens
from control.services.audit import Actor
from tests.control import factories, pages_data
from tests.control.people_data import KINDS, bearing, person, signed_in

SESSION_COOKIE = "pierhead_session"
PUBLIC = {"healthz", "sign-in", "sign-in/code", "sign-in/openid", "sign-in/openid/callback"}
"""Routes for strangers. Whoever adds one says here that it is meant so."""

# What each kind of person gets: + it is answered, - refused (403), ? there is no such page (404).
#                              none elsewhere-v/a  viewer op admin   all: viewer op admin super
TABLE = {
    ("", "*"): "+ + + + + + + + + +",
    ("viewer", "*"): "- + + + + + + + + +",
    ("viewer", "here"): "- ? ? + + + + + + +",
    ("viewer", ""): "- - - - - - + + + +",
    ("operator", "here"): "- ? ? - + + - + + +",
    ("operator", ""): "- - - - - - - + + +",
    ("admin", "here"): "- ? ? - - + - - + +",
    ("admin", ""): "- - - - - - - - + +",
}


def routes(patterns: list[Any], prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for one in patterns:
        if isinstance(one, URLResolver):
            yield from routes(one.url_patterns, prefix + str(one.pattern))
        else:
            yield prefix + str(one.pattern), one


ALL = dict(routes(get_resolver().url_patterns))
GUARDED = sorted(set(ALL) - PUBLIC)


@dataclass(frozen=True)
class Visitor:
    person: User
    session: str

    def client(self) -> Client:
        """A browser of theirs that has been signed in."""
        made = Client()
        made.cookies[SESSION_COOKIE] = self.session
        return made


def need(route: str) -> Need:
    found = getattr(ALL[route].callback, "need", None)
    assert isinstance(found, Need), f"/{route} was not made by page, action, admin or own"
    return found


def row(asked: Need) -> str:
    return TABLE[asked.role, "here" if asked.place in ("namespace", "scope") else asked.place]


FILLED = {"namespace": "shop", "commit": factories.COMMITS[2], "number": "1"}


def address(route: str) -> str:
    """An address of something that exists: Deployment, application, pod, service and node are all called `api`."""
    return "/" + re.sub(r"<[^>]*?(\w+)>", lambda found: FILLED.get(found[1], "api"), route)


def answer(client: Client, route: str) -> str:
    response = client.get(address(route))
    hidden = response.status_code == 404 and b"There is no such page." in response.content
    return "-" if response.status_code == 403 else "?" if hidden else "+"


@pytest.fixture(scope="module")
def everybody(django_db_setup: None, django_db_blocker: Any) -> Iterator[dict[str, Visitor]]:
    """A shop, and one person of each kind who has signed in: made once, in a transaction around those of all tests
    here. Each test begins with these rows and takes back what it adds."""
    atomic = transaction.atomic()
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(factories, "NOW", time.time())
        with django_db_blocker.unblock():
            atomic.__enter__()
            pin = {"commit": "a" * 40, "skipped_commit": "b" * 40, "by": "ada", "reason": "rolled back by ada"}
            User.objects.create_user("api", pk=1)
            pages_data.rolled_back(factories.application("api", namespace="shop", pin=pin))
            factories.node("api"), factories.pod(name="api"), factories.service("api")
            found = {kind: visitor(kind, roles) for kind, roles in KINDS.items()}
        yield found
        with django_db_blocker.unblock():
            transaction.set_rollback(True)
            atomic.__exit__(None, None, None)


def visitor(kind: str, roles: dict[str, str]) -> Visitor:
    who = person(kind, roles)
    return Visitor(who, signed_in(who).cookies[SESSION_COOKIE].value)


@pytest.fixture
def shop(everybody: dict[str, Visitor], db: None) -> dict[str, Visitor]:
    return everybody


# --- every route ---


@pytest.mark.parametrize("route", sorted(ALL))
def test_every_route_says_what_it_needs(route: str) -> None:
    assert route in PUBLIC or row(need(route))


@pytest.mark.parametrize("route", GUARDED)
def test_every_route_with_every_person(shop: dict[str, Visitor], route: str) -> None:
    found = {kind: answer(who.client(), route) for kind, who in shop.items()}
    assert found == dict(zip(KINDS, row(need(route)).split(), strict=True))


@pytest.mark.parametrize("route", GUARDED)
def test_every_route_with_a_token_of_every_person(shop: dict[str, Visitor], route: str) -> None:
    """A token of as much as its owner may is answered as its owner is, where tokens are taken at all."""
    expected = dict(zip(KINDS, row(need(route)).split(), strict=True))
    for kind, roles in KINDS.items():
        for namespace, role in roles.items():
            wanted = "admin" if role == "superuser" else role
            client = bearing(shop[kind].person, role=wanted, namespace=namespace)
            if need(route).tokens:
                assert answer(client, route) == expected[kind], kind
            else:
                assert client.get(address(route)).status_code == 401, kind


@pytest.mark.parametrize("route", GUARDED)
def test_strangers_and_disabled_people_are_led_to_the_form(shop: None, route: str) -> None:
    disabled = person("gone", {"": "admin"})
    client = signed_in(disabled)
    User.objects.filter(pk=disabled.pk).update(is_active=False)
    for one, method in itertools.product((Client(), client), ("get", "post")):
        response = getattr(one, method)(address(route))
        assert response.status_code == 302, method
        assert response["Location"].startswith("/sign-in?next=/"), method


@pytest.mark.parametrize("route", [one for one in GUARDED if need(one).place in ("namespace", "scope")])
def test_what_one_may_not_know_of_looks_like_what_does_not_exist(shop: None, route: str) -> None:
    client = signed_in(person("bob", {"other": "admin"}))
    there, missing = address(route), address(route).replace("/api", "/nothing")
    assert there != missing
    answers = [client.get(path) for path in (there, missing)]
    assert [one.status_code for one in answers] == [404, 404]
    assert len({re.sub(rb'value="[^"]*"', b"", one.content) for one in answers}) == 1


# --- what is said ---


def test_who_has_no_role_is_told_where_one_comes_from(shop: None) -> None:
    text = signed_in(person("bob")).get("/").content.decode()
    assert "bob has no role yet. An administrator gives one" in text


def test_who_may_look_and_not_act_is_told(shop: None) -> None:
    response = signed_in(person("vic", {"shop": "viewer"})).post("/workloads/shop/api/undo", {"revision": "1"})
    assert response.status_code == 403
    assert "vic may look and not act: that takes the role operator in namespace shop." in response.content.decode()
    assert Deployment.objects.get().pin["revision"] == 2


def test_an_operator_of_one_namespace_acts_there(shop: None) -> None:
    client = signed_in(person("olga", {"shop": "operator", "other": "viewer"}))
    assert client.post("/workloads/shop/api/resume").status_code == 302
    assert AuditEntry.objects.get(action="rollout resume").actor == "olga"


def test_a_name_is_shown_and_not_obeyed(shop: None) -> None:
    client = signed_in(person("<script>alert(1)</script>"))
    html = client.get("/").content.decode()
    assert "<script>alert" not in html
    assert "&lt;script&gt;" in html


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("path", ["/find?words=%00", "/workloads/shop/%00", "/applications/%00/sync", "/events?a=%00"])
def test_what_a_database_cannot_look_for_is_no_question(shop: None, path: str, method: str) -> None:
    """PostgreSQL breaks off at a NUL character."""
    answer = getattr(signed_in(person("olga", {"": "admin"})), method)(path)
    assert (answer.status_code, "holds a NUL character" in answer.content.decode()) == (400, True)


def test_a_form_with_a_nul_character_is_no_form(shop: None) -> None:
    client = signed_in(person("olga", {"": "admin"}))
    assert client.post("/workloads/shop/api/undo", {"seen": "a\0b"}).status_code == 400


# --- tokens ---


def token(owner: User, **fields: Any) -> str:
    given = {"role": "operator", "name": "ci", "now": time.time(), **fields}
    return tokens.make(owner, given.pop("name"), Actor("test"), given.pop("now"), **given)


def with_token(secret: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {secret}"}, enforce_csrf_checks=True)


def test_a_token_acts_without_session_and_csrf_token_and_is_named_in_the_audit(shop: None) -> None:
    client = with_token(token(person("olga", {"shop": "operator"}), namespace="shop"))
    assert client.post("/workloads/shop/api/resume").status_code == 302
    assert AuditEntry.objects.get(action="rollout resume").actor == "olga (token ci)"


@pytest.mark.parametrize(
    ("role", "namespace", "got"),
    [
        pytest.param("operator", "", "+", id="as much as its owner"),
        pytest.param("operator", "shop", "+", id="one namespace of its owner's"),
        pytest.param("viewer", "", "-", id="looks only"),
        pytest.param("operator", "other", "?", id="another namespace"),
    ],
)
def test_a_token_is_less_than_its_owner(shop: None, role: str, namespace: str, got: str) -> None:
    client = bearing(person("olga", {"": "operator"}), role=role, namespace=namespace)
    assert answer(client, "workloads/<str:namespace>/<str:name>/undo") == got


def test_a_token_shrinks_with_its_owner(shop: None) -> None:
    owner = person("olga", {"shop": "operator"})
    client = bearing(owner, role="operator", namespace="shop")
    route = "workloads/<str:namespace>/<str:name>/undo"
    assert answer(client, route) == "+"
    owner.roles.update(role="viewer")
    assert answer(client, route) == "-"
    owner.roles.all().delete()
    assert answer(client, route) == "-"
    assert "has no role yet" in client.get("/").content.decode()


def test_what_is_no_token_opens_nothing_and_no_session_helps(shop: None) -> None:
    owner = person("ada", {"": "admin"})
    now = time.time()
    secret, old = token(owner), token(owner, name="old", now=now - 91 * 86400)
    disabled = token(person("gone", {"": "admin"}), name="x")
    User.objects.filter(username="gone").update(is_active=False)
    revoked = token(owner, name="revoked")
    tokens.revoke(owner, "revoked", Actor("test"))
    wrong = secret[:-1] + ("A" if secret[-1] != "A" else "B")
    for one in (old, disabled, revoked, wrong, "", "ph_", "ph_" + "a" * 5000, "ph_\u00e9", secret + " x"):
        client = signed_in(owner)
        response = client.get("/", headers={"Authorization": f"Bearer {one}"})
        assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer"), one
    assert with_token(secret).get("/").status_code == 200


def test_only_its_hash_is_kept_and_its_use_is_noted_once_a_minute(shop: None, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = token(person("olga", {"": "operator"}))
    kept = ApiToken.objects.get()
    assert secret not in str(ApiToken.objects.values()[0])
    assert secret.startswith(kept.hint)
    for at, noted in ((100.0, 100.0), (159.0, 100.0), (160.0, 160.0)):
        assert tokens.use(secret, at) is not None
        kept.refresh_from_db()
        assert kept.last_used_at == noted


def test_a_header_opens_no_way_around_csrf(shop: None) -> None:
    """A session that comes along with a bearer header is not used; where no token is taken, CSRF is checked first."""
    owner = person("ada", {"": "admin"})
    client = signed_in(owner, enforce_csrf_checks=True)
    assert client.post("/workloads/shop/api/resume", headers={"Authorization": "Bearer x"}).status_code == 401
    assert client.post("/sign-out", headers={"Authorization": "Bearer x"}).status_code == 403
    assert client.post("/sign-in", headers={"Authorization": f"Bearer {token(owner)}"}).status_code == 403


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param({"role": "admin"}, "olga is not admin for all namespaces", id="more than its owner"),
        pytest.param({"role": "admin", "namespace": "shop"}, "olga is not admin in namespace shop", id="more, there"),
        pytest.param({"role": "viewer"}, "olga is not viewer for all namespaces", id="everywhere"),
        pytest.param({"days": 367, "namespace": "shop"}, "a token lasts 1 to 366 days, not 367", id="too long"),
        pytest.param({"days": 0, "namespace": "shop"}, "1 to 366 days", id="not at all"),
        pytest.param({"name": "<b>", "namespace": "shop"}, "is not valid", id="a name"),
        pytest.param({"role": "king", "namespace": "shop"}, "there is no role 'king'", id="no role"),
    ],
)
def test_a_token_that_is_refused(shop: None, given: dict[str, Any], said: str) -> None:
    with pytest.raises(Exception, match=said):
        token(person("olga", {"shop": "operator"}), **given)
    assert not ApiToken.objects.exists()


# --- the rules ---

SLOWLY = hypothesis_settings(max_examples=300, deadline=None)
places = st.sampled_from(["", "shop", "other"])
some_rights = st.dictionaries(places, st.sampled_from(ROLES)).map(Rights)


@SLOWLY
@given(some_rights, st.sampled_from(ROLES), places, st.sampled_from(ROLES), places)
def test_a_part_of_rights_is_never_more(has: Rights, role: str, namespace: str, asked: str, where: str) -> None:
    part = has.within(role, namespace)
    if part.may(asked, where):
        assert has.may(asked, where)
        assert ROLES.index(asked) <= ROLES.index(role)
        assert namespace in ("", where)
    elif has.may(asked, where) and namespace in ("", where):
        assert ROLES.index(asked) > ROLES.index(role)


@SLOWLY
@given(some_rights)
def test_what_is_seen_is_where_one_may_look(has: Rights) -> None:
    seen = has.namespaces
    for where in ("shop", "other"):
        assert has.may("viewer", where) == (seen is None or where in seen)
    assert bool(has) == has.may("viewer") or bool(seen)


@pytest.mark.parametrize(
    ("roles", "seen", "acts"),
    [
        pytest.param({"shop": "viewer", "other": "operator"}, {"shop", "other"}, "no yes no", id="in two"),
        pytest.param({"": "viewer", "shop": "operator"}, None, "yes no no", id="looks everywhere"),
        pytest.param({"": "operator"}, None, "yes yes yes", id="acts everywhere"),
        pytest.param({}, set(), "no no no", id="nothing"),
    ],
)
def test_what_views_ask(shop: None, roles: dict[str, str], seen: set[str] | None, acts: str) -> None:
    request = RequestFactory().get("/")
    request.user = person("olga", roles)
    assert access.namespaces(request) == seen
    found = [access.may(request, "operator", "shop"), access.may(request, "operator", "other"), access.may_act(request)]
    assert found == [one == "yes" for one in acts.split()]


def test_a_scope_that_finds_nothing_is_a_page_that_is_not_there(shop: None) -> None:
    route = access.page("x/<str:name>", lambda request, name: None, "x", scope=lambda request, name: None)
    request = RequestFactory().get("/x/y")
    request.user = person("ada", {"": "admin"})
    with pytest.raises(Http404):
        route.callback(request, name="y")
