"""The sign-in form and its view."""

from __future__ import annotations

import time
from typing import Any

from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.core.exceptions import ValidationError
from django.forms import BaseForm
from django.http import HttpResponse

from control.dashboard import attempts
from control.dashboard.access import client_address

WAIT = f"Too many attempts. Wait {attempts.WINDOW_SECONDS / 60:.0f} minutes, then try again."


class SignInForm(AuthenticationForm):
    """Django's, behind the limit of `attempts`."""

    error_messages = {  # noqa: RUF012 - Django's attribute
        "invalid_login": "The name or the password is not right.",
        "inactive": "The name or the password is not right.",
    }
    limited = False

    def clean(self) -> dict[str, Any]:
        name, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if not name or not password or self.request is None:
            return dict(self.cleaned_data)
        try:
            attempt = attempts.begin(name, client_address(self.request), time.time())
        except attempts.TooManyAttempts as refused:
            self.limited = True
            raise ValidationError(WAIT, code="limited") from refused
        cleaned = super().clean()
        attempts.succeeded(attempt)
        return dict(cleaned)


class SignInView(LoginView):
    template_name = "sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def form_invalid(self, form: BaseForm) -> HttpResponse:
        response: HttpResponse = self.render_to_response(self.get_context_data(form=form))
        response.status_code = 429 if getattr(form, "limited", False) else 200
        return response
