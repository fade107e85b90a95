"""`/account`: what everybody decides about themselves. Password, second factor, tokens, sessions."""

from __future__ import annotations

import time

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from control.dashboard.access import actor, person
from control.dashboard.own_forms import ConfirmedForm, PasswordForm, TokenForm
from control.selectors.people import person_line, session_lines, token_lines
from control.services import people, tokens
from control.services.audit import record
from control.services.refusal import Refused


@require_safe
def account(request: HttpRequest) -> HttpResponse:
    return _shown(request)


@require_POST
def password(request: HttpRequest) -> HttpResponse:
    """Whoever has none signs in elsewhere, and keeps it there."""
    if not person(request).has_usable_password():
        raise Http404
    form = PasswordForm(request, request.POST, auto_id="password-%s")
    if not form.is_valid():
        return _shown(request, status=_status(form), password=form)
    people.change_password(person(request), form.cleaned_data["new"], actor(request))
    update_session_auth_hash(request, person(request))
    return _done(request, "Your password is changed. Your other sessions have ended.")


@require_POST
def make_token(request: HttpRequest) -> HttpResponse:
    form = TokenForm(request.POST, auto_id="token-%s")
    if not form.is_valid():
        return _shown(request, status=400, token=form)
    asked = form.cleaned_data
    try:
        secret = tokens.make(
            request.user, asked["name"], actor(request), time.time(),
            role=asked["role"], namespace=asked["namespace"], days=asked["days"],
        )  # fmt: skip
    except Refused as refused:
        form.add_error(None, refused.sentence)
        return _shown(request, status=409, token=form)
    return render(request, "own/token.html", {"name": asked["name"], "secret": secret})


@require_POST
def revoke_token(request: HttpRequest, name: str) -> HttpResponse:
    try:
        tokens.revoke(request.user, name, actor(request))
    except Refused:
        return redirect("account")  # it is gone, which is what was wanted
    return _done(request, f"Token {name} is revoked.")


@require_POST
def end_sessions(request: HttpRequest) -> HttpResponse:
    """All but the one that asks."""
    count = people.end_sessions(request.user, keep=str(request.session.session_key))
    record(actor(request), "sessions end", f"User {request.user}", f"{count} sessions")
    return _done(request, f"Signed out elsewhere: {count}.")


def confirmed(request: HttpRequest) -> ConfirmedForm:
    return ConfirmedForm(request, request.POST or None, auto_id="confirm-%s")


def _shown(request: HttpRequest, *, status: int = 200, **forms: Form) -> HttpResponse:
    now, who = time.time(), person(request)
    shown = {
        "person": person_line(who.pk, now),
        "has_password": who.has_usable_password(),
        "tokens": token_lines(who, now),
        "sessions": session_lines(who, str(request.session.session_key), now),
        "password": PasswordForm(request, auto_id="password-%s"),
        "token": TokenForm(auto_id="token-%s"),
    }
    return render(request, "own/account.html", {**shown, **forms}, status=status)


def _status(form: Form) -> int:
    return 429 if form.has_error("current", "limited") else 400


def _done(request: HttpRequest, sentence: str) -> HttpResponse:
    messages.success(request, sentence)
    return redirect("account")
