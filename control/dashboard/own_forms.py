"""Forms on one's own page. What matters asks for the password again: a session may be open on somebody else's desk."""

from __future__ import annotations

import time
from typing import Any

from django import forms
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from control.dashboard import attempts
from control.dashboard.access import client_address, person
from control.models import ROLES
from control.services.tokens import MOST_DAYS, USUAL_DAYS

NOT_RIGHT = "That is not your password."
_CURRENT = forms.PasswordInput(attrs={"autocomplete": "current-password"})
_NEW = forms.PasswordInput(attrs={"autocomplete": "new-password"})
_PLAIN = {"autocomplete": "off", "spellcheck": "false"}


class ConfirmedForm(forms.Form):
    """Behind the same limit as signing in."""

    current = forms.CharField(label="Your password", strip=False, max_length=4096, widget=_CURRENT)

    def __init__(self, request: HttpRequest, data: Any = None, **options: Any) -> None:
        super().__init__(data, **options)
        self.request = request

    def clean_current(self) -> str:
        given, who = str(self.cleaned_data["current"]), person(self.request)
        try:
            attempt = attempts.begin(who.get_username(), client_address(self.request), time.time())
        except attempts.TooManyAttempts as refused:
            raise ValidationError(attempts.WAIT, code="limited") from refused
        if not who.check_password(given):
            raise ValidationError(NOT_RIGHT)
        attempt.delete()
        return given


class PasswordForm(ConfirmedForm):
    new = forms.CharField(
        label="New password", strip=False, max_length=4096, widget=_NEW,
        help_text="At least 12 characters, not only digits, no common one.",
    )  # fmt: skip
    again = forms.CharField(label="The new one again", strip=False, max_length=4096, widget=_NEW)

    def clean_new(self) -> str:
        validate_password(self.cleaned_data["new"], person(self.request))
        return str(self.cleaned_data["new"])

    def clean_again(self) -> str:
        if self.cleaned_data.get("new") not in (None, self.cleaned_data["again"]):
            raise ValidationError("The two are not the same.")
        return str(self.cleaned_data["again"])


class TokenForm(forms.Form):
    name = forms.CharField(label="Name", max_length=63, widget=forms.TextInput(attrs=_PLAIN))
    role = forms.ChoiceField(label="Role", choices=[(role, role) for role in ROLES])
    namespace = forms.CharField(
        label="Namespace", required=False, max_length=63, widget=forms.TextInput(attrs=_PLAIN),
        help_text="Empty: all of them.",
    )  # fmt: skip
    days = forms.IntegerField(label="Days", min_value=1, max_value=MOST_DAYS, initial=USUAL_DAYS)
