"""Repositories, their webhooks, and what came through these."""

from __future__ import annotations

import time
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from control.dashboard.access import actor, may, refusal
from control.dashboard.live import Page, answer
from control.models import ADMIN, OPERATOR
from control.selectors.age_keys import age_keys
from control.selectors.hooks import address, delivery_page
from control.selectors.newest_first import read_key
from control.selectors.repositories import repository_lines, repository_page
from control.selectors.repository_credentials import credentials_words
from control.selectors.repository_signatures import signatures_words
from deployer.core.hooks.registries import SENDERS

KINDS = ("Repository", "Application", "Webhook")


@require_safe
def repositories(request: HttpRequest) -> HttpResponse:
    lines = repository_lines(time.time())
    context = {"lines": lines, "may_add": may(request, "operator")}
    title = f"{len(lines)} {'repository' if len(lines) == 1 else 'repositories'}"
    return answer(request, Page(title, "applications", KINDS), "repositories/list.html", context)


@require_safe
def repository(request: HttpRequest, name: str) -> HttpResponse:
    key = read_key(request.GET.get("before", ""))
    found = repository_page(name, _base(request), key, time.time())
    if found is None:
        return refusal(request, f"Repository {name} does not exist (any more).", 404)
    now = time.time()
    context = {
        "found": found, "line": found.line, "may_set": may(request, ADMIN), "is_newest": key is None,
        "may_act": may(request, OPERATOR), "credentials": credentials_words(name, now), "age": age_keys(name, now),
        "signatures": signatures_words(name),
    }  # fmt: skip
    page = Page(f"{name}: {found.line.state.word}", "applications", KINDS)
    return answer(request, page, "repositories/repository.html", context)


@require_safe
def delivery(request: HttpRequest, name: str, number: int) -> HttpResponse:
    found = delivery_page(name, number, time.time())
    if found is None:
        return refusal(request, f"Delivery {number} of repository {name} is not kept (any more).", 404)
    context = {"found": found, "line": found.line, "may_set": may(request, ADMIN)}
    page = Page(f"Delivery {number}: {found.line.state.word}", "applications", KINDS)
    return answer(request, page, "repositories/delivery.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def hook_add(request: HttpRequest, name: str) -> HttpResponse:
    from control.services import webhooks
    from control.services.refusal import Refused
    from control.services.repositories import get_repository

    given = {field: request.POST.get(field, "") for field in ("provider", "allowed")}
    refused = ""
    try:
        get_repository(name)
        if request.method == "POST":
            networks = given["allowed"].replace(",", " ").split()
            row, secret = webhooks.make(name, given["provider"], actor(request), networks)
            return _secret(request, row, secret)
    except Refused as error:
        refused = error.sentence
    context = {"name": name, "given": given, "refused": refused, "providers": SENDERS.values()}
    return render(request, "repositories/hook_add.html", context, status=409 if refused else 200)


@require_POST
def hook_rotate(request: HttpRequest, name: str, uid: str) -> HttpResponse:
    from control.services import webhooks
    from control.services.refusal import Refused

    try:
        row, secret = webhooks.rotate(uid, actor(request), name)
    except Refused as refused:
        return refusal(request, refused.sentence, 409)
    return _secret(request, row, secret)


@require_POST
def hook_retire(request: HttpRequest, name: str, uid: str) -> HttpResponse:
    from control.services import webhooks

    said = "The old secret is not valid any more."
    return _done(request, name, lambda: webhooks.retire(uid, actor(request), name), said)


@require_http_methods(["GET", "HEAD", "POST"])
def hook_remove(request: HttpRequest, name: str, uid: str) -> HttpResponse:
    from control.services import webhooks
    from control.services.refusal import Refused

    if request.method == "POST":
        return _done(request, name, lambda: webhooks.remove(uid, actor(request), name), "The webhook is gone.")
    try:
        row = webhooks.get_webhook(uid, name)
    except Refused as refused:
        return refusal(request, refused.sentence, 404)
    return render(request, "repositories/hook_remove.html", {"name": name, "title": SENDERS[row.provider].title})


@require_POST
def redeliver(request: HttpRequest, name: str, number: int) -> HttpResponse:
    from control.services import webhooks

    said = "Delivered once more: the repository is looked at now."
    return _done(request, name, lambda: webhooks.redeliver(number, actor(request)), said)


def _done(request: HttpRequest, name: str, act: Any, said: str) -> HttpResponse:
    from control.services.refusal import Refused

    try:
        act()
    except Refused as refused:
        return refusal(request, refused.sentence, 409)
    messages.success(request, said)
    return redirect("repository", name=name)


def _secret(request: HttpRequest, row: Any, secret: str) -> HttpResponse:
    """Shown once, with what to do there."""
    provider = SENDERS[row.provider]
    steps = [step.format(title=provider.title) for step in provider.steps]
    context = {
        "name": row.repository.name, "provider": provider, "steps": steps, "secret": secret,
        "address": address(row.uid, _base(request)), "is_new": not row.rotated_at,
    }  # fmt: skip
    return render(request, "repositories/hook_secret.html", context)


def _base(request: HttpRequest) -> str:
    return request.build_absolute_uri("/")
