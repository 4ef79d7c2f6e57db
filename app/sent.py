"""What one start of a sidecar saw, summed up: the table that `telemock run` and `telemock demo` end
with. Read from the captures themselves, since roll-ups know only hours.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import httpx
import msgspec
from rich.table import Table
from rich.text import Text

from app.contract import names, record
from app.contract.record import CaptureRecord
from app.terminal import clock, plain, size

PAGE = 500


class Sent(msgspec.Struct, kw_only=True):
    """What went one way. Bytes are of bodies; of a spliced connection, all of its bytes."""

    host: str
    method: str
    endpoint: str  # the rule's route, or the path
    action: str
    kind: str
    reason: str = ""
    count: int = 0
    bytes_out: int = 0
    bytes_in: int = 0
    first_ns: int = 0
    last_ns: int = 0


def captures(url: str, token: str, *, boot: str, since_ns: int) -> Iterator[CaptureRecord]:
    """Every record of that start since then, newest first. Raises httpx.HTTPError."""
    asked: dict[str, Any] = {"since": since_ns, "limit": PAGE}
    with httpx.Client(
        base_url=url, headers={"authorization": f"Bearer {token}"}, trust_env=False, timeout=30
    ) as client:
        while True:
            answer = client.get(names.PATH_CAPTURES, params=asked)
            answer.raise_for_status()
            page = msgspec.json.decode(answer.content, type=_Page)
            for raw in page.items:
                found = record.decode(bytes(raw))
                if found.boot == boot and found.kind != "log":
                    yield found
            if page.next is None:
                return
            asked["cursor"] = page.next


class _Page(msgspec.Struct):
    items: list[msgspec.Raw]
    next: str | None = None


def summed(records: Iterable[CaptureRecord]) -> list[Sent]:
    """One row for each host, method, endpoint and outcome, in the order of first sight."""
    rows: dict[tuple[str, ...], Sent] = {}
    for found in records:
        host, method, endpoint, out, back = _way(found)
        key = (host, method, endpoint, found.action, found.kind, found.reason)
        row = rows.get(key)
        if row is None:
            row = rows[key] = Sent(
                host=host,
                method=method,
                endpoint=endpoint,
                action=found.action,
                kind=found.kind,
                reason=found.reason,
                first_ns=found.time_ns,
            )
        row.count += 1
        row.bytes_out += out
        row.bytes_in += back
        row.first_ns = min(row.first_ns, found.time_ns)
        row.last_ns = max(row.last_ns, found.time_ns)
    return sorted(rows.values(), key=lambda row: row.first_ns)


def _way(found: CaptureRecord) -> tuple[str, str, str, int, int]:
    """Host, method, endpoint, bytes out and bytes back of one record."""
    if found.request is None:
        return found.host, "", "(connection)", found.sent, found.received
    asked, answer = found.request, found.response
    out = asked.body.size if asked.body else found.sent
    back = answer.body.size if answer is not None and answer.body else found.received
    return found.host, asked.method, found.route or asked.path, out, back


def table(rows: Iterable[Sent]) -> Table:
    """For people; captured text cannot act on the terminal."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("host", "endpoint", "action", "count", "out", "in", "first", "last"):
        right = name in ("count", "out", "in")
        shown.add_column(name, justify="right" if right else "left", overflow="fold", no_wrap=right)
    for row in rows:
        cells = (
            row.host,
            f"{row.method} {row.endpoint}".strip(),
            row.action
            if row.kind in ("exchange", "spliced")
            else f"{row.action} {row.kind}".strip(),
            str(row.count),
            size(row.bytes_out),
            size(row.bytes_in),
            clock(row.first_ns),
            clock(row.last_ns),
        )
        shown.add_row(*(Text(plain(cell)) for cell in cells))
    return shown
