"""What somebody may do where. Deciding is pure; `rights_of` and `rights_of_token` read what it decides on.

roles          {"": "viewer", "shop": "operator"}: looks everywhere, acts in shop
a token        its own role and namespace, cut down to what its owner may do now
a superuser    {"": "admin"}, always
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser

from control.models import ADMIN, ROLES, ApiToken, RoleBinding

EVERYWHERE = ""
_RANK = {role: rank for rank, role in enumerate(ROLES, 1)}


@dataclass(frozen=True, slots=True)
class Rights:
    """`roles`: {namespace: role}, with "" for all namespaces. None at all: deny everything."""

    roles: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.roles)

    def may(self, role: str, namespace: str = EVERYWHERE) -> bool:
        """Whether this is at least `role` in `namespace`; for "": in all of them."""
        return self.rank(namespace) >= _RANK[role]

    def rank(self, namespace: str) -> int:
        return max(_RANK.get(self.roles.get(place, ""), 0) for place in (namespace, EVERYWHERE))

    @property
    def namespaces(self) -> frozenset[str] | None:
        """The namespaces that are seen; None: all of them."""
        return None if self.rank(EVERYWHERE) else frozenset(self.roles)

    def within(self, role: str, namespace: str) -> Rights:
        """No more than `role` in `namespace` of it: {"": operator}.within("admin", "shop") is {"shop": operator}."""
        kept = {namespace: self.rank(namespace)} if namespace else {at: self.rank(at) for at in self.roles}
        return Rights({at: ROLES[min(rank, _RANK[role]) - 1] for at, rank in kept.items() if rank})


def rights_of(person: AbstractBaseUser | AnonymousUser) -> Rights:
    """Nobody who is not signed in, or is disabled, may do anything."""
    if not person.is_active:
        return Rights()
    if getattr(person, "is_superuser", False):
        return Rights({EVERYWHERE: ADMIN})
    bindings = RoleBinding.objects.filter(subject_id=person.pk, role__in=ROLES)
    return Rights(dict(bindings.values_list("namespace", "role")))


def rights_of_token(token: ApiToken) -> Rights:
    return rights_of(token.owner).within(token.role, token.namespace)
