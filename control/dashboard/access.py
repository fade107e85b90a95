"""Who may see a page, and who may press its buttons: the only way to a page.

Deny by default: a route of the dashboard is made by one of these and by nothing else, except for those that strangers
need in order to sign in. A test walks every route and fails for one that was made otherwise.

    own(route, view, name)      whoever has signed in, about themselves; role or not
    page(route, view, name)     viewer: in the route's `namespace`; without one, of anything at all, and the view
                                shows what `namespaces(request)` holds; `of_all=True`: viewer of all namespaces, for
                                what belongs to none
    action(route, view, name)   operator: in the route's `namespace`; without one, in all
    admin(route, view, name)    administrator: in the route's `namespace`; without one, of all

`scope` finds the namespaces of a route that names none: `scope(request, **arguments)` holds them, or is None when there
is no such object; the role is needed in each. What exists in a namespace where somebody has no role is not there for
them: they get the page of an address that leads nowhere, as for an object that does not exist. Who may look and not act
is told so.

An API token (`Authorization: Bearer ph_...`) opens pages and actions, without session and without CSRF token; with
`tokens=True` also what is for administrators. Never what is `own`: a token makes no tokens and changes no password.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, cast

from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render, resolve_url
from django.urls import URLPattern, path
from django.views.decorators.cache import never_cache
from django_htmx.http import HttpResponseClientRedirect

from control.dashboard import bearer
from control.models import ADMIN, OPERATOR, VIEWER
from control.selectors.rights import EVERYWHERE, Rights, rights_of
from control.selectors.spans import span_of

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from control.services.audit import Actor

View = Callable[..., HttpResponseBase]
Scope = Callable[..., Collection[str] | None]
ANYWHERE = "*"
_KEPT = "_pierhead_rights"


@dataclass(frozen=True, slots=True)
class Need:
    """What a route asks for: a role ("" for its own pages), where, and whether a token will do.

    `place` is "namespace" or "scope" when the address says where, "" for all namespaces, "*" for any one.
    """

    role: str
    place: str
    tokens: bool


def own(route: str, view: View, name: str) -> URLPattern:
    return _route(route, view, name, Need("", ANYWHERE, tokens=False))


def page(route: str, view: View, name: str, *, scope: Scope | None = None, of_all: bool = False) -> URLPattern:
    place = EVERYWHERE if of_all else _place(route, scope) or ANYWHERE
    return _route(route, view, name, Need(VIEWER, place, tokens=True), scope)


def action(route: str, view: View, name: str, *, scope: Scope | None = None) -> URLPattern:
    return _route(route, view, name, Need(OPERATOR, _place(route, scope), tokens=True), scope)


def admin(route: str, view: View, name: str, *, tokens: bool = False) -> URLPattern:
    return _route(route, view, name, Need(ADMIN, _place(route, None), tokens))


def of_application(_request: HttpRequest, name: str, **_more: Any) -> Collection[str] | None:
    """The `scope` of routes whose `name` is an application's: it is seen, and changed, with all that it holds."""
    return span_of(name)


def may(request: HttpRequest, role: str, namespace: str = EVERYWHERE) -> bool:
    """Whether whoever asks has at least `role` in `namespace`; without one: in all of them."""
    return rights(request).may(role, namespace)


def may_act(request: HttpRequest) -> bool:
    return may(request, OPERATOR)


def namespaces(request: HttpRequest) -> frozenset[str] | None:
    """The namespaces that whoever asks may look into; None: all. What belongs to no namespace (nodes) takes None."""
    return rights(request).namespaces


def rights(request: HttpRequest) -> Rights:
    """Read once for a request."""
    found = getattr(request, _KEPT, None)
    if not isinstance(found, Rights):
        found = rights_of(request.user)
        setattr(request, _KEPT, found)
    return found


def still_may(request: HttpRequest, role: str = "", namespace: str = EVERYWHERE) -> Callable[[], bool]:
    """For what lasts longer than a request: the session or the token, and the roles, are read anew at each call.

    Without a `role`: whether whoever asked may still see anything at all.
    """

    def look() -> bool:
        now = HttpRequest()
        now.META = request.META
        if bearer.is_borne(now):
            found = bearer.authenticate(now) or Rights()
        else:
            now.session = type(request.session)(request.session.session_key)
            found = rights_of(get_user(now))
        return found.may(role, namespace) if role else bool(found)

    return look


def powers(request: HttpRequest) -> dict[str, bool]:
    """Context processor: what the bar of every page offers. A request that failed early has no person yet."""
    return {"may_administer": hasattr(request, "user") and may(request, ADMIN)}


def person(request: HttpRequest) -> User:
    """Whoever asks, on a page that no stranger gets."""
    return cast("User", request.user)


def actor(request: HttpRequest) -> Actor:
    """Whoever asks, for the audit trail."""
    from control.services.audit import Actor

    token = bearer.token_of(request)
    name = str(request.user) if token is None else f"{request.user} (token {token.name})"
    return Actor(name, client_address(request))


def client_address(request: HttpRequest) -> str:
    """Where a request came from."""
    return source_of(str(request.META.get("REMOTE_ADDR") or "unknown"), request.headers.get("X-Forwarded-For", ""))


def source_of(direct: str, forwarded: str) -> str:
    """Behind a TLS proxy: the last of X-Forwarded-For, which that proxy wrote itself; else the connection's address."""
    if not settings.TLS_PROXY:
        return direct
    told = forwarded.rpartition(",")[2].strip()
    try:
        return str(ipaddress.ip_address(told))
    except ValueError:
        return direct


def refusal(request: HttpRequest, sentence: str, status: int) -> HttpResponse:
    """A page that says why not, and leads back."""
    return render(request, "refusal.html", {"sentence": sentence}, status=status)


def _place(route: str, scope: Scope | None) -> str:
    return "scope" if scope else "namespace" if ":namespace>" in route else EVERYWHERE


def _route(route: str, view: View, name: str, need: Need, scope: Scope | None = None) -> URLPattern:
    """Nothing of it is kept by browsers or proxies."""
    guarded = never_cache(_guarded(view, need, scope))
    guarded.need = need  # type: ignore[attr-defined]
    return path(route, guarded, name=name)


def _guarded(view: View, need: Need, scope: Scope | None) -> View:
    @wraps(view)
    def guarded(request: HttpRequest, **arguments: Any) -> HttpResponseBase:
        refused = _by_token(request, need) if bearer.is_borne(request) else _by_session(request)
        refused = refused or _unkept(request)
        if refused is None:
            refused = _refused(request, need, _where(request, need, scope, arguments))
        return view(request, **arguments) if refused is None else refused

    return guarded


def _unkept(request: HttpRequest) -> HttpResponseBase | None:
    """What is answered instead to what PostgreSQL cannot look for: its texts hold every character but NUL."""
    given = [one for words in (request.GET, request.POST) for _, values in words.lists() for one in values]
    if "\0" not in request.path and not any("\0" in one for one in given):
        return None
    return refusal(request, "The address or the form holds a NUL character, which no name has. Leave it out.", 400)


def _by_session(request: HttpRequest) -> HttpResponseBase | None:
    """What is answered instead to whoever has not signed in."""
    if request.user.is_authenticated:
        return None
    if request.headers.get("HX-Request"):  # the page itself goes to the form, not a part of it
        return HttpResponseClientRedirect(resolve_url(settings.LOGIN_URL))
    return redirect_to_login(request.get_full_path())


def _by_token(request: HttpRequest, need: Need) -> HttpResponseBase | None:
    """A request that bears a token counts as its owner's and has the token's rights, whatever session comes along."""
    found = bearer.authenticate(request) if need.tokens else None
    if found is None:
        why = "This token is not valid (any more)." if need.tokens else "This page is not for tokens: sign in."
        return bearer.refusal(why)
    setattr(request, _KEPT, found)
    return None


def _where(request: HttpRequest, need: Need, scope: Scope | None, arguments: dict[str, Any]) -> Collection[str]:
    """The namespaces that decide. Raises Http404 when the object that would have them does not exist."""
    if need.place == "namespace":
        return (str(arguments["namespace"]),)
    if scope is None:
        return (need.place,)
    found = scope(request, **arguments)
    if found is None:
        raise Http404
    return found


def _refused(request: HttpRequest, need: Need, places: Collection[str]) -> HttpResponse | None:
    """None when it may go on. Raises Http404 for what somebody is not to know of."""
    has = rights(request)
    if not need.role:
        return None
    if not has:
        return refusal(request, f"{request.user} has no role yet. {_GIVEN}", 403)
    lacking = sorted(place for place in places if place != ANYWHERE and not has.may(need.role, place))
    if not lacking:
        return None
    if need.place in ("namespace", "scope") and not all(has.may(VIEWER, place) for place in lacking):
        raise Http404
    where = lacking[0]
    place = f"in namespace {where}" if where else "for all namespaces"
    lacks = "may not look at what belongs to no namespace" if need.role == VIEWER else "may look and not act"
    return refusal(request, f"{request.user} {lacks}: that takes the role {need.role} {place}.", 403)


_GIVEN = "An administrator gives one on the page People, or with `manage.py user role give`; then load this page again."
