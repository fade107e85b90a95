"""`/notifications`: what went wrong, who was told, and the channels: added, tried out and removed by administrators."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from control.dashboard.access import actor, may, namespaces, refusal
from control.dashboard.live import Page, answer
from control.models import ADMIN
from control.selectors.notifications import notification_page
from deployer.core.incidents import KINDS
from deployer.core.notification_address import OWN_SERVER, SERVICES

CHANGES = ("Incident", "NotificationChannel")


class SecretInput(forms.TextInput):
    """A line whose content is never written into a page."""

    def format_value(self, value: Any) -> None:  # noqa: ARG002 - Django's signature
        return None


class ChannelForm(forms.Form):
    """What `services.notifications.add_channel` takes; that checks all of it."""

    name = forms.CharField(max_length=63)
    address = forms.CharField(
        max_length=2048, widget=SecretInput({"autocomplete": "off", "spellcheck": "false"}), strip=True
    )
    namespace = forms.CharField(max_length=63, required=False)
    kinds = forms.MultipleChoiceField(
        label="What is told", choices=list(KINDS.items()), required=False, widget=forms.CheckboxSelectMultiple
    )


@require_safe
def notifications(request: HttpRequest) -> HttpResponse:
    found = notification_page(namespaces(request), time.time())
    title = f"{found.open} open incident{'' if found.open == 1 else 's'}"
    context = {"found": found, "title": title, "may_change": may(request, ADMIN)}
    return answer(request, Page(title, "events", CHANGES), "notifications/notifications.html", context)


@sensitive_post_parameters("address")
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    form = ChannelForm(request.POST if request.method == "POST" else None, label_suffix="")
    if request.method != "POST":
        return _form(request, form)
    if not form.is_valid():
        return _form(request, form, 400)
    from control.services import notifications as service
    from control.services.refusal import Refused

    given = form.cleaned_data
    try:
        row = service.add_channel(
            given["name"], given["address"], actor(request), namespace=given["namespace"], kinds=given["kinds"]
        )
    except Refused as refused:
        form.add_error(None, refused.sentence)
        return _form(request, form, 409)
    messages.success(request, f"{row.name} is added. Send it a test: only that shows whether it arrives.")
    return redirect("notifications")


@require_POST
def trial(request: HttpRequest, name: str) -> HttpResponse:
    from control.services import notifications as service

    said = f"A test is on its way to {name}; what came of it is shown below."
    return _done(request, lambda: service.try_channel(name, actor(request)), said)


@require_POST
def remove(request: HttpRequest, name: str) -> HttpResponse:
    from control.services import notifications as service

    said = f"{name} is removed: nothing is told there any more."
    return _done(request, lambda: service.remove_channel(name, actor(request)), said)


def _done(request: HttpRequest, act: Callable[[], object], said: str) -> HttpResponse:
    from control.services.refusal import Refused

    try:
        act()
    except Refused as refused:
        return refusal(request, refused.sentence, 404)
    messages.success(request, said)
    return redirect("notifications")


def _form(request: HttpRequest, form: ChannelForm, status: int = 200) -> HttpResponse:
    shown = {"form": form, "own": OWN_SERVER, "services": SERVICES}
    return render(request, "notifications/add.html", shown, status=status)
