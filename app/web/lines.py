"""A capture as a row of the list: made for the page, for more of it, and for what arrives."""

from collections.abc import Iterable
from typing import NamedTuple

from app.contract.outcomes import outcome, word_of
from app.contract.record import CaptureRecord, decode
from app.web.page import part


class CaptureLine(NamedTuple):
    """`place` is its `Page.places`."""

    record: CaptureRecord
    place: str
    word: str
    what: str

    @property
    def sender(self) -> str:
        by = self.record.workload
        return f"{by.namespace}/{by.pod}".strip("/") or (
            self.record.client.address if self.record.client else ""
        )


def row(line: bytes, place: str) -> CaptureLine:
    found = decode(line)
    of = outcome(found.kind, found.action, found.answered_by, found.reason)
    return CaptureLine(found, place, word_of(of) if of else "", what(found))


def arrived(line: bytes, place: str) -> CaptureLine:
    """Of a page in the order of arrival, whose places have no time."""
    found = row(line, place)
    return found._replace(place=f"{found.record.time_ns}.{place.rpartition('.')[2]}")


def what(found: CaptureRecord) -> str:
    if found.log:
        return f"{found.log.level} {found.log.message}"
    if found.message:
        return f"message of the {found.message.sender}, {found.message.body.size} bytes"
    if asked := found.request:
        query = "&".join(f"{name}={value}" for name, value in asked.query)
        return f"{found.host}{asked.path}{f'?{query}' if query else ''}"
    return found.host


def drawn(rows: Iterable[CaptureLine], q: str, position: int | None = None) -> str:
    """The rows as HTML; `position` is that of the first among all, from 0, None if not known."""
    given = {"q": q, "cursor": "", "open": "", "pin": "", "position": position}
    return part("rows.html", rows=list(rows), **given)
