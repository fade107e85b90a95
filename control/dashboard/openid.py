"""Signing in with OpenID Connect: to the provider, and back.

What this takes (requests, OAuth, JWT) is loaded when the first person goes there: other web processes stay small.
"""

from __future__ import annotations

import logging
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from control.dashboard.access import refusal
from control.openid import ID

AWAY = "The identity provider does not answer. Try again, or sign in with a password."


@never_cache
@require_safe
def begin(request: HttpRequest) -> HttpResponseBase:
    """Leads to the provider, with `next` kept for the way back.

    Of what the address says, nothing else reaches allauth: `process=connect` would join whoever is signed in at the
    provider in this browser with whoever is signed in here, for anybody who can make them follow a link.
    """
    if request.user.is_authenticated:
        return redirect("overview")
    asked = QueryDict(mutable=True)
    asked["next"] = request.GET.get("next", "")
    request.GET = asked  # type: ignore[assignment]
    return _asked(request, "login")


@never_cache
@require_safe
def finish(request: HttpRequest, provider_id: str) -> HttpResponseBase:  # noqa: ARG001 - allauth finds it by this name
    """Where the provider sends people back to."""
    return _asked(request, "callback")


def _asked(request: HttpRequest, step: str) -> HttpResponseBase:
    if settings.OPENID is None:
        raise Http404
    views = _views()
    from requests import RequestException

    try:
        answer: HttpResponseBase = getattr(views, step)(request, ID)
    except (RequestException, KeyError, ValueError) as error:  # no answer, or not one that a provider gives
        logging.getLogger("pierhead").warning("the identity provider %s: %r", settings.OPENID.issuer, error)
        return refusal(request, AWAY, 502)
    return answer


def _views() -> Any:
    from allauth.socialaccount.providers import registry
    from allauth.socialaccount.providers.openid_connect import views
    from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider

    registry.register(OpenIDConnectProvider)
    return views
