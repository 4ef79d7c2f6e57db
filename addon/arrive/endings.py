"""Tells how a connection to a telemetry host that brought no request ended, for its record.

Called by `addon.connections`. Clients that do not trust the sidecar's certificate show it in one of
three ways: by an alert, by leaving within the handshake, or by leaving right after it, as GnuTLS
and Node do, which check the certificate last.
"""

import asyncio
import re
import time
from dataclasses import dataclass
from typing import NamedTuple

from addon.tls.connection import Connection
from app.contract.faults import REHEARSED, HostFailure
from app.contract.record import Endpoint, Kind

SOON_S = 2.0  # after a handshake, for a client that checks the certificate on a busy machine

_REFUSED_CERTIFICATE = re.compile(
    "unknown ca|bad certificate|certificate unknown|unsupported certificate|certificate expired"
)

# The ways in which a connection ends.
FIN = "the client closed the connection (FIN)"
RST = "the client reset the connection (RST)"
GOODBYE = "the client ended TLS (close_notify)"
IDLE = "the sidecar closed the connection, which was idle"
SHUTDOWN = "the sidecar was stopped"
HERE = "the sidecar closed the connection"
RESET = "the sidecar reset the connection"
OVER = "the sidecar reset the connection, as its time was over"
CROWDED = "the sidecar reset the connection, as it was the oldest of too many"
RESETS = frozenset((RESET, OVER, CROWDED))
_BY_CLIENT = frozenset((FIN, RST, GOODBYE))


class Ending(NamedTuple):
    kind: Kind
    reason: str
    detail: str


@dataclass
class Met:
    """A client's connection until it ends. `sent`: bytes that formed no request yet."""

    reader: asyncio.StreamReader | None = None
    host: str = ""
    destination: Endpoint | None = None
    sent: int = 0
    tls: object = None  # of the client's side
    stopped: bool = False  # closed because the sidecar stops

    @property
    def opened(self) -> Connection | None:
        return self.tls if isinstance(self.tls, Connection) else None

    @property
    def how(self) -> str:
        """The way it ended, one of the words above."""
        if self.stopped:
            return SHUTDOWN
        if self.reader is not None and isinstance(self.reader.exception(), OSError):
            return RST
        if self.opened is not None and self.opened.ended and not self.opened.error:
            return GOODBYE
        return FIN if self.reader is not None and self.reader.at_eof() else HERE


def ending(how: str, tls: Connection | None) -> Ending:
    """`how` it ended; `tls` is set once a ClientHello was read."""
    if tls is None:
        return Ending("failed", "no_request", how)
    if tls.error and (not tls.shaken or _REFUSED_CERTIFICATE.search(tls.error)):
        return refused(tls.error)
    if not tls.shaken:
        by_client = how in _BY_CLIENT
        return Ending("tls_rejected", "closed_in_handshake" if by_client else "tls_failed", how)
    passed = time.monotonic() - tls.shaken
    if how in _BY_CLIENT and passed < SOON_S and not (tls.heard or tls.resumed or tls.error):
        detail = f"{how} {passed * 1000:.0f} ms after the handshake"
        return Ending("tls_rejected", "closed_after_handshake", detail)
    return Ending("failed", "no_request", f"{tls.error}; {how}" if tls.error else how)


def rehearsed(failure: HostFailure, how: str) -> Ending:
    """The ending of a connection that met a rehearsal's failure."""
    return Ending("refused", REHEARSED, f"{REHEARSED}: {failure}; {how}")


def refused(error: str) -> Ending:
    """The ending for a failed handshake; `error` is in OpenSSL's or mitmproxy's words."""
    certificate = _REFUSED_CERTIFICATE.search(error)
    reason = "client_refused_certificate" if certificate else "tls_failed"
    return Ending("tls_rejected", reason, error)
