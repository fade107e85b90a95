"""Certificates and when they end: the cluster's own, those of the routers, and those of Ingresses."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass

from control.models import Authority, Router, Secret
from control.models.sealed import SealError
from control.selectors.expiry import Expiry, expiry
from control.selectors.words import sentence

ROUTERS_SHOWN, SECRETS_READ = 10, 50
CERTIFICATE = "tls.crt"
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Certificate:
    """Whose it is, and when it ends; `problem` says why that is not known."""

    owner: str
    expiry: Expiry | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Certificates:
    """`routers`: those that end first, by node; `more` are not listed."""

    cluster: tuple[Certificate, ...]
    routers: tuple[Certificate, ...]
    more: int


def cluster_certificates(now: float) -> Certificates:
    """Three queries, and one certificate that is unsealed."""
    ending = Router.objects.filter(expires_at__gt=0).order_by("expires_at", "node__name")
    named = ending.values_list("node__name", "expires_at")[:ROUTERS_SHOWN]
    shown = tuple(Certificate(name, expiry(at, now, renewed=True)) for name, at in named)
    return Certificates(tuple(_cluster(now)), shown, ending.count() - len(shown))


def secret_certificates(keys: Iterable[Key], now: float) -> dict[Key, Certificate]:
    """Of TLS Secrets by (namespace, name). So many are unsealed at most; one query, none for none."""
    wanted = sorted(set(keys))[:SECRETS_READ]
    if not wanted:
        return {}
    rows = Secret.objects.filter(namespace__in={one for one, _ in wanted}, name__in={one for _, one in wanted})
    mine = [row for row in rows.filter(deleted_at=None) if (row.namespace, row.name) in wanted]
    return {(row.namespace, row.name): _of_secret(row, now) for row in mine}


def _cluster(now: float) -> Iterable[Certificate]:
    row = Authority.objects.filter(pk=1).first()
    if row is None:
        return
    try:
        text = str(row.ca.load().get("certificate", ""))
        yield Certificate("the cluster's authority", expiry(_ends(text.encode()), now))
    except (SealError, ValueError):
        yield Certificate("the cluster's authority", None, "it cannot be read: the encryption key is another one")
    if row.control_expires_at:
        yield Certificate("the control plane", expiry(row.control_expires_at, now, renewed=True))


def _of_secret(row: Secret, now: float) -> Certificate:
    owner = f"{row.namespace}/{row.name}"
    try:
        pem = base64.b64decode(row.sealed.load().get(CERTIFICATE, ""))
        ends = _ends(pem)
    except (SealError, ValueError, binascii.Error):
        return Certificate(sentence(owner), None, "its certificate cannot be read")
    return Certificate(sentence(owner), expiry(ends, now), "" if ends else "it has no certificate")


def _ends(pem: bytes) -> float:
    """0 for no text. Of a chain the first to end: with it all of them are of no use."""
    from cryptography import x509

    if not pem.strip():
        return 0
    return min(one.not_valid_after_utc.timestamp() for one in x509.load_pem_x509_certificates(pem))
