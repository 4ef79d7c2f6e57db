"""The sidecar's own certificate authority, made once in TELEMOCK_CA_DIR and kept.

Used by `addon.process` before mitmproxy reads the directory. A client needs `ca.pem` or, where a
variable replaces its trusted list, `bundle.pem`. Both lie in TELEMOCK_TRUST_DIR, which may be
another directory: clients that can read them cannot read the key.
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
FILE_UPSTREAM = "upstream.pem"  # what real hosts are checked against
# Longer than pods live. One that lives on is told of it, and what it would cost, in time.
LIFETIME = datetime.timedelta(days=397)
NEAR = datetime.timedelta(days=30)  # its end, from then on
_LAST = datetime.timedelta(days=1)  # before its end, in which a start makes another one
_GIVEN_WAY = ".old"  # ends the name of an authority's file that another one took the place of
_CLOCK_SKEW = datetime.timedelta(days=2)  # clients' clocks may be late

log = logging.getLogger(__name__)


def ensure(directory: Path, trust: Path | None = None, wanted: Constraints | None = None) -> Path:
    """The public certificate's path, in `trust` or `directory`, after making what is missing.

    It may sign what is `wanted`, without it everything. One that may not sign all that is, may sign
    everything, or has come to its end gives way to another; clients trust it beside the new one for
    as long as a process has `claim`ed it. Safe when several processes start at once: the first
    one's authority stays, the others use it. Raises OSError when the directory cannot be written.
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
    """Why the authority cannot serve any more, "" when it can."""
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
    """Until it is closed, clients go on to trust the authority that is there now: this process
    signs with it, whatever another one needs."""
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
    """The certificates of authorities that gave way and are in use; deletes the others."""
    found = []
    for path in sorted(directory.glob(f"*{_GIVEN_WAY}")):
        if _is_claimed(path):
            with contextlib.suppress(ValueError):  # damaged before it gave way
                found.append(_certificate(path.read_bytes()))
        else:
            path.unlink()
    return b"".join(found)


class Held(NamedTuple):
    """What is known of the authority in use."""

    until: datetime.datetime
    permits: Constraints | None  # None: everything

    @property
    def is_near_its_end(self) -> bool:
        return signing.now() > self.until - NEAR

    def missing(self, hosts: Iterable[str]) -> list[str]:
        """Those that it may not sign for: clients refuse what they are shown for them."""
        if self.permits is None:
            return []
        return sorted(host for host in hosts if not self.permits.permits(host))


def held(directory: Path) -> Held:
    certificate = x509.load_pem_x509_certificate((directory / FILE_CA_KEY).read_bytes())
    return Held(certificate.not_valid_after_utc, of_certificate(certificate))


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
    """While inside, no other process makes an authority there."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(path: Path, data: bytes) -> None:
    if not path.exists() or path.read_bytes() != data:
        write_whole(path, [data], 0o644)
