"""Counts over request lines, bounded however long the log is.

Called by `app.analysis.summarize`.
"""

import bisect
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from app.escape import inert
from app.report.changes import version_number
from app.report.tables import markdown_table
from app.store import OTHER
from app.store.inventory import classify

NAMES = 1_000  # distinct endpoints, versions, user agents; the rest are OTHER
FIELDS = 2_000  # fields that are kept of one endpoint

# Upper bounds in ms, a fifth apart: percentiles are within that.
_BOUNDS = [round(0.05 * 1.2**n, 3) for n in range(80)]
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")


class Times(msgspec.Struct, kw_only=True):
    """Milliseconds; percentiles are upper bounds within a fifth."""

    mean: float
    p50: float
    p95: float
    p99: float
    max: float


class FieldSummary(msgspec.Struct, kw_only=True):
    path: str
    types: list[str]
    count: int


class EndpointSummary(msgspec.Struct, kw_only=True):
    """`added` are fields that the newest version sends and no older one did; null without two
    versions."""

    host: str
    method: str
    endpoint: str
    count: int
    first_seen: str
    last_seen: str
    statuses: dict[str, int]
    actions: dict[str, int]
    versions: dict[str, int]
    response_times_ms: Times
    fields: list[FieldSummary]
    fields_left_out: int
    newest_version: str
    added: list[str] | None


class Summary(msgspec.Struct, kw_only=True):
    generated_at: str
    files: list[str]
    requests: int
    broken_lines: int
    first_seen: str
    last_seen: str
    by_version: dict[str, int]
    by_user_agent: dict[str, int]
    by_status: dict[str, int]
    by_action: dict[str, int]
    response_times_ms: Times
    by_endpoint: list[EndpointSummary]


class Histogram:
    def __init__(self) -> None:
        self._counts = [0] * (len(_BOUNDS) + 1)
        self._sum = self._max = 0.0
        self._count = 0

    def add(self, value: float) -> None:
        self._counts[bisect.bisect_left(_BOUNDS, value)] += 1
        self._sum += value
        self._max = max(self._max, value)
        self._count += 1

    def times(self) -> Times:
        return Times(
            mean=round(self._sum / self._count, 3) if self._count else 0.0,
            p50=self._percentile(0.50),
            p95=self._percentile(0.95),
            p99=self._percentile(0.99),
            max=self._max,
        )

    def _percentile(self, share: float) -> float:
        seen = 0
        for bound, count in zip([*_BOUNDS, self._max], self._counts, strict=True):
            seen += count
            if seen and seen >= share * self._count:
                return min(bound, self._max)
        return 0.0


@dataclass(slots=True)
class _Field:
    count: int = 0
    types: set[str] = field(default_factory=set)
    versions: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Endpoint:
    first: str
    last: str
    count: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    actions: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    first_of_version: dict[str, str] = field(default_factory=dict)
    times: Histogram = field(default_factory=Histogram)
    fields: dict[str, _Field] = field(default_factory=dict)
    fields_left_out: int = 0


class Tally:
    def __init__(self) -> None:
        self.broken = 0
        self._requests = 0
        self._first = self._last = ""
        self._versions: Counter[str] = Counter()
        self._agents: Counter[str] = Counter()
        self._statuses: Counter[str] = Counter()
        self._actions: Counter[str] = Counter()
        self._times = Histogram()
        self._endpoints: dict[tuple[str, str, str], _Endpoint] = {}

    def add(self, entry: dict[str, Any]) -> bool:
        """Count one line. False, and nothing is counted, when it is no request line of ours."""
        when, duration = entry.get("timestamp"), entry.get("response_time_ms")
        if not isinstance(when, str) or not _TIME.fullmatch(when):
            return False
        if not isinstance(entry.get("url"), str) or not isinstance(duration, int | float):
            return False
        if not 0 <= duration < 1e12:
            return False
        status = str(entry.get("status") or "none")[:8]
        action = _text(entry, "action")
        version = _text(entry, "product_version")
        self._requests += 1
        self._first = min(self._first or when, when)
        self._last = max(self._last, when)
        version = _count(self._versions, version) if version else ""
        _count(self._agents, _text(entry, "user_agent") or "-")
        _count(self._statuses, status)
        _count(self._actions, action)
        self._times.add(duration)
        endpoint = self._endpoint(entry, when)
        endpoint.count += 1
        endpoint.first = min(endpoint.first, when)
        endpoint.last = max(endpoint.last, when)
        endpoint.statuses[status] += 1
        endpoint.actions[action] += 1
        endpoint.times.add(duration)
        if version:
            endpoint.versions[version] += 1
            first = endpoint.first_of_version.get(version, when)
            endpoint.first_of_version[version] = min(first, when)
        for path, types in _fields(entry):
            found = endpoint.fields.get(path)
            if found is None:
                if len(endpoint.fields) >= FIELDS:
                    endpoint.fields_left_out += 1
                    continue
                found = endpoint.fields[path] = _Field()
            found.count += 1
            found.types |= types
            if version:
                found.versions.add(version)
        return True

    def summary(self, *, generated_at: str, files: list[str]) -> Summary:
        return Summary(
            generated_at=generated_at,
            files=files,
            requests=self._requests,
            broken_lines=self.broken,
            first_seen=self._first,
            last_seen=self._last,
            by_version={v: self._versions[v] for v in sorted(self._versions, key=version_number)},
            by_user_agent=dict(self._agents.most_common()),
            by_status=dict(sorted(self._statuses.items())),
            by_action=dict(self._actions.most_common()),
            response_times_ms=self._times.times(),
            by_endpoint=[_summary(*key, e) for key, e in sorted(self._endpoints.items())],
        )

    def _endpoint(self, entry: dict[str, Any], when: str) -> _Endpoint:
        route = _text(entry, "endpoint") or "/" + _text(entry, "path").lstrip("/").split("/")[0]
        key = (_text(entry, "host"), _text(entry, "method"), route)
        if key not in self._endpoints and len(self._endpoints) >= NAMES:
            key = (OTHER, "", "")
        return self._endpoints.setdefault(key, _Endpoint(when, when))


def markdown(summary: Summary) -> str:
    """The final report."""
    parts = [
        f"# Telemetry report\n\n{summary.requests} requests from {inert(summary.first_seen or '-')}"
        f" to {inert(summary.last_seen or '-')}. {summary.broken_lines} lines could not be read."
        f" Made {inert(summary.generated_at)} from {len(summary.files)} log files.\n",
        "## Endpoints\n\n"
        + markdown_table(
            ("host", "endpoint", "count", "status", "p50 ms", "p95 ms", "first seen", "last seen"),
            [
                (e.host, f"{e.method} {e.endpoint}", e.count, _counts(e.statuses),
                 e.response_times_ms.p50, e.response_times_ms.p95, e.first_seen, e.last_seen)
                for e in summary.by_endpoint
            ],
        ),
        *(
            f"## {title}\n\n" + markdown_table((name, "count"), list(counts.items()))
            for title, name, counts in (
                ("Versions", "version", summary.by_version),
                ("User agents", "user agent", summary.by_user_agent),
                ("Statuses", "status", summary.by_status),
                ("Actions", "action", summary.by_action),
            )
            if counts
        ),
    ]  # fmt: skip
    for endpoint in summary.by_endpoint:
        title = inert(f"{endpoint.method} {endpoint.host}{endpoint.endpoint}")
        part = f"## Fields of {title}\n\n"
        if endpoint.added is not None:
            names = ", ".join(map(inert, endpoint.added)) or "nothing"
            part += f"Version {inert(endpoint.newest_version)} added: {names}.\n\n"
        part += markdown_table(
            ("field", "types", "in"),
            [
                (f.path, " ".join(f.types), f"{f.count / endpoint.count:.0%}")
                for f in endpoint.fields
            ],
        )
        if endpoint.fields_left_out:
            part += f"\n{endpoint.fields_left_out} times a field over the limit was left out.\n"
        parts.append(part)
    return "\n".join(parts)


def _summary(host: str, method: str, route: str, e: _Endpoint) -> EndpointSummary:
    versions = sorted(
        e.first_of_version.keys() - {OTHER},
        key=lambda v: (version_number(v), e.first_of_version[v]),
    )
    newest = versions[-1] if versions else ""
    return EndpointSummary(
        host=host,
        method=method,
        endpoint=route,
        count=e.count,
        first_seen=e.first,
        last_seen=e.last,
        statuses=dict(sorted(e.statuses.items())),
        actions=dict(e.actions.most_common()),
        versions={v: e.versions[v] for v in versions},
        response_times_ms=e.times.times(),
        fields=[
            FieldSummary(path=path, types=sorted(f.types), count=f.count)
            for path, f in sorted(e.fields.items())
        ],
        fields_left_out=e.fields_left_out,
        newest_version=newest,
        added=sorted(path for path, f in e.fields.items() if f.versions == {newest})
        if len(versions) > 1
        else None,
    )


def _fields(entry: dict[str, Any]) -> Iterable[tuple[str, set[str]]]:
    parameters, headers = entry.get("query_params"), entry.get("headers")
    if isinstance(parameters, dict):
        for name, value in parameters.items():
            values = value if isinstance(value, list) else [value]
            yield f"query.{name}"[:200], {classify(str(v))[0] for v in values}
    if isinstance(headers, dict):
        for name in headers:
            yield f"header.{name.lower()}"[:200], {"string"}


def _count(counter: Counter[str], name: str) -> str:
    """Counts `name`, or OTHER once NAMES distinct names are counted."""
    if name not in counter and len(counter) >= NAMES:
        name = OTHER
    counter[name] += 1
    return name


def _text(entry: dict[str, Any], name: str) -> str:
    value = entry.get(name)
    return value[:512] if isinstance(value, str) else ""


def _counts(counts: dict[str, int]) -> str:
    return " ".join(f"{name}:{count}" for name, count in counts.items())
