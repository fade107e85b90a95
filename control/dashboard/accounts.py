"""How django-allauth is made ours: closed, without mail, without messages of its own, and without pages of its own.

allauth decides how somebody comes in (stages, second factor, OpenID Connect, sessions) and keeps what that takes. None
of its addresses is mounted: `sign_in.py`, `openid.py` and `account.py` call what they need.
"""

from __future__ import annotations

import ipaddress
from typing import Any, ClassVar

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.stages import LoginStage
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.utils import is_mfa_enabled
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from control.dashboard import attempts
from control.dashboard.access import client_address, refusal
from control.models.sealed import seal, unseal

NOT_RIGHT = "The name or the password is not right."
WRONG_CODE = "That code is not right (any more)."
FAILED = "The identity provider did not say who you are. Start again from the sign-in page."
_SEALED_FOR = "mfa_authenticator:data"


class SecondFactor(LoginStage):
    """allauth's own stage brings the libraries of security keys with it, which nobody here uses."""

    key = "mfa_authenticate"
    urlname = "sign-in-code"

    def handle(self) -> tuple[HttpResponse | None, bool]:
        asked = is_mfa_enabled(self.login.user, ["totp"])
        return (redirect(self.urlname) if asked else None), True


class Accounts(DefaultAccountAdapter):
    error_messages: ClassVar = {
        **DefaultAccountAdapter.error_messages,
        "too_many_login_attempts": attempts.WAIT,
        "rate_limited": attempts.WAIT,
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002 - allauth's signature
        return False

    def get_login_stages(self) -> list[str]:
        return ["control.dashboard.accounts.SecondFactor"]

    def login(self, request: HttpRequest, user: Any) -> None:
        """Time has passed since the password: between it and the code somebody may have been disabled."""
        user.refresh_from_db(fields=["is_active"])
        if not user.is_active:
            raise ImmediateHttpResponse(self.respond_user_inactive(request, user))
        super().login(request, user)
        attempts.succeeded(request, user.get_username(), client_address(request))

    def respond_user_inactive(self, request: HttpRequest, user: AbstractBaseUser) -> HttpResponse:  # noqa: ARG002
        return refusal(request, NOT_RIGHT, 403)

    def get_client_ip(self, request: HttpRequest) -> str:
        address = client_address(request)
        try:
            return str(ipaddress.ip_address(address))
        except ValueError:
            return "::"  # by a Unix socket: its column takes addresses only

    def add_message(self, *_arguments: Any, **_options: Any) -> None:
        """The pages say what happened themselves."""

    def send_mail(self, *_arguments: Any, **_options: Any) -> None:
        """No mail is used: nothing is confirmed or reset by it."""


class SecondFactors(DefaultMFAAdapter):
    """What codes are computed from is encrypted at rest, like all secrets in the database."""

    error_messages: ClassVar = {**DefaultMFAAdapter.error_messages, "incorrect_code": WRONG_CODE}

    def encrypt(self, text: str) -> str:
        return seal(text.encode(), _SEALED_FOR)

    def decrypt(self, encrypted_text: str) -> str:
        return unseal(encrypted_text, _SEALED_FOR).decode()

    def get_totp_label(self, user: AbstractBaseUser) -> str:
        return user.get_username()


class OpenIdAccounts(DefaultSocialAccountAdapter):
    """Whoever the provider vouches for gets an account of their own, without a role. It is never joined with one that
    is there already: a name or an address at the provider proves nothing about who has it here."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:  # noqa: ARG002
        return True

    def populate_user(self, request: HttpRequest, sociallogin: Any, data: dict[str, Any]) -> Any:
        """Only a name is taken over; for one that somebody has already, allauth makes another from `first_name`."""
        sociallogin.email_addresses = []
        found = data.get("username") or str(data.get("email") or "").partition("@")[0] or data.get("name")
        name = str(found or "")[: attempts.LONGEST_NAME]
        return super().populate_user(request, sociallogin, {"username": name, "first_name": name})

    def on_authentication_error(self, request: HttpRequest, *_arguments: Any, **_options: Any) -> None:
        raise ImmediateHttpResponse(refusal(request, FAILED, 401))
