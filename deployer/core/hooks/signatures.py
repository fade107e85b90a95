"""Who sent it: each provider's way to prove that it knows the secret, on the body as it came, in constant time."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable

from deployer.core.hooks.values import HookRefused, Received

TOLERANCE_SECONDS = 300.0
"""How far the sender's clock may be from ours (Standard Webhooks leaves it to the receiver; Stripe's is the same)."""
SEALED_PREFIX = "whsec_"
Proof = Callable[[Received, str], bool]
"""Whether this request was proven with this secret. May raise HookRefused for what no secret could save."""


def hexadecimal(header: str, prefix: str = "") -> Proof:
    """HMAC-SHA256 of the body in hexadecimal digits: GitHub, Gitea, Forgejo, Bitbucket."""

    def check(received: Received, secret: str) -> bool:
        expected = prefix + hmac.new(secret.encode(), received.body, hashlib.sha256).hexdigest()
        return _same(received.header(header), expected)

    return check


def any_of(*proofs: Proof) -> Proof:
    return lambda received, secret: any(proof(received, secret) for proof in proofs)


def shared(header: str) -> Proof:
    """The secret itself in a header: GitLab's older way."""
    return lambda received, secret: _same(received.header(header), secret)


def bearer(received: Received, secret: str) -> bool:
    """The secret as a bearer token: what a registry can be configured to send."""
    scheme, _, token = received.header("authorization").partition(" ")
    return scheme.lower() == "bearer" and _same(token.strip(), secret)


def basic(received: Received, secret: str) -> bool:
    """The secret as the password of HTTP Basic, with any user name: Azure DevOps' service hooks."""
    scheme, _, encoded = received.header("authorization").partition(" ")
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return False
    return scheme.lower() == "basic" and _same(decoded.partition(":")[2], secret)


def standard(received: Received, secret: str) -> bool:
    """Standard Webhooks (standardwebhooks.com): `v1,BASE64` of the HMAC-SHA256 of `ID.TIMESTAMP.BODY`.

    The header may hold several signatures. Also GitLab's signing tokens. The key is what follows `whsec_`, from base64.
    """
    identity, timestamp = received.header("webhook-id"), received.header("webhook-timestamp")
    signed = b".".join((identity.encode(), timestamp.encode(), received.body))
    digest = hmac.new(_key(secret), signed, hashlib.sha256).digest()
    expected = "v1," + base64.b64encode(digest).decode()
    found = any(_same(one, expected) for one in received.header("webhook-signature").split())
    if found and not _is_fresh(timestamp, received.at):
        raise HookRefused(
            401,
            f"webhook-timestamp {timestamp[:20]!r} is not within {TOLERANCE_SECONDS:g} s of this machine's clock "
            f"({received.at:.0f}): it was replayed, or a clock is wrong",
        )
    return found


def gitlab(received: Received, secret: str) -> bool:
    """A signature where there is one, whatever token comes along; else the token."""
    if received.header("webhook-signature"):
        return standard(received, secret)
    return shared("x-gitlab-token")(received, secret)


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(SEALED_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return secret.encode()


def _is_fresh(timestamp: str, now: float) -> bool:
    return timestamp.isascii() and timestamp.isdigit() and abs(int(timestamp[:18]) - now) <= TOLERANCE_SECONDS


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(errors="surrogateescape"), expected.encode())
