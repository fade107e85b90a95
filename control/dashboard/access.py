"""Who may see a page, and who may press its buttons.

Deny by default: a route of the dashboard is made by `page` or `action` and by nothing else, except the sign-in form.
Until roles are finer, people who are administrators may act, and everybody else who has signed in may look.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render, resolve_url
from django.urls import URLPattern, path
from django.views.decorators.cache import never_cache
from django_htmx.http import HttpResponseClientRedirect

View = Callable[..., HttpResponseBase]


def page(route: str, view: View, name: str) -> URLPattern:
    """A route for everybody who has signed in. Nothing of it is kept by browsers or proxies."""
    return path(route, never_cache(_signed_in(view)), name=name)


def action(route: str, view: View, name: str) -> URLPattern:
    """A route for those who may change something."""
    return page(route, _may_act(view), name)


def may_act(request: HttpRequest) -> bool:
    return bool(request.user.is_superuser)


def may(request: HttpRequest, role: str, namespace: str = "") -> bool:  # noqa: ARG001
    return may_act(request)


def namespaces(request: HttpRequest) -> frozenset[str] | None:  # noqa: ARG001
    """Those that the reader may see; None for all."""
    return None


def actor(request: HttpRequest) -> Any:
    """The `Actor` that the audit trail names. Services are loaded where somebody presses a button, not before."""
    from control.services.audit import Actor

    return Actor(str(request.user), client_address(request))


def client_address(request: HttpRequest) -> str:
    """Where a request came from. Behind a TLS proxy: the last of X-Forwarded-For, which that proxy wrote itself."""
    direct = str(request.META.get("REMOTE_ADDR") or "unknown")
    if not settings.TLS_PROXY:
        return direct
    told = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    try:
        return str(ipaddress.ip_address(told))
    except ValueError:
        return direct


def refusal(request: HttpRequest, sentence: str, status: int) -> HttpResponse:
    """A page that says why not, and leads back."""
    return render(request, "refusal.html", {"sentence": sentence}, status=status)


def _signed_in(view: View) -> View:
    @wraps(view)
    def guarded(request: HttpRequest, *arguments: Any, **options: Any) -> HttpResponseBase:
        if request.user.is_authenticated:
            return view(request, *arguments, **options)
        if request.headers.get("HX-Request"):  # the page itself goes to the form, not a part of it
            return HttpResponseClientRedirect(resolve_url(settings.LOGIN_URL))
        return redirect_to_login(request.get_full_path())

    return guarded


def _may_act(view: View) -> View:
    @wraps(view)
    def guarded(request: HttpRequest, *arguments: Any, **options: Any) -> HttpResponseBase:
        if may_act(request):
            return view(request, *arguments, **options)
        return refusal(request, f"{request.user} may look and not act: that takes an administrator.", 403)

    return guarded
