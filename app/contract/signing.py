"""Makes telemock's own certificates: the cluster's, each sidecar's, the demo's.

`app.cluster.pki` and `addon.tls.ca` decide their names and lifetimes, and when to renew them.
"""

import contextlib
import datetime
import os
import secrets
import ssl
import tempfile
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import (
    CertificateIssuerPrivateKeyTypes,
    PrivateKeyTypes,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Extension = tuple[x509.ExtensionType, bool]  # the second: critical
SERVERS: Extension = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)


class Pair(NamedTuple):
    """A certificate and its key, as PEM."""

    certificate: bytes
    key: bytes


class Issuer(NamedTuple):
    name: x509.Name
    key: CertificateIssuerPrivateKeyTypes


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def make(
    common: str,
    issuer: Issuer | None,
    begin: datetime.datetime,
    end: datetime.datetime,
    extensions: Iterable[Extension] = (),
) -> Pair:
    """A certificate for a new key; without an issuer a self-signed one that may sign others."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "telemock"),
            x509.NameAttribute(NameOID.COMMON_NAME, common[:64]),
        ]
    )
    signs = issuer is None
    usage = x509.KeyUsage(
        key_cert_sign=signs, crl_sign=signs, digital_signature=not signs, key_encipherment=False,
        content_commitment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
    by = issuer or Issuer(name, key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(by.name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=signs, path_length=0 if signs else None), True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if not signs:
        known_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key())
        builder = builder.add_extension(known_by, critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return Pair(
        builder.sign(by.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM),
        key_pem(key),
    )


def key_pem(key: PrivateKeyTypes) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def own_name() -> str:
    """A unique name for an authority: clients that trust two of them must not mix them up."""
    return f"telemock {secrets.token_hex(4)}"


def load(context: ssl.SSLContext, pem: bytes) -> None:
    """Loads a key and its certificates from memory."""
    with _file(pem) as path:
        context.load_cert_chain(path)


@contextlib.contextmanager
def _file(content: bytes) -> Iterator[str]:
    """Gives ssl the file that it needs for a key: in memory if the system can, else one that is
    deleted afterwards."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("telemock-leaf", os.MFD_CLOEXEC)
        try:
            os.write(fd, content)
            yield f"/proc/self/fd/{fd}"
        finally:
            os.close(fd)
    else:
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            yield file.name
