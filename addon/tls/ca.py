"""Keeps the sidecar's own certificate authority, made once in TELEMOCK_CA_DIR.

Used by `addon.process` before mitmproxy reads the directory. A client needs `ca.pem` or, if a
variable replaces its trust store, `bundle.pem`. Both lie in TELEMOCK_TRUST_DIR, which may be
another directory: clients that can read them then cannot read the key.
"""

import contextlib
import datetime
import fcntl
import logging
import os
import secrets
import ssl
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from addon.tls.constraints import Constraints, of_certificate
from app.contract import signing
from app.contract.files import write_whole
from app.contract.names import FILE_BUNDLE, FILE_CA_CERT

FILE_CA_KEY = "mitmproxy-ca.pem"  # key and certificate; mitmproxy looks for this name
FILE_UPSTREAM = "upstream.pem"  # the trust store for real hosts
# Longer than pods live. A pod that lives on gets a warning in time, with the consequence.
LIFETIME = datetime.timedelta(days=397)
NEAR = datetime.timedelta(days=30)  # before its end: the warnings begin
_LAST = datetime.timedelta(days=1)  # before its end: a start replaces it
_GIVEN_WAY = ".old"  # suffix of the file of an authority that was replaced
_CLOCK_SKEW = datetime.timedelta(days=2)  # clients' clocks may be slow

log = logging.getLogger(__name__)


def ensure(directory: Path, trust: Path | None = None, wanted: Constraints | None = None) -> Path:
    """The public certificate's path, in `trust` or `directory`, after missing files were made.

    It may sign for `wanted`, or without it for everything. An authority that may not sign for all
    of it, may sign for everything, or ends soon is replaced; clients trust it beside the new one
    while a process has `claim`ed it. Safe if several processes start at once: they all use the
    first one's authority. Raises OSError if the directory cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    key_file = directory / FILE_CA_KEY
    with _alone(directory):
        why = _outlived(key_file.read_bytes(), wanted) if wanted and key_file.exists() else ""
        if why:
            log.warning("a new certificate authority is made, %s: restart its clients", why)
            if why and _is_claimed(key_file):
                os.link(key_file, key_file.with_suffix(f".{secrets.token_hex(8)}{_GIVEN_WAY}"))
        if why or not key_file.exists():
            write_whole(key_file, [_make(wanted)], 0o600)
        public = _certificate(key_file.read_bytes()) + _claimed(directory)
    if trust is None:
        trust = directory
    trust.mkdir(parents=True, exist_ok=True)
    _write(trust / FILE_CA_CERT, public)
    _write(trust / FILE_BUNDLE, system_list() + public)
    return trust / FILE_CA_CERT


def _outlived(pem: bytes, wanted: Constraints) -> str:
    """The reason why the authority must be replaced, "" for none."""
    try:
        held = x509.load_pem_x509_certificate(pem)
    except ValueError:
        return "because the file of the one before is damaged"
    permitted = of_certificate(held)
    if permitted is None:
        return "because the one before may sign for every host"
    if not permitted.covers(wanted):
        return "because the one before may not sign for all hosts of the profiles"
    if held.not_valid_after_utc < signing.now() + _LAST:
        return "because the one before ends"
    return ""


def claim(directory: Path) -> BinaryIO:
    """Until it is closed, clients keep trusting the current authority: this process signs with it,
    whatever another process needs."""
    file = (directory / FILE_CA_KEY).open("rb")
    fcntl.flock(file, fcntl.LOCK_SH)
    return file


def _is_claimed(key_file: Path) -> bool:
    with key_file.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def _claimed(directory: Path) -> bytes:
    """The certificates of replaced authorities that are in use; deletes the others."""
    found = []
    for path in sorted(directory.glob(f"*{_GIVEN_WAY}")):
        if _is_claimed(path):
            with contextlib.suppress(ValueError):  # damaged before it was replaced
                found.append(_certificate(path.read_bytes()))
        else:
            path.unlink()
    return b"".join(found)


class Held(NamedTuple):
    """The authority in use: its end and its constraints."""

    until: datetime.datetime
    permits: Constraints | None  # None: everything

    @property
    def is_near_its_end(self) -> bool:
        return signing.now() > self.until - NEAR

    def missing(self, hosts: Iterable[str]) -> list[str]:
        """The hosts that it may not sign for: clients refuse their certificates."""
        if self.permits is None:
            return []
        return sorted(host for host in hosts if not self.permits.permits(host))


def held(directory: Path) -> Held:
    certificate = x509.load_pem_x509_certificate((directory / FILE_CA_KEY).read_bytes())
    return Held(certificate.not_valid_after_utc, of_certificate(certificate))


def born(directory: Path) -> datetime.datetime:
    """The time at which the authority was made: at the first start, in a pod at the pod's."""
    seconds = (directory / FILE_CA_KEY).stat().st_mtime
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def upstream_list(directory: Path, extra: Path | None) -> Path:
    """A PEM file of the system's trust store and the certificates in `extra`, for real hosts.

    Our own authority is not in it: a real host never shows a certificate of ours.
    """
    path = directory / FILE_UPSTREAM
    _write(path, system_list() + (b"" if extra is None else extra.read_bytes()))
    return path


def system_list() -> bytes:
    """The system's trust store as PEM, else the one that comes with certifi."""
    paths = ssl.get_default_verify_paths()
    if paths.cafile and (file := Path(paths.cafile)).is_file():
        return file.read_bytes().rstrip() + b"\n"
    # A slim image without ca-certificates; mitmproxy needs this package anyway.
    import certifi

    return Path(certifi.where()).read_bytes().rstrip() + b"\n"


def _make(wanted: Constraints | None) -> bytes:
    now = signing.now()
    extensions = [signing.SERVERS]
    if wanted is not None:
        extensions.append((wanted.extension(), True))
    made = signing.make(signing.own_name(), None, now - _CLOCK_SKEW, now + LIFETIME, extensions)
    return made.key + made.certificate


def _certificate(pem: bytes) -> bytes:
    return x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.PEM)


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Locks the directory, so that no other process makes an authority there meanwhile."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(path: Path, data: bytes) -> None:
    if not path.exists() or path.read_bytes() != data:
        write_whole(path, [data], 0o644)
