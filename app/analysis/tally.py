"""Counts what a report does not say of request lines: times and user agents.

Called by `app.analysis.summarize`. Bounded however long the log is.
"""

import bisect
from collections import Counter
from typing import Any

import msgspec

from app.analysis.rows import text
from app.store import OTHER

NAMES = 1_000  # distinct endpoints, user agents; the rest are OTHER

# Upper bounds in ms, a fifth apart: percentiles are within that.
_BOUNDS = [round(0.05 * 1.2**n, 3) for n in range(80)]


class Times(msgspec.Struct, kw_only=True):
    """Milliseconds; percentiles are upper bounds within a fifth."""

    mean: float
    p50: float
    p95: float
    p99: float
    max: float


class EndpointTimes(msgspec.Struct, kw_only=True):
    host: str
    method: str
    endpoint: str
    count: int
    response_times_ms: Times


class LogSummary(msgspec.Struct, kw_only=True):
    files: list[str]
    requests: int
    broken_lines: int
    by_user_agent: dict[str, int]
    response_times_ms: Times
    by_endpoint: list[EndpointTimes]


class Histogram:
    def __init__(self) -> None:
        self._counts = [0] * (len(_BOUNDS) + 1)
        self._sum = self._max = 0.0
        self.count = 0

    def add(self, value: float) -> None:
        self._counts[bisect.bisect_left(_BOUNDS, value)] += 1
        self._sum += value
        self._max = max(self._max, value)
        self.count += 1

    def times(self) -> Times:
        return Times(
            mean=round(self._sum / self.count, 3) if self.count else 0.0,
            p50=self._percentile(0.50),
            p95=self._percentile(0.95),
            p99=self._percentile(0.99),
            max=self._max,
        )

    def _percentile(self, share: float) -> float:
        seen = 0
        for bound, count in zip([*_BOUNDS, self._max], self._counts, strict=True):
            seen += count
            if seen and seen >= share * self.count:
                return min(bound, self._max)
        return 0.0


class Tally:
    def __init__(self) -> None:
        self.broken = 0
        self._agents: Counter[str] = Counter()
        self._times = Histogram()
        self._endpoints: dict[tuple[str, str, str], Histogram] = {}

    def add(self, entry: dict[str, Any]) -> None:
        """Counts a line that `LogRows` takes."""
        duration = entry["response_time_ms"]
        agent = text(entry, "user_agent") or "-"
        known = agent in self._agents or len(self._agents) < NAMES
        self._agents[agent if known else OTHER] += 1
        self._times.add(duration)
        self._endpoint(entry).add(duration)

    def summary(self, files: list[str]) -> LogSummary:
        return LogSummary(
            files=files,
            requests=self._times.count,
            broken_lines=self.broken,
            by_user_agent=dict(self._agents.most_common()),
            response_times_ms=self._times.times(),
            by_endpoint=[
                EndpointTimes(
                    host=host,
                    method=method,
                    endpoint=endpoint,
                    count=times.count,
                    response_times_ms=times.times(),
                )
                for (host, method, endpoint), times in sorted(self._endpoints.items())
            ],
        )

    def _endpoint(self, entry: dict[str, Any]) -> Histogram:
        route = text(entry, "endpoint") or "/" + text(entry, "path").lstrip("/").split("/")[0]
        key = (text(entry, "host"), text(entry, "method"), route)
        if key not in self._endpoints and len(self._endpoints) >= NAMES:
            key = (OTHER, "", "")
        return self._endpoints.setdefault(key, Histogram())
