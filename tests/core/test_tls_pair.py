"""A certificate and a key: what can serve, and what is said about what cannot."""

from __future__ import annotations

import base64
import datetime
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from deployer.core.tls_pair import MOST_KEY_BYTES, pair_problem

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | dsa.DSAPrivateKey
FROM = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


@cache
def key_of(kind: str, number: int = 0) -> Key:
    """A key of this kind; another `number`, another key."""
    match kind:
        case "ec":
            return ec.generate_private_key(ec.SECP256R1())
        case "ed25519":
            return ed25519.Ed25519PrivateKey.generate()
        case "dsa":
            return dsa.generate_private_key(1024)
        case _:
            return rsa.generate_private_key(65537, int(kind.removeprefix("rsa")))


@cache
def certificate(kind: str = "ec", number: int = 0) -> bytes:
    key = key_of(kind, number)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "shop.example")])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, FROM, FROM + datetime.timedelta(days=1))
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return made.sign(key, algorithm).public_bytes(Encoding.PEM)


def key(
    kind: str = "ec", number: int = 0, *, form: PrivateFormat = PrivateFormat.PKCS8, password: bytes = b""
) -> bytes:
    lock = BestAvailableEncryption(password) if password else NoEncryption()
    return key_of(kind, number).private_bytes(Encoding.PEM, form, lock)


OLD = PrivateFormat.TraditionalOpenSSL
PARAMETERS = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"


@pytest.mark.parametrize("kind", ["ec", "ed25519", "rsa2048"])
def test_a_pair_can_serve(kind: str) -> None:
    assert pair_problem(certificate(kind), key(kind)) is None


@pytest.mark.parametrize(
    ("given", "private"),
    [
        pytest.param(certificate() + certificate(number=1), key(), id="with its chain"),
        pytest.param(b"subject=/CN=x\r\n" + certificate().replace(b"\n", b"\r\n"), key(), id="with text, CRLF"),
        pytest.param(certificate(), PARAMETERS + key(form=OLD), id="as `openssl ecparam -genkey` writes it"),
    ],
)
def test_what_openssl_writes_can_serve(given: bytes, private: bytes) -> None:
    assert pair_problem(given, private) is None


@pytest.mark.parametrize(
    ("given", "private", "said"),
    [
        pytest.param(certificate(), key(number=1), "tls.key does not belong to the certificate in tls.crt", id="other"),
        pytest.param(certificate(), key("ed25519"), "tls.key does not belong to the", id="another kind"),
        pytest.param(certificate(number=1) + certificate(), key(), "tls.crt begins with another", id="order"),
        pytest.param(key(), certificate(), "tls.crt is not a certificate in PEM", id="swapped"),
        pytest.param(certificate(), certificate(), "tls.key is not a private key in PEM", id="no key"),
        pytest.param(certificate(), key() + key(number=1), "tls.key holds 2 private keys", id="two keys"),
        pytest.param(certificate(), key(password=b"hush"), "tls.key is encrypted", id="encrypted"),
        pytest.param(certificate(), key(form=OLD, password=b"hush"), "tls.key is encrypted", id="encrypted, old"),
        pytest.param(certificate(), key().replace(b"M", b"N", 1), "tls.key is not a private key that", id="a slip"),
        pytest.param(certificate()[:-40], key(), "tls.crt is not a certificate in PEM", id="cut short"),
        pytest.param(b"", b"", "tls.crt is not a certificate in PEM", id="nothing"),
        pytest.param(b"\xff\x00", key(), "tls.crt is not a certificate in PEM", id="bytes"),
        pytest.param(certificate() * 500, key(), "tls.crt is not a certificate in PEM", id="endless chain"),
        pytest.param(certificate(), key() + b"x" * MOST_KEY_BYTES, "tls.key has", id="endless key"),
        pytest.param(certificate("rsa1024"), key("rsa1024"), "tls.crt has an RSA key of 1024 bits, 20", id="weak"),
        pytest.param(certificate("dsa"), key("dsa"), "tls.crt has a key of a kind that TLS does not use", id="DSA"),
    ],
)  # fmt: skip
def test_what_cannot_serve_says_why(given: bytes, private: bytes, said: str) -> None:
    problem = pair_problem(given, private)
    assert problem is not None
    assert str(problem).startswith(said)
    assert problem.remedy
    assert all(line not in str(problem) for line in private.decode("latin-1").splitlines() if len(line) > 30)


def test_a_damaged_rsa_key_is_found_without_looking_for_primes() -> None:
    """The library's own check of this key, whose primes are Mersenne's, takes 6 seconds and more."""
    p, q, e = 2**4423 - 1, 2**4253 - 1, 17
    d = pow(e, -1, (p - 1) * (q - 1))
    numbers = [0, p * q, e, d, p, q, d % (p - 1), d % (q - 1) + 2, pow(q, -1, p)]
    body = b"".join(_der(2, number.to_bytes(number.bit_length() // 8 + 1, "big")) for number in numbers)
    pem = _pem(b"RSA PRIVATE KEY", _der(0x30, body))
    problem = pair_problem(certificate(), pem)
    assert problem is not None
    assert problem.part == "tls.key"
    assert problem.message == "is damaged: its numbers do not fit together"


def _der(tag: int, content: bytes) -> bytes:
    size = len(content).to_bytes((len(content).bit_length() + 7) // 8 or 1, "big")
    return bytes([tag]) + (size if len(content) < 128 else bytes([128 + len(size)]) + size) + content


def _pem(name: bytes, content: bytes) -> bytes:
    return b"-----BEGIN %s-----\n%s-----END %s-----\n" % (name, base64.encodebytes(content), name)
