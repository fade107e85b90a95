"""Who may speak on the mesh: the cluster's authority, each router's certificate, the control plane's; who no longer.

A certificate lasts 90 days and is made anew after 60. Everything is issued under the lock of the Authority's row; keys
are sealed at rest. How a certificate is made is the business of `adapters/authority.py`, which is handed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from django.conf import settings
from django.db import transaction

from control.models import Authority, Node, Router
from control.store.addresses import lock
from deployer.core.network.endpoints import node_label
from deployer.core.network.values import Identity

LASTING_SECONDS = 90 * 86400.0
RENEWED_BEFORE_SECONDS = LASTING_SECONDS / 3
"""Before a certificate ends; so it is renewed when two thirds of its time are over."""
CONTROL_NAME = "pierhead-control"


class Certificates(Protocol):
    """The module `deployer.adapters.authority`; what it issues has certificate, key, serial and expires_at."""

    def make_authority(self, name: str, now: float) -> Any: ...
    def issue(self, authority: Any, common_name: str, names: Sequence[str], now: float, seconds: float) -> Any: ...
    def revocation_list(self, authority: Any, revoked: Sequence[tuple[int, float]], now: float) -> str: ...


@dataclass(frozen=True, slots=True)
class Signer:
    """The authority as it is kept."""

    certificate: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Identities:
    """What a router and the control plane prove themselves with, and when the first of it is to be made anew."""

    node: Identity
    control: Identity
    renew_at: float


def identities(node: str, certificates: Certificates, now: float) -> Identities | None:
    """What is on record, made where it is missing or nearly over. None when the node is gone."""
    router, authority = Router.objects.filter(pk=node).first(), Authority.objects.filter(pk=1).first()
    if router is None or authority is None or not _is_fresh(router, authority, now):
        with transaction.atomic():
            authority = lock()
            if not Node.objects.filter(pk=node).exists():
                return None
            _complete(authority, certificates, now)
            router = _certified(node, authority, certificates, now)
    ca, ending = authority.ca.load(), min(router.expires_at, authority.control_expires_at)
    own, control = router.identity.load(), authority.control.load()
    return Identities(
        node=Identity(own["certificate"], own["key"], ca["certificate"], authority.revocation_list),
        control=Identity(control["certificate"], control["key"], ca["certificate"], authority.revocation_list),
        renew_at=ending - RENEWED_BEFORE_SECONDS,
    )


def revoke(node: str, now: float) -> None:
    """A node that is removed: its certificate is not accepted any more. The list is made at the next look at it."""
    serial = Router.objects.filter(pk=node).exclude(serial="").values_list("serial", flat=True).first()
    if serial is None:
        return
    with transaction.atomic():
        authority = lock()
        still = [[one, at] for one, at in authority.revoked if at > now - LASTING_SECONDS]
        authority.revoked, authority.revocation_list = [*still, [serial, now]], ""
        authority.save(update_fields=["revoked", "revocation_list"])


def _is_fresh(router: Router, authority: Authority, now: float) -> bool:
    ending = min(router.expires_at, authority.control_expires_at)
    return ending - RENEWED_BEFORE_SECONDS > now and bool(authority.revocation_list)


def _complete(authority: Authority, certificates: Certificates, now: float) -> None:
    """The authority, the control plane's certificate and the list of revoked ones."""
    if not authority.ca.load():
        made = certificates.make_authority(f"Pierhead {settings.PIERHEAD.cluster_id}", now)
        authority.ca.store({"certificate": made.certificate, "key": made.key})
    signer = Signer(**authority.ca.load())
    if authority.control_expires_at - RENEWED_BEFORE_SECONDS <= now:
        made = certificates.issue(signer, CONTROL_NAME, (), now, LASTING_SECONDS)
        authority.control.store({"certificate": made.certificate, "key": made.key})
        authority.control_expires_at = made.expires_at
    if not authority.revocation_list:
        revoked = [(int(serial), at) for serial, at in authority.revoked]
        authority.revocation_list = certificates.revocation_list(signer, revoked, now)
    authority.save()


def _certified(node: str, authority: Authority, certificates: Certificates, now: float) -> Router:
    router = Router.objects.filter(pk=node).first() or Router(node_id=node, changed_at=now)
    if router.expires_at - RENEWED_BEFORE_SECONDS <= now:
        label = node_label(node)
        made = certificates.issue(Signer(**authority.ca.load()), label, (f"*.{label}.mesh",), now, LASTING_SECONDS)
        router.identity.store({"certificate": made.certificate, "key": made.key})
        router.serial, router.expires_at = str(made.serial), made.expires_at
        router.save(update_fields=None if router._state.adding else ["identity", "serial", "expires_at"])
    return router
