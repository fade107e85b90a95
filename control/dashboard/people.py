"""`/people`: administrators decide who may sign in, and with which roles."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from control.dashboard.access import View, actor
from control.models import ROLES
from control.selectors.people import PersonLine, person_line, person_lines
from control.services import people as service
from control.services.audit import Actor
from control.services.refusal import Refused

_MOST = 1 << 63
"""No column holds a number like this; an address may."""


@require_safe
def people(request: HttpRequest) -> HttpResponse:
    return _list(request)


@require_safe
def person(request: HttpRequest, number: int) -> HttpResponse:
    return _shown(request, _found(number))


@require_POST
def add(request: HttpRequest) -> HttpResponse:
    """Shows the password that was made, once."""
    name, role = _given(request, "name"), _given(request, "role")
    try:
        made = service.add(name, actor(request), role=role, namespace=_given(request, "namespace"))
    except Refused as refused:
        return _list(request, refused.sentence)
    return render(request, "people/password.html", {"name": name, "made": made})


@require_POST
def password(request: HttpRequest, number: int) -> HttpResponse:
    """Likewise."""
    name = _found(number).name
    made = service.new_password(name, actor(request))
    return render(request, "people/password.html", {"name": name, "made": made})


def _change(do: Callable[[HttpRequest, str, Actor], None], sentence: str) -> View:
    """A view that changes one person. `sentence` says what was done, of {name}."""

    @require_POST
    def view(request: HttpRequest, number: int) -> HttpResponse:
        found = _found(number)
        try:
            do(request, found.name, actor(request))
        except Refused as refused:
            return _shown(request, found, refused.sentence)
        messages.success(request, sentence.format(name=found.name))
        return redirect("person", number)

    return view


def _give(request: HttpRequest, name: str, by: Actor) -> None:
    service.give(name, _given(request, "role"), _given(request, "namespace"), by)


def _take(request: HttpRequest, name: str, by: Actor) -> None:
    service.take(name, _given(request, "role"), _given(request, "namespace"), by)


give = _change(_give, "{name} has that role now.")
take = _change(_take, "{name} has that role no more.")
disable = _change(lambda _, name, by: service.disable(name, by), "{name} is disabled: sessions and tokens have ended.")
enable = _change(lambda _, name, by: service.enable(name, by), "{name} may sign in again.")
forget = _change(lambda _, name, by: service.forget_second_factor(name, by), "{name} signs in without a code now.")


def _list(request: HttpRequest, refused: str = "") -> HttpResponse:
    shown = {"people": person_lines(time.time()), "roles": ROLES, "refused": refused, "given": request.POST}
    return render(request, "people/people.html", shown, status=409 if refused else 200)


def _found(number: int) -> PersonLine:
    found = person_line(number, time.time()) if number < _MOST else None
    if found is None:
        raise Http404
    return found


def _shown(request: HttpRequest, found: PersonLine, refused: str = "") -> HttpResponse:
    shown = {"person": found, "roles": ROLES, "refused": refused}
    return render(request, "people/person.html", shown, status=409 if refused else 200)


def _given(request: HttpRequest, name: str) -> Any:
    return request.POST.get(name, "").strip()
