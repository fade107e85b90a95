"""The cluster's own certificate authority: who may speak on the mesh, and who no longer may.

Keys are EC P-256, texts are PEM. Certificates carry what strict verifiers ask for (key identifiers, key usage), serial
numbers are random and positive, and a certificate starts five minutes before it is issued, for hosts whose clocks run
late. Nothing here is kept: the caller stores what is issued, keys sealed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_EARLIER = timedelta(minutes=5)
_LONG = timedelta(days=3650)
_LONGEST_COMMON_NAME = 64


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its key, PEM. `expires_at`: seconds since the epoch, UTC."""

    certificate: str
    key: str = field(repr=False)
    serial: int
    expires_at: float


def make_authority(name: str, now: float) -> Issued:
    """A new authority, valid for ten years. It signs certificates and revocation lists, no other authorities."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _named(name)
    builder = (
        _builder(subject, subject, key.public_key(), now, _LONG)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    )
    return _issued(builder.sign(key, hashes.SHA256()), key)


def issue(authority: Issued, common_name: str, names: Sequence[str], now: float, seconds: float) -> Issued:
    """A certificate for servers and clients; `names` are DNS names ("*.n12.mesh"), possibly none."""
    issuer, issuer_key = _read(authority)
    key = ec.generate_private_key(ec.SECP256R1())
    purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    builder = (
        _builder(_named(common_name), issuer.subject, key.public_key(), now, timedelta(seconds=seconds))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(purposes, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
    return _issued(builder.sign(issuer_key, hashes.SHA256()), key)


def revocation_list(authority: Issued, revoked: Sequence[tuple[int, float]], now: float) -> str:
    """The PEM list of revoked certificates (serial, revoked_at); valid for ten years, an empty one too."""
    issuer, issuer_key = _read(authority)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.subject)
        .last_update(_time(now) - _EARLIER)
        .next_update(_time(now) + _LONG)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .add_extension(x509.CRLNumber(int(now)), critical=False)
    )
    for serial, revoked_at in sorted(set(revoked)):
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(_time(revoked_at))
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, now: float, lasting: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_time(now) - _EARLIER)
        .not_valid_after(_time(now) + lasting)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _issued(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Issued:
    plain = serialization.NoEncryption()
    key_pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    return Issued(
        certificate.public_bytes(serialization.Encoding.PEM).decode(),
        key_pem.decode(),
        certificate.serial_number,
        certificate.not_valid_after_utc.timestamp(),
    )


def _read(authority: Issued) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = serialization.load_pem_private_key(authority.key.encode(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("an authority's key is an elliptic curve's")
    return x509.load_pem_x509_certificate(authority.certificate.encode()), key


def _named(name: str) -> x509.Name:
    """X.509 allows 64 characters."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:_LONGEST_COMMON_NAME])])


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)
