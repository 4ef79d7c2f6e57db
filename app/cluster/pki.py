"""Certificates of the cluster's own authority: made here, and judged whether they still serve.

Used by `app.cluster.certificates`, which keeps them in a Secret. The sidecars' authorities are
another matter: each pod has its own (`addon.tls.ca`).
"""

import datetime
import ipaddress
import secrets
from collections.abc import Collection
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_LIFE = datetime.timedelta(days=3650)
LEAF_LIFE = datetime.timedelta(days=90)
_CLOCK_SKEW = datetime.timedelta(hours=1)  # other machines' clocks may be late

Instant = datetime.datetime


class Pair(NamedTuple):
    """A certificate and its key, PEM."""

    certificate: bytes
    key: bytes


class Unusable(ValueError):
    """Why a certificate cannot be used, in a few words."""


def now() -> Instant:
    return datetime.datetime.now(datetime.UTC)


def make_authority(at: Instant | None = None) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    # Its own name each: clients that trust two of them must not mix them up.
    name = _name(f"telemock {secrets.token_hex(4)}")
    builder = (
        _builder(name, name, key.public_key(), at or now(), CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return _pair(builder.sign(key, hashes.SHA256()), key)


def make_leaf(authority: Pair, names: Collection[str], at: Instant | None = None) -> Pair:
    """A server's certificate for DNS names and addresses, for LEAF_LIFE."""
    issuer, issuer_key = _open(authority)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(_name(next(iter(names))), issuer.subject, key.public_key(), at or now(), LEAF_LIFE)
        .add_extension(x509.SubjectAlternativeName([_alternative(n) for n in names]), False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
    )
    return _pair(builder.sign(issuer_key, hashes.SHA256()), key)


def check_authority(authority: Pair) -> None:
    """Raises Unusable when it is damaged, or would end before a leaf that it signs now."""
    certificate, _ = _open(authority)
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        raise Unusable("is no authority's certificate") from None
    if not constraints.ca:
        raise Unusable("is no authority's certificate")
    if certificate.not_valid_after_utc < now() + LEAF_LIFE:
        raise Unusable(f"ends on {certificate.not_valid_after_utc:%Y-%m-%d}")


def check_leaf(leaf: Pair, authority: Pair, names: Collection[str]) -> None:
    """Raises Unusable when it is damaged, of another authority, for other names, or past two
    thirds of its life."""
    certificate, _ = _open(leaf)
    try:
        certificate.verify_directly_issued_by(_open(authority)[0])
    except (InvalidSignature, ValueError, TypeError):
        raise Unusable("is of another authority") from None
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        raise Unusable("names no host") from None
    if missing := [name for name in names if _alternative(name) not in found]:
        raise Unusable(f"does not name {missing[0]}")
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now() > begin + (end - begin) * 2 / 3:
        raise Unusable(f"ends on {end:%Y-%m-%d}")


def not_after(certificate: bytes) -> Instant:
    """The end of the first certificate's life. Raises Unusable."""
    return _certificate(certificate).not_valid_after_utc


def still_valid(bundle: bytes) -> list[bytes]:
    """The certificates of a PEM bundle that have not ended yet; what is no certificate is left."""
    found = []
    for part in bundle.split(b"-----BEGIN CERTIFICATE-----")[1:]:
        pem = b"-----BEGIN CERTIFICATE-----" + part
        try:
            certificate = _certificate(pem)
        except Unusable:
            continue
        if certificate.not_valid_after_utc > now():
            found.append(certificate.public_bytes(serialization.Encoding.PEM))
    return found


def check_pair(pair: Pair) -> None:
    """Raises Unusable when it is damaged, or the key is not the certificate's."""
    _open(pair)


def _open(pair: Pair) -> tuple[x509.Certificate, CertificateIssuerPrivateKeyTypes]:
    certificate = _certificate(pair.certificate)
    try:
        key = serialization.load_pem_private_key(pair.key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Unusable("has no key that can be read") from None
    if key.public_key() != certificate.public_key():
        raise Unusable("has the key of another certificate")
    return certificate, key  # type: ignore[return-value]  # it has signed, or will be asked to


def _certificate(pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise Unusable("cannot be read") from None


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    at: Instant,
    life: datetime.timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - _CLOCK_SKEW)
        .not_valid_after(at + life)
    )


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "telemock"),
            x509.NameAttribute(NameOID.COMMON_NAME, common[:64]),
        ]
    )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        key_cert_sign=sign_certificates, crl_sign=sign_certificates,
        digital_signature=not sign_certificates, key_encipherment=False,
        content_commitment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    return Pair(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
