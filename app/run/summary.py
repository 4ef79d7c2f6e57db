"""Sums up the captures of one start of a sidecar, as the table that `telemock run` and `telemock
demo` print at the end. Reads captures, since roll-ups only know hours.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TextIO

import msgspec

from app.contract import record
from app.contract.instant import iso
from app.contract.outcomes import WORDS, outcome, word_of
from app.contract.record import REASONS, CaptureRecord
from app.contract.route_template import RouteTable
from app.report.tables import text_table
from app.store import CaptureQuery, Scope
from app.store.facts import sizes
from app.store.inventory import route_of

if TYPE_CHECKING:  # a quarter of a second, only for who has something to read
    from app.client.source import Source


class Sent(msgspec.Struct, kw_only=True):
    """One row. Bytes as in the report: target and body; all of a spliced connection."""

    host: str
    method: str
    endpoint: str
    action: str
    kind: str
    reason: str
    outcome: str = ""  # id in OUTCOMES
    profile: str = ""
    program: str = ""  # on a laptop: who sent it
    count: int = 0
    bytes_out: int = 0
    bytes_in: int = 0
    first_ns: int = 0
    last_ns: int = 0


def records(source: "Source", boot: str, since_ns: int) -> Iterator[CaptureRecord]:
    """Yields the records of that start, newest first, without log lines.

    Raises what the source raises.
    """
    from app.client.source import captures

    for line in captures(source, CaptureQuery(since_ns=since_ns)):
        found = record.decode(line)
        if found.boot == boot and found.kind != "log":
            yield found


def lost(source: "Source", boot: str, since_ns: int) -> dict[str, int]:
    """Counts by reason the records of that start that were lost. Raises what the source raises."""
    found = [m for m in source.report(Scope(since_ns=since_ns)).missing if m.boot == boot]
    return found[0].lost if found else {}


def paths() -> Callable[[CaptureRecord], str]:
    """For `summed`: tells apart what one rule takes by several paths; bounded."""
    known = RouteTable()
    return lambda one: (
        known.of("", one.host, one.request.path) if one.request is not None else route_of(one)
    )


def summed(
    found: Iterable[CaptureRecord], endpoint: Callable[[CaptureRecord], str] = route_of
) -> list[Sent]:
    """Makes one row for each host, method, endpoint and outcome, in the order of first sight."""
    rows: dict[tuple[str, ...], Sent] = {}
    for one in found:
        method = one.request.method if one.request else ""
        became = outcome(one.kind, one.action, one.answered_by, one.reason)
        program = one.sent_by if one.program else ""
        route = endpoint(one)
        key = (one.host, method, route, one.action, one.kind, one.reason, became, program)
        row = rows.get(key)
        if row is None:
            row = rows[key] = Sent(
                host=one.host,
                method=method,
                endpoint=route,
                action=one.action,
                kind=one.kind,
                reason=one.reason,
                outcome=became,
                profile=one.profile,
                program=program,
                first_ns=one.time_ns,
            )
        out, back = sizes(one)
        row.count += 1
        row.bytes_out += out
        row.bytes_in += back
        row.first_ns = min(row.first_ns, one.time_ns)
        row.last_ns = max(row.last_ns, one.time_ns)
    return sorted(rows.values(), key=lambda row: row.first_ns)


def table(rows: Iterable[Sent], to: TextIO | None = None) -> str:
    """Renders a table for people; captured text cannot control the terminal. `to` is where it is
    printed, by default standard output."""
    shown = list(rows)
    head = ["host", "endpoint", "what became of it", "by", "count", "bytes out", "bytes in",
            "first", "last", ""]  # fmt: skip
    lines: list[list[object]] = [
        [
            row.host,
            f"{row.method} {row.endpoint}".strip() or f"({row.kind})",
            WORDS[word_of(row.outcome)].lower(),
            row.program,
            row.count,
            row.bytes_out,
            row.bytes_in,
            iso(row.first_ns)[11:],  # the time of day
            iso(row.last_ns)[11:],
            REASONS.get(row.reason, row.reason),
        ]
        for row in shown
    ]
    if not any(row.program for row in shown):  # macOS, and the demo
        del head[3]
        for line in lines:
            del line[3]
    return text_table(head, lines, to)
