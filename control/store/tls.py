"""The certificates of Ingresses, out of Secrets. One that cannot serve is left out, and its Secret says why."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable

from control.models import Secret
from control.store import objects
from deployer.core.network.values import RoutedIngress, TlsPair
from deployer.core.tls_pair import CERTIFICATE, KEY, pair_problem, pair_text


def tls_pairs(ingresses: Iterable[RoutedIngress], now: float) -> tuple[TlsPair, ...]:
    """Sorted by namespace and name. A Secret that does not exist is absent: the router's configuration says so."""
    wanted = {(one.namespace, tls.secret_name) for one in ingresses for tls in one.spec.tls if tls.secret_name}
    if not wanted:
        return ()
    rows = Secret.objects.filter(name__in={name for _, name in wanted}, deleted_at=None).order_by("namespace", "name")
    found = (_pair(row, now) for row in rows if (row.namespace, row.name) in wanted)
    return tuple(pair for pair in found if pair is not None)


def _pair(row: Secret, now: float) -> TlsPair | None:
    """Written anew out of what was read, for HAProxy sees more in a text than its first key and its certificates."""
    values = row.sealed.load()
    try:
        certificate, key = (base64.b64decode(values[name]) for name in (CERTIFICATE, KEY))
        trouble = str(pair_problem(certificate, key) or "")
    except KeyError as missing:
        trouble = f"it has no key {missing.args[0]}"
    except binascii.Error:
        trouble = f"{CERTIFICATE} and {KEY} must be PEM in base64"
    if trouble:
        words = f"Secret {row.namespace}/{row.name} cannot be used for TLS: {trouble}"
        objects.record_once("Secret", row.namespace, row.name, "Warning", "BadCertificate", words, at=now)
        return None
    return TlsPair(row.namespace, row.name, *pair_text(certificate, key))
