"""The certificates of Ingresses, out of Secrets. One that cannot serve is left out, and its Secret says why."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable

from control.models import Secret
from control.store import objects
from control.store.identities import Certificates
from deployer.core.network.values import RoutedIngress, TlsPair

_CERTIFICATE, _KEY = "tls.crt", "tls.key"


def tls_pairs(ingresses: Iterable[RoutedIngress], certificates: Certificates, now: float) -> tuple[TlsPair, ...]:
    """Sorted by namespace and name. A Secret that does not exist is absent: the router's configuration says so."""
    wanted = {(one.namespace, tls.secret_name) for one in ingresses for tls in one.spec.tls if tls.secret_name}
    if not wanted:
        return ()
    rows = Secret.objects.filter(name__in={name for _, name in wanted}, deleted_at=None).order_by("namespace", "name")
    found = (_pair(row, certificates, now) for row in rows if (row.namespace, row.name) in wanted)
    return tuple(pair for pair in found if pair is not None)


def _pair(row: Secret, certificates: Certificates, now: float) -> TlsPair | None:
    values = row.sealed.load()
    try:
        texts = [base64.b64decode(values[name]).decode("ascii") for name in (_CERTIFICATE, _KEY)]
        trouble = certificates.matches(*texts)
    except KeyError as missing:
        trouble = f"it has no key {missing.args[0]}"
    except (binascii.Error, UnicodeDecodeError):
        trouble = f"{_CERTIFICATE} and {_KEY} must be PEM"
    if trouble:
        words = f"Secret {row.namespace}/{row.name} cannot be used for TLS: {trouble}"
        objects.record_once("Secret", row.namespace, row.name, "Warning", "BadCertificate", words, at=now)
        return None
    return TlsPair(row.namespace, row.name, *texts)
