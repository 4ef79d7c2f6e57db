"""Observes the redirect without privileges: that it works, and how often it refuses QUIC.

`addon.connections` reports each connection; `addon.process` registers the kernel's counter with
the instruments.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from app.contract.metrics import METRICS

FILE_PROVEN = "redirect.proven"  # beside the authority's key, in a pod's memory volume

log = logging.getLogger(__name__)

_PROC = Path("/proc")
QUIC_REFUSED = next(row for row in METRICS if row.name == "telemock.redirect.quic_refused")


class Proven:
    """Remembers if a redirected connection ever arrived. The init container proves the redirect
    once per pod, so the answer is kept over a restart of this container."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / FILE_PROVEN
        self._here = _namespace()
        try:
            self.yet = self._file.read_text() == self._here
        except OSError:
            self.yet = False

    def now(self) -> None:
        self.yet = True
        try:
            self._file.write_text(self._here)
        except OSError as e:
            log.warning("that the redirect works cannot be remembered: %s", e.strerror)


def _namespace() -> str:
    """Identifies the network namespace: a redirect ends with its own."""
    try:
        return str((_PROC / "self/ns/net").stat().st_ino)
    except OSError:
        return ""


class QuicRefused(Collector):
    """The ICMP messages "destination unreachable" that the kernel sent in this network namespace:
    nft's own counters need NET_ADMIN."""

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(QUIC_REFUSED.prometheus, QUIC_REFUSED.help, unreachables_sent())


def unreachables_sent() -> int:
    return _icmp(_PROC / "net/snmp") + _icmp6(_PROC / "net/snmp6")


def _icmp(file: Path) -> int:
    """Parses a protocol's two lines: names, then numbers."""
    rows = [line.split() for line in _lines(file) if line.startswith("Icmp:")]
    if len(rows) != 2:
        return 0
    return int(dict(zip(*rows, strict=False)).get("OutDestUnreachs", 0))


def _icmp6(file: Path) -> int:
    found = (line.split() for line in _lines(file))
    return sum(int(row[1]) for row in found if row[0] == "Icmp6OutDestUnreachs")


def _lines(file: Path) -> list[str]:
    """The lines, none if the kernel lacks the protocol."""
    try:
        return file.read_text().splitlines()
    except OSError:
        return []
