"""A TLS Secret's certificate and key: whether they are what they say, belong together, and are taken by a router.

One pair that is not would keep the router from taking any new configuration, so it is found out when the manifest is
read, and again before a router is given it; and a router is given what was read here (`pair_text`), never the text
itself, in which another reader may see more. Neither is ever quoted. Expiry is not looked at: there is no clock here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import PublicKeyAlgorithmOID

TLS_TYPE = "kubernetes.io/tls"
CERTIFICATE, KEY = "tls.crt", "tls.key"
LEAST_RSA_BITS, LEAST_CURVE_BITS = 2048, 224
"""TLS libraries refuse smaller ones, of the chain, too (OpenSSL's security level 2)."""
MOST_KEY_BYTES, MOST_CERTIFICATE_BYTES = 16 * 1024, 128 * 1024
"""An RSA key of 16384 bits has 12 KiB."""

_KEY_BLOCK = re.compile(rb"-----BEGIN ([A-Z ]*)PRIVATE KEY-----.*?-----END \1PRIVATE KEY-----", re.DOTALL)
_SERVED = (rsa.RSAPublicKey, ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)
_BROKEN_HASHES = frozenset({"md5", "sha1"})
_SIGNED_BY = {"1.2.840.113549.1.1": rsa.RSAPublicKey, "1.2.840.10045.4": ec.EllipticCurvePublicKey}
"""Which keys make the signatures whose object identifiers begin so (PKCS 1; ANSI X9.62)."""

_NO_CERTIFICATE = "write -----BEGIN CERTIFICATE-----, in base64 under data or as it is under stringData"
_NO_KEY = "write an unencrypted -----BEGIN PRIVATE KEY-----, in base64 under data or as it is under stringData"
_BETTER = "make one with RSA (2048 bits) or ECDSA (P-256)"
_SIGN_AGAIN = "have it signed with SHA-256"


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
    private = _private_key(key)
    if isinstance(private, str):
        return PairProblem(KEY, private, _NO_KEY)
    own = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    places = [place for place, one in enumerate(chain) if _of(one) == own]
    if not places:
        message = f"does not belong to the certificate in {CERTIFICATE}"
        return PairProblem(KEY, message, "put the two that were made together")
    if places[0] != 0:
        message = f"begins with another certificate than that of {KEY}"
        return PairProblem(CERTIFICATE, message, "put its own first, then the chain")
    return next((problem for place, one in enumerate(chain) if (problem := _weakness(one, place))), None)


def pair_text(certificate: bytes, key: bytes) -> tuple[str, str]:
    """The chain and the key (PKCS8) written anew in PEM, without whatever else stood in the texts.

    For pairs without a `pair_problem`; raises ValueError for what cannot be read.
    """
    private = _private_key(key)
    if isinstance(private, str):
        raise ValueError(f"{KEY} {private}")
    chain = "".join(one.public_bytes(Encoding.PEM).decode("ascii") for one in _chain(certificate))
    return chain, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")


def _chain(text: bytes) -> list[x509.Certificate]:
    if len(text) > MOST_CERTIFICATE_BYTES:
        return []
    try:
        return x509.load_pem_x509_certificates(text)
    except (ValueError, UnsupportedAlgorithm):
        return []


def _private_key(text: bytes) -> PrivateKeyTypes | str:
    """The key, or why there is none. OpenSSL may have put the curve's parameters in front of it."""
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
        return found
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


def _weakness(certificate: x509.Certificate, place: int) -> PairProblem | None:
    """What a TLS library finds too weak in the certificate, or in one of its chain (`place` 1 and more)."""
    whose = f"has in its chain (certificate {place + 1})" if place else "has"
    if message := _weak_key(certificate):
        return PairProblem(CERTIFICATE, f"{whose} {message}", _BETTER)
    try:
        algorithm = certificate.signature_hash_algorithm  # none with Ed25519 and Ed448
    except (ValueError, UnsupportedAlgorithm):
        return PairProblem(CERTIFICATE, f"{whose} a signature of an unknown kind", _SIGN_AGAIN)
    if algorithm is not None and algorithm.name in _BROKEN_HASHES and not _is_self_signed(certificate):
        return PairProblem(CERTIFICATE, f"{whose} a signature with {algorithm.name.upper()}", _SIGN_AGAIN)
    return None


def _weak_key(certificate: x509.Certificate) -> str:
    try:
        public = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return "a key of an unknown kind"
    # A key that is for RSASSA-PSS alone is not told apart from others of RSA once it is read, and would be written so.
    is_pss = certificate.public_key_algorithm_oid == PublicKeyAlgorithmOID.RSASSA_PSS
    if is_pss or not isinstance(public, _SERVED):
        return "a key of a kind that TLS does not use"
    if isinstance(public, rsa.RSAPublicKey) and public.key_size < LEAST_RSA_BITS:
        return f"an RSA key of {public.key_size} bits, {LEAST_RSA_BITS} are the least"
    if isinstance(public, ec.EllipticCurvePublicKey) and public.key_size < LEAST_CURVE_BITS:
        return f"a key on a curve of {public.key_size} bits, {LEAST_CURVE_BITS} are the least"
    return ""


def _is_self_signed(certificate: x509.Certificate) -> bool:
    """Nobody relies on such a signature, so its hash does not matter. Never true where OpenSSL (EXFLAG_SS) says no,
    which does not look at the signature itself either."""
    kind = _SIGNED_BY.get(certificate.signature_algorithm_oid.dotted_string.rpartition(".")[0])
    try:
        own = kind is not None and isinstance(certificate.public_key(), kind)
        return own and certificate.subject == certificate.issuer and _names_itself(certificate)
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return False


def _names_itself(certificate: x509.Certificate) -> bool:
    """Whether the authority's key identifier, where there is one, means this certificate (X509_check_akid)."""
    try:
        named = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
        own = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound as missing:
        return missing.oid == x509.AuthorityKeyIdentifier.oid
    issuers = (None, [x509.DirectoryName(certificate.issuer)])
    serials = (None, certificate.serial_number)
    return (
        named.key_identifier in (None, own)
        and named.authority_cert_issuer in issuers
        and named.authority_cert_serial_number in serials
    )
