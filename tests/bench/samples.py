"""What was measured, sample by sample, and the cost of taking one."""

import resource
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from tests.bench.processes import Process
from tests.bench.targets import Values


class Measure(NamedTuple):
    """A measure's name and unit; `per` is one operation."""

    title: str
    unit: str
    per: str = "request"


MEASURES = {
    "bulk_tcp": Measure("bulk TCP, 1 stream", "GB/s", "GB"),
    "bulk_tls": Measure("bulk TLS, 8 streams", "GB/s", "GB"),
    "new_tls": Measure("new TLS connections", "/s", "connection"),
    "new_tcp": Measure("new TCP connections", "/s", "connection"),
    "keep_alive": Measure("keep-alive, 16 connections", "requests/s"),
    "p50": Measure("p50, 1 connection", "ms"),
    "ready": Measure("start to ready", "s"),
    "rss_idle": Measure("resident, idle", "MiB"),
    "rss_after": Measure("resident, after the exchanges", "MiB"),
    "cpu_idle": Measure("processor, idle", "%"),
}


class Sample(NamedTuple):
    """One measurement of one system. `cpu_us` of everything that took part, `proxy_us` of the proxy
    alone, for one operation. `loopback` packets in the pod during it: None where telemetry itself
    was measured. `note`: what else is worth keeping."""

    part: str
    system: str
    measure: str
    rep: int
    value: float
    cpu_us: float | None = None
    proxy_us: float | None = None
    loopback: int | None = None
    note: dict[str, Any] = {}  # noqa: RUF012 - never changed
    said: str = ""


class Samples(list[Sample]):
    def values(self) -> Values:
        found: Values = {}
        for sample in self:
            key = sample.part, sample.system, sample.measure
            found.setdefault(key, {})[sample.rep] = sample.value
        return found

    def cpu(self) -> Values:
        """Microseconds of the proxies for one operation, without those that took none."""
        found: Values = {}
        for s in self:
            if s.proxy_us:
                found.setdefault((s.part, s.system, s.measure), {})[s.rep] = s.proxy_us
        return found

    def of(self, part: str, system: str, measure: str) -> Iterator[Sample]:
        return (x for x in self if (x.part, x.system, x.measure) == (part, system, measure))

    def named(self, part: str, field: str) -> list[str]:
        """Values of a field in the order in which they first came."""
        return list(dict.fromkeys(str(getattr(x, field)) for x in self if x.part == part))


class Meter:
    """CPU seconds since it was made: of these processes, and of load generators that ended."""

    def __init__(self, proxy: Process | None, others: Sequence[Process] = ()) -> None:
        self._proxy, self._others = proxy, others
        self._from = self._now()

    def _now(self) -> tuple[float, float]:
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        proxy = self._proxy.cpu_s() if self._proxy else 0.0
        others = sum(p.cpu_s() for p in self._others) + ended.ru_utime + ended.ru_stime
        return proxy, others

    def per(self, operations: float) -> tuple[float, float]:
        """Microseconds for one operation: of all, and of the proxy."""
        now, then = self._now(), self._from
        proxy = now[0] - then[0]
        return (proxy + now[1] - then[1]) / operations * 1e6, proxy / operations * 1e6


def rotated[T](items: Sequence[T], by: int) -> list[T]:
    """So that no system always comes first."""
    at = by % len(items) if items else 0
    return [*items[at:], *items[:at]]


def tell(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)
