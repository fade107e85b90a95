"""One's own second factor: codes of an authenticator app, and recovery codes that are shown once.

For people with a password here; whom an identity provider vouches for gives a second factor there. Every step asks for
the password again. The picture is an address of its own, since the Content-Security-Policy lets no page contain it.
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from control.dashboard.access import actor, person
from control.dashboard.own import confirmed
from control.dashboard.own_forms import ConfirmedForm
from control.services.audit import record

_SECRET = "mfa.totp.secret"  # where allauth keeps it in the session until the first code has proved it  # noqa: S105


@require_http_methods(["GET", "HEAD", "POST"])
def second_factor(request: HttpRequest) -> HttpResponse:
    """Set it up: scan, type the first code, give the password. Where it is on: new recovery codes, or off."""
    from allauth.mfa.totp.forms import ActivateTOTPForm
    from allauth.mfa.totp.internal.flows import activate_totp

    if _has(request):
        return render(request, "own/second_factor.html", {"is_on": True, "confirm": ConfirmedForm(request)})
    code, confirm = ActivateTOTPForm(user=request.user, data=request.POST or None), confirmed(request)
    if not (confirm.is_valid() and code.is_valid()):
        shown = {"confirm": confirm, "code": code, "secret": _in_fours(code.secret)}
        return render(request, "own/second_factor.html", shown, status=400 if code.is_bound else 200)
    _reauthenticated(request)
    activate_totp(request, code)
    record(actor(request), "second factor on", f"User {request.user}")
    return _recovery_codes(request)


@require_safe
def picture(request: HttpRequest) -> HttpResponse:
    """The QR code of the secret that is being set up, as SVG."""
    from allauth.mfa.adapter import get_adapter

    if _SECRET not in request.session or _has(request):
        return HttpResponse("Nothing is being set up.\n", status=404, content_type="text/plain")
    url = get_adapter().build_totp_url(request.user, request.session[_SECRET])
    return HttpResponse(get_adapter().build_totp_svg(url), content_type="image/svg+xml")


@require_POST
def new_codes(request: HttpRequest) -> HttpResponse:
    """Recovery codes in place of the old ones."""
    from allauth.mfa.recovery_codes.internal.flows import generate_recovery_codes

    form = confirmed(request)
    if not _has(request):
        raise Http404
    if not form.is_valid():
        return _asked_again(request, form)
    _reauthenticated(request)
    generate_recovery_codes(request)
    record(actor(request), "recovery codes new", f"User {request.user}")
    return _recovery_codes(request)


@require_POST
def off(request: HttpRequest) -> HttpResponse:
    from allauth.mfa.totp.internal.flows import deactivate_totp

    form, found = confirmed(request), _authenticators(request).filter(type="totp").first()
    if found is None:
        return redirect("account")
    if not form.is_valid():
        return _asked_again(request, form)
    _reauthenticated(request)
    deactivate_totp(request, found)
    record(actor(request), "second factor off", f"User {request.user}")
    messages.success(request, "Codes are off: your password alone lets you in.")
    return redirect("account")


def _asked_again(request: HttpRequest, form: ConfirmedForm) -> HttpResponse:
    return render(request, "own/second_factor.html", {"is_on": True, "confirm": form}, status=400)


def _recovery_codes(request: HttpRequest) -> HttpResponse:
    """Shown by the answer itself, once."""
    codes = _authenticators(request).get(type="recovery_codes").wrap()
    codes.mark_as_viewed()
    return render(request, "own/recovery_codes.html", {"codes": codes.get_unused_codes()})


def _reauthenticated(request: HttpRequest) -> None:
    """allauth asks that it was just now; the form has seen to it."""
    from allauth.account.internal.flows.reauthentication import reauthenticate_by_password

    reauthenticate_by_password(request)


def _has(request: HttpRequest) -> bool:
    if not person(request).has_usable_password():
        raise Http404
    return bool(_authenticators(request).filter(type="totp").exists())


def _authenticators(request: HttpRequest) -> Any:
    from allauth.mfa.models import Authenticator

    return Authenticator.objects.filter(user=request.user)


def _in_fours(secret: str) -> str:
    return " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
