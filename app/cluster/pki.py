"""Makes the certificates of the release's own authority, and checks whether they are still good.

Used by `app.cluster.certificates`, which keeps them in a Secret. Sidecars' authorities are
separate: each pod has its own (`addon.tls.ca`).
"""

import datetime
import ipaddress
from collections.abc import Collection

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

from app.contract import signing
from app.contract.signing import Pair, now

CA_LIFE = datetime.timedelta(days=3650)
LEAF_LIFE = datetime.timedelta(days=90)
_CLOCK_SKEW = datetime.timedelta(hours=1)  # other machines' clocks may be slow

Instant = datetime.datetime


class Unusable(ValueError):
    """A certificate cannot be used; the text gives the reason in a few words."""


def make_authority(at: Instant | None = None) -> Pair:
    at = at or now()
    return signing.make(signing.own_name(), None, at - _CLOCK_SKEW, at + CA_LIFE)


def make_leaf(authority: Pair, names: Collection[str], at: Instant | None = None) -> Pair:
    """Makes a server's certificate for DNS names and addresses, valid for LEAF_LIFE."""
    at = at or now()
    certificate, key = _open(authority)
    hosts = x509.SubjectAlternativeName([_alternative(n) for n in names])
    issuer = signing.Issuer(certificate.subject, key)
    extensions = ((hosts, False), signing.SERVERS)
    begin, end = at - _CLOCK_SKEW, at + LEAF_LIFE
    return signing.make(next(iter(names)), issuer, begin, end, extensions)


def check_authority(authority: Pair) -> None:
    """Raises Unusable if it is damaged, or would expire before a leaf that it signs now."""
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
    """Raises Unusable if it is damaged, of another authority, for other names, or past two thirds
    of its life."""
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
    """Returns when the first certificate expires. Raises Unusable."""
    return _certificate(certificate).not_valid_after_utc


def still_valid(bundle: bytes) -> list[bytes]:
    """Returns a PEM bundle's certificates that have not expired; skips other content."""
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
    """Raises Unusable if it is damaged, or if the key does not belong to the certificate."""
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


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
