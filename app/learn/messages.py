"""Finds what WebSockets said, for drafts: a host's greeting, and a client's messages as content.

Called by `app.learn.draft`.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from app.contract.record import CaptureRecord, Request, first
from app.learn.fields import Look, look

MESSAGES = 2_000  # that are read


class Spoken(NamedTuple):
    """A message of the WebSocket that the exchange `of` opened. `look` is a client's, read as if it
    were a request's body; `text` is the host's, None where it is no whole text."""

    of: str
    look: Look | None
    text: str | None


def opens(request: Request) -> bool:
    """True if the request asks for a WebSocket."""
    return "websocket" in first(request.headers, "upgrade").lower()


def spoken(records: Iterable[CaptureRecord], looks: Sequence[Look]) -> list[Spoken]:
    """In the order of time, at most MESSAGES."""
    openers = {one.record.id: one for one in looks if opens(one.request)}
    about = (
        (record, record.message, openers[record.message.of])
        for record in records
        if record.message and not record.message.line and record.message.of in openers
    )
    found = []
    for record, message, one in sorted(about, key=lambda each: each[0].time_ns)[:MESSAGES]:
        if message.sender == "client":
            asked = replace(one.request, query=[], headers=[], left_out=0, body=message.body)
            found.append(
                Spoken(message.of, look(replace(record, kind="exchange", request=asked)), "")
            )
        else:
            text = None if message.body.truncated or message.body.base64 else message.body.text
            found.append(Spoken(message.of, None, text))
    return found


def greetings(messages: Sequence[Spoken], looks: Sequence[Look]) -> Iterator[str]:
    """The host's words before the client's first, one text for each of these WebSockets."""
    asked = {one.record.id for one in looks}
    for one in messages:
        if one.of in asked:
            asked.discard(one.of)
            if one.text:
                yield one.text
