"""API tokens on requests: `Authorization: Bearer ph_...`.

A browser adds this header to no request by itself, so a request that bears a token cannot have been forged by another
site, and needs no CSRF token. It is told by the header alone: such a request never falls back to a session.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.http.response import HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware

from control.models import ApiToken
from control.selectors.rights import Rights, rights_of_token

_SCHEME, _BORNE = "bearer ", "_pierhead_token"


class CsrfMiddleware(CsrfViewMiddleware):
    """Django's, except for requests that bear a token, on routes that take one."""

    def process_view(
        self, request: HttpRequest, callback: Callable[..., HttpResponseBase], callback_args: Any, callback_kwargs: Any
    ) -> HttpResponseForbidden | None:
        need = getattr(callback, "need", None)
        if need is not None and need.tokens and is_borne(request):
            return None
        return super().process_view(request, callback, callback_args, callback_kwargs)


def is_borne(request: HttpRequest) -> bool:
    return request.headers.get("Authorization", "")[: len(_SCHEME)].lower() == _SCHEME


def authenticate(request: HttpRequest) -> Rights | None:
    """The rights of the token; `request.user` becomes its owner. None when it opens nothing."""
    from control.services import tokens

    token = tokens.use(request.headers["Authorization"][len(_SCHEME) :].strip(), time.time())
    if token is None:
        return None
    request.user = token.owner
    setattr(request, _BORNE, token)
    return rights_of_token(token)


def token_of(request: HttpRequest) -> ApiToken | None:
    found = getattr(request, _BORNE, None)
    return found if isinstance(found, ApiToken) else None


def refusal(sentence: str) -> HttpResponse:
    answer = HttpResponse(f"{sentence}\n", status=401, content_type="text/plain; charset=utf-8")
    answer["WWW-Authenticate"] = "Bearer"
    return answer
