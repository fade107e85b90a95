"""People as pages and commands list them: roles, how they sign in, tokens, sessions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model

from control.models import ADMIN, ApiToken
from control.selectors.words import Moment, State


@dataclass(frozen=True, slots=True)
class RoleLine:
    """`namespace` "" is all of them."""

    role: str
    namespace: str

    def __str__(self) -> str:
        return f"{self.role} in {self.namespace}" if self.namespace else f"{self.role} of all"


@dataclass(frozen=True, slots=True)
class PersonLine:
    """`ways`: how they sign in, such as "password, code"."""

    number: int
    name: str
    roles: tuple[RoleLine, ...]
    state: State
    ways: str
    second_factor: bool
    last: Moment
    tokens: int


@dataclass(frozen=True, slots=True)
class TokenLine:
    name: str
    hint: str
    role: RoleLine
    made: Moment
    used: Moment
    expires: str
    expired: bool


@dataclass(frozen=True, slots=True)
class SessionLine:
    address: str
    browser: str
    since: Moment
    current: bool


def person_lines(now: float) -> tuple[PersonLine, ...]:
    """Everybody, by name. The number of queries is the same however many they are."""
    found = _people().order_by("username")
    return tuple(_person(row, now) for row in found)


def person_line(number: int, now: float) -> PersonLine | None:
    row = _people().filter(pk=number).first()
    return _person(row, now) if row else None


def token_lines(owner: Any, now: float) -> tuple[TokenLine, ...]:
    return tuple(_token(row, now) for row in ApiToken.objects.filter(owner=owner))


def session_lines(person: Any, current: str, now: float) -> tuple[SessionLine, ...]:
    """Those that are open, the newest first. `current` is the key of the one that asks."""
    from allauth.usersessions.models import UserSession

    rows = sorted(UserSession.objects.purge_and_list(person), key=lambda row: (-row.created_at.timestamp(), row.pk))
    return tuple(
        SessionLine(row.ip, row.user_agent, Moment(row.created_at.timestamp(), now), row.session_key == current)
        for row in rows
    )


def _people() -> Any:
    return get_user_model().objects.prefetch_related("roles", "authenticator_set", "socialaccount_set", "tokens")


def _person(row: Any, now: float) -> PersonLine:
    kinds = {one.type for one in row.authenticator_set.all()}
    ways = ["password"] * row.has_usable_password() + ["code"] * ("totp" in kinds)
    ways += ["OpenID Connect"] * bool(row.socialaccount_set.all())
    return PersonLine(
        number=row.pk,
        name=row.username,
        roles=role_lines(row),
        state=State("Active", "good") if row.is_active else State("Disabled", "idle"),
        ways=", ".join(ways) or "none",
        second_factor="totp" in kinds,
        last=Moment(row.last_login.timestamp() if row.last_login else 0.0, now),
        tokens=len(row.tokens.all()),
    )


def role_lines(row: Any) -> tuple[RoleLine, ...]:
    given = {one.namespace: one.role for one in row.roles.all()}
    if row.is_superuser:
        given[""] = ADMIN
    return tuple(RoleLine(role, namespace) for namespace, role in sorted(given.items()))


def _token(row: ApiToken, now: float) -> TokenLine:
    expires = Moment(row.expires_at, now)
    return TokenLine(
        name=row.name,
        hint=row.hint,
        role=RoleLine(row.role, row.namespace),
        made=Moment(row.created_at, now),
        used=Moment(row.last_used_at or 0.0, now),
        expires=expires.iso[:10],
        expired=row.expires_at <= now,
    )
