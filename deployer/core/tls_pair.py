"""A TLS Secret's certificate and key: whether they are what they say, and belong together.

One pair that does not would keep the router from taking any new configuration, so it is found out when the manifest is
read, and again before a router is given it. Neither is ever quoted. Expiry is not looked at: there is no clock here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

TLS_TYPE = "kubernetes.io/tls"
CERTIFICATE, KEY = "tls.crt", "tls.key"
LEAST_RSA_BITS = 2048
"""TLS libraries refuse smaller ones (OpenSSL's security level 2)."""
MOST_KEY_BYTES, MOST_CERTIFICATE_BYTES = 16 * 1024, 128 * 1024
"""An RSA key of 16384 bits has 12 KiB."""

_KEY_BLOCK = re.compile(rb"-----BEGIN ([A-Z ]*)PRIVATE KEY-----.*?-----END \1PRIVATE KEY-----", re.DOTALL)
_SERVED = (rsa.RSAPublicKey, ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)

_NO_CERTIFICATE = "write -----BEGIN CERTIFICATE-----, in base64 under data or as it is under stringData"
_NO_KEY = "write an unencrypted -----BEGIN PRIVATE KEY-----, in base64 under data or as it is under stringData"
_BETTER = "make one with RSA (2048 bits) or ECDSA (P-256)"


@dataclass(frozen=True, slots=True)
class PairProblem:
    """What is wrong: `part` is tls.crt or tls.key, `message` goes after it, `remedy` says what to do."""

    part: str
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.part} {self.message} ({self.remedy})"


def pair_problem(certificate: bytes, key: bytes) -> PairProblem | None:
    """None when a router can serve with this pair (PEM; the certificate may be followed by its chain)."""
    chain = _chain(certificate)
    if not chain:
        return PairProblem(CERTIFICATE, "is not a certificate in PEM", _NO_CERTIFICATE)
    own = _public_key(key)
    if isinstance(own, str):
        return PairProblem(KEY, own, _NO_KEY)
    places = [place for place, one in enumerate(chain) if _of(one) == own]
    if not places:
        message = f"does not belong to the certificate in {CERTIFICATE}"
        return PairProblem(KEY, message, "put the two that were made together")
    if places[0] != 0:
        message = f"begins with another certificate than that of {KEY}"
        return PairProblem(CERTIFICATE, message, "put its own first, then the chain")
    return _weakness(chain[0])


def _chain(text: bytes) -> list[x509.Certificate]:
    if len(text) > MOST_CERTIFICATE_BYTES:
        return []
    try:
        return x509.load_pem_x509_certificates(text)
    except (ValueError, UnsupportedAlgorithm):
        return []


def _public_key(text: bytes) -> bytes | str:
    """The public half, or why there is none. OpenSSL may have put the curve's parameters in front of the key."""
    if len(text) > MOST_KEY_BYTES:
        return f"has {len(text)} bytes, no key is longer than {MOST_KEY_BYTES}"
    blocks = list(_KEY_BLOCK.finditer(text))
    if len(blocks) != 1:
        return "is not a private key in PEM" if not blocks else f"holds {len(blocks)} private keys"
    try:
        # Without the library's own check, which looks for primes: a hostile key of 15 KB would cost it 50 seconds.
        found = load_pem_private_key(blocks[0].group(0), password=None, unsafe_skip_rsa_key_validation=True)
        if isinstance(found, rsa.RSAPrivateKey) and not _is_consistent(found.private_numbers()):
            return "is damaged: its numbers do not fit together"
        return found.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except TypeError:
        return "is encrypted, and nobody is there to type its password"
    except (ValueError, UnsupportedAlgorithm):
        return "is not a private key that can be read"


def _is_consistent(key: rsa.RSAPrivateNumbers) -> bool:
    p, q, d = key.p, key.q, key.d
    if p < 3 or q < 3 or p * q != key.public_numbers.n:
        return False
    fits = all(key.public_numbers.e * d % (prime - 1) == 1 for prime in (p, q))
    return fits and (key.dmp1, key.dmq1) == (d % (p - 1), d % (q - 1)) and key.iqmp * q % p == 1


def _of(certificate: x509.Certificate) -> bytes:
    """The public key in a certificate, b"" for one of an unknown kind."""
    try:
        return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm):
        return b""


def _weakness(certificate: x509.Certificate) -> PairProblem | None:
    public = certificate.public_key()
    if not isinstance(public, _SERVED):
        return PairProblem(CERTIFICATE, "has a key of a kind that TLS does not use", _BETTER)
    if isinstance(public, rsa.RSAPublicKey) and public.key_size < LEAST_RSA_BITS:
        message = f"has an RSA key of {public.key_size} bits, {LEAST_RSA_BITS} are the least"
        return PairProblem(CERTIFICATE, message, _BETTER)
    return None
