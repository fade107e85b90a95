"""Signing in: the form with name and password, then a code for those who have a second factor."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.core.exceptions import ValidationError
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from control.dashboard import attempts
from control.dashboard.access import client_address
from control.dashboard.accounts import NOT_RIGHT, SecondFactor
from control.models import AuditEntry


class SignInForm(AuthenticationForm):
    """Django's, behind the limit of `attempts`. Unknown, wrong and disabled take the same time and say the same."""

    error_messages = {"invalid_login": NOT_RIGHT, "inactive": NOT_RIGHT}  # noqa: RUF012 - Django's attribute
    limited = False
    attempt: AuditEntry | None = None

    def clean(self) -> dict[str, Any]:
        name, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if not name or not password or self.request is None:
            return dict(self.cleaned_data)
        try:
            self.attempt = attempts.begin(name, client_address(self.request), time.time())
        except attempts.TooManyAttempts as refused:
            self.limited = True
            raise ValidationError(attempts.WAIT, code="limited") from refused
        return dict(super().clean())


class SignInView(LoginView):
    template_name = "sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def get_context_data(self, **more: Any) -> dict[str, Any]:
        return super().get_context_data(openid=settings.OPENID, **more)

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """The password was right: allauth takes over, with the second factor and a new session."""
        from allauth.account.internal.flows.login import perform_password_login
        from allauth.account.models import Login

        if isinstance(form, SignInForm) and form.attempt is not None:
            attempts.keep(self.request, form.attempt)
        login = Login(user=form.get_user(), redirect_url=self.get_success_url())
        answer: HttpResponse = perform_password_login(self.request, form.cleaned_data, login)
        return answer

    def form_invalid(self, form: BaseForm) -> HttpResponse:
        response: HttpResponse = self.render_to_response(self.get_context_data(form=form))
        response.status_code = 429 if getattr(form, "limited", False) else 200
        return response


@require_http_methods(["GET", "HEAD", "POST"])
def code(request: HttpRequest) -> HttpResponseBase:
    """The second factor, for whoever has just given the right password; anybody else is led back to the form."""
    from allauth.account.internal.decorators import login_stage_required

    asked = login_stage_required(stage=SecondFactor.key, redirect_urlname="sign-in")(_code)
    answer: HttpResponseBase = asked(request)
    return answer


def _code(request: HttpRequest) -> HttpResponseBase:
    from allauth.mfa.base.forms import AuthenticateForm

    stage: SecondFactor = request._login_stage  # type: ignore[attr-defined]
    if stage.login.user is None:  # removed since the password was given
        return redirect("sign-in")
    form = AuthenticateForm(user=stage.login.user, data=request.POST or None)
    if not form.is_valid():
        limited = form.has_error("code", "too_many_login_attempts")
        if form.is_bound and not limited:
            attempts.wrong_code(str(stage.login.user), client_address(request))
        return render(request, "sign_in_code.html", {"form": form}, status=429 if limited else 200)
    form.save()
    answer: HttpResponseBase = stage.exit()
    return answer
