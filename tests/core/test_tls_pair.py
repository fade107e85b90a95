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

from deployer.core.tls_pair import MOST_KEY_BYTES, pair_problem, pair_text

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
        case "ec192":
            return ec.generate_private_key(ec.SECP192R1())
        case "ec224":
            return ec.generate_private_key(ec.SECP224R1())
        case "dsa":
            return dsa.generate_private_key(1024)
        case _:
            return rsa.generate_private_key(65537, int(kind.removeprefix("rsa")))


RSA_WITH = bytes.fromhex("2a864886f70d0101")
"""PKCS 1; the next byte of the object identifier names the hash."""
HASHES = {"md5": b"\x04", "sha1": b"\x05", "sha256": b"\x0b", "sha224": b"\x0e"}


def _pem(name: bytes, content: bytes) -> bytes:
    text = base64.b64encode(content)
    lines = b"\n".join(text[place : place + 64] for place in range(0, len(text), 64))
    return b"-----BEGIN %s-----\n%s\n-----END %s-----\n" % (name, lines, name)


@cache
def certificate(kind: str = "ec", number: int = 0, *, by: str = "", digest: str = "sha256", akid: bytes = b"") -> bytes:
    """Signed by itself, or by the first key of the kind `by`. `akid`: an authority key identifier.

    Another hash is written over that of an RSA signature, which nobody verifies here.
    """
    key, signer = key_of(kind, number), key_of(by or kind, 0 if by else number)
    names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]) for name in ("shop.example", "ca")]
    made = x509.CertificateBuilder(
        names[bool(by)], names[0], key.public_key(), 1, FROM, FROM + datetime.timedelta(days=1)
    )
    if akid:
        own = x509.SubjectKeyIdentifier(b"own")
        made = made.add_extension(own, False).add_extension(x509.AuthorityKeyIdentifier(akid, None, None), False)
    algorithm = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    signed = made.sign(signer, algorithm).public_bytes(Encoding.DER)
    return _pem(b"CERTIFICATE", signed.replace(RSA_WITH + HASHES["sha256"], RSA_WITH + HASHES[digest]))


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


Chain = tuple[str, tuple[bytes, ...], str]
CHAINS: tuple[Chain, ...] = (
    ("ec224", (certificate("ec224"),), ""),
    ("ec", (certificate(by="rsa2048", digest="sha224"), certificate("rsa2048")), ""),
    ("rsa2048", (certificate("rsa2048", digest="sha1"),), ""),
    ("ec", (certificate(by="rsa2048"), certificate("rsa2048", digest="sha1")), ""),
    ("rsa2048", (certificate("rsa2048", digest="md5", akid=b"own"),), ""),
    ("rsa2048", (certificate("rsa2048", digest="sha1", akid=b"other"),), "has a signature with SHA1"),
    ("ec", (certificate(by="rsa2048", digest="md5"),), "has a signature with MD5"),
    ("ec", (certificate(by="rsa2048", digest="sha1"),), "has a signature with SHA1"),
    ("ec", (certificate(), certificate("ec", 1, by="rsa2048", digest="sha1")), "(certificate 2) a signature with SHA1"),
    ("ec", (certificate(), certificate("rsa1024")), "(certificate 2) an RSA key of 1024 bits, 2048 are the least"),
    ("ec192", (certificate("ec192"),), "has a key on a curve of 192 bits, 224 are the least"),
    ("ec", (certificate(), certificate("ec192")), "(certificate 2) a key on a curve of 192 bits, 224 are the least"),
    ("ec", (certificate(), certificate("dsa")), "(certificate 2) a key of a kind that TLS does not use"),
)  # fmt: skip
"""The first one's key, the chain, what is said about it."""


@pytest.mark.parametrize(("kind", "chain", "said"), CHAINS)
def test_every_certificate_of_the_chain_is_looked_at(kind: str, chain: tuple[bytes, ...], said: str) -> None:
    problem = pair_problem(b"".join(chain), key(kind))
    assert (problem is None) == (not said)
    assert problem is None or (problem.part == "tls.crt" and said in problem.message)


@pytest.mark.parametrize("kind", ["ec", "ed25519", "rsa2048"])
def test_a_pair_is_written_anew_without_what_stood_around_it(kind: str) -> None:
    """A second key among the certificates, and a line that another reader may take for a certificate's."""
    given = b"words\r\n" + certificate(kind) + key("ec", 1) + certificate(number=1) + b"  -----BEGIN NOTHING-----\n"
    private = PARAMETERS + key(kind) + b"  -----BEGIN CERTIFICATE-----\n  words\n"
    assert pair_problem(given, private) is None
    expected = ((certificate(kind) + certificate(number=1)).decode(), key(kind).decode())
    assert pair_text(given, private) == expected
    assert pair_text(*map(str.encode, expected)) == expected
    with pytest.raises(ValueError, match=r"tls\.key holds 2 private keys"):
        pair_text(given, private + key("ec", 1))


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
