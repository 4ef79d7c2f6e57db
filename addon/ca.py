"""The sidecar's own certificate authority, made once in TELEMOCK_CA_DIR and kept.

Used by `addon.process` before mitmproxy reads the directory. A client needs `ca.pem` or, where a
variable replaces its trusted list, `bundle.pem`. Both lie in TELEMOCK_TRUST_DIR, which may be
another directory: clients that can read them cannot read the key.
"""

import datetime
import os
import secrets
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from app.contract.names import FILE_BUNDLE, FILE_CA_CERT

FILE_CA_KEY = "mitmproxy-ca.pem"  # key and certificate; mitmproxy looks for this name
FILE_UPSTREAM = "upstream.pem"  # what real hosts are checked against
_LIFETIME = datetime.timedelta(days=3650)
_CLOCK_SKEW = datetime.timedelta(days=2)  # clients' clocks may be late


def ensure(directory: Path, trust: Path | None = None) -> Path:
    """The public certificate's path, in `trust` or `directory`, after making what is missing.

    Safe when several processes start at once: the first one's authority stays, the others use it.
    Raises OSError when the directory cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    key_file = directory / FILE_CA_KEY
    if not key_file.exists():
        _link_new(key_file, _make())
    public = _certificate(key_file.read_bytes())
    if trust is None:
        trust = directory
    trust.mkdir(parents=True, exist_ok=True)
    _write(trust / FILE_CA_CERT, public)
    _write(trust / FILE_BUNDLE, system_list() + public)
    return trust / FILE_CA_CERT


def born(directory: Path) -> datetime.datetime:
    """When the authority was made: the first start, in a pod's memory volume the pod's."""
    seconds = (directory / FILE_CA_KEY).stat().st_mtime
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def upstream_list(directory: Path, extra: Path | None) -> Path:
    """A PEM file of this system's trusted certificates and those in `extra`, for real hosts.

    Our own authority is not in it: a real host never shows one of our certificates.
    """
    path = directory / FILE_UPSTREAM
    _write(path, system_list() + (b"" if extra is None else extra.read_bytes()))
    return path


def system_list() -> bytes:
    """This system's trusted certificates as PEM, else those that come with certifi."""
    paths = ssl.get_default_verify_paths()
    if paths.cafile and (file := Path(paths.cafile)).is_file():
        return file.read_bytes().rstrip() + b"\n"
    # A slim image without ca-certificates; mitmproxy needs this package anyway.
    import certifi

    return Path(certifi.where()).read_bytes().rstrip() + b"\n"


def _make() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "telemock"),
            # Its own name each: clients that saw another pod's authority must not mix them up.
            x509.NameAttribute(NameOID.COMMON_NAME, f"telemock {secrets.token_hex(4)}"),
        ]
    )
    now = datetime.datetime.now(datetime.UTC)
    usage = x509.KeyUsage(
        key_cert_sign=True, crl_sign=True, digital_signature=False, key_encipherment=False,
        content_commitment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ) + certificate.public_bytes(serialization.Encoding.PEM)


def _certificate(pem: bytes) -> bytes:
    return x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.PEM)


def _temporary(path: Path, data: bytes, mode: int) -> Path:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    return temporary


def _link_new(path: Path, data: bytes) -> None:
    """Makes the file whole or not at all, and leaves one that another process made first."""
    temporary = _temporary(path, data, 0o600)
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


def _write(path: Path, data: bytes) -> None:
    """Replaces the file in one step, so that no reader sees half of it."""
    if path.exists() and path.read_bytes() == data:
        return
    _temporary(path, data, 0o644).replace(path)
