"""WebSockets on rules that accept them: every message is recorded; the only answer is the rule's
body, sent first as a text message.

Called by `app.dispatch`. Sidecars record their own WebSockets.
"""

import time

from app.contract.actions import ANSWERED
from app.contract.body import whole
from app.contract.names import HEADER_RECORD
from app.contract.record import (
    HEADER_CAP,
    CaptureRecord,
    Message,
    Response,
    clip,
    text,
)
from app.contract.rules import UNREAD
from app.mock.mock import Chosen, Mock
from app.mock.request import Receive, Scope, Send, arrived


async def websocket(mock: Mock, scope: Scope, receive: Receive, send: Send) -> None:
    time_ns, started = time.time_ns(), time.monotonic_ns()
    asked = arrived(scope)
    span = mock.begin(asked)
    seen = mock.view(asked)
    chosen = mock.choose(asked, seen)
    if seen.json is UNREAD:
        seen.json = None
    await receive()  # websocket.connect
    accepts = chosen.answer.websocket and chosen.action in ANSWERED
    headers = [
        h for h in chosen.answer.headers if h[0].lower() not in ("content-type", "content-length")
    ]
    if accepts:
        offered = scope.get("subprotocols") or [None]  # a client that offers some needs one
        await send(
            {
                "type": "websocket.accept",
                "subprotocol": offered[0],
                "headers": [(n.encode("latin-1", "replace"), v.encode()) for n, v in headers],
            }
        )
    else:
        await send({"type": "websocket.close"})
    status = 101 if accepts else 403
    duration_ns = mock.tell(span, asked, chosen, time_ns, started, status=status)
    recorder = None
    if HEADER_RECORD not in asked.internal:
        record = mock.record(asked, seen, chosen, span, time_ns)
        record.duration_ns = duration_ns
        kept, left_out = clip(headers if accepts else [], HEADER_CAP)
        record.response = Response(
            status=status, http_version="HTTP/1.1", headers=kept, left_out=left_out
        )
        mock.writer.add(record)
        recorder = _Recorder(mock, chosen, record)
    if not accepts:
        return
    if chosen.answer.body:
        greeting = text(chosen.answer.body)
        await send({"type": "websocket.send", "text": greeting})
        if recorder:
            recorder.add("server", greeting.encode())
    while (message := await receive())["type"] != "websocket.disconnect":
        if recorder:
            data = message.get("bytes")
            recorder.add("client", data if data is not None else text(message["text"]).encode())


class _Recorder:
    """Records each message on its own, with a reference to the opening exchange."""

    def __init__(self, mock: Mock, chosen: Chosen, opened: CaptureRecord) -> None:
        self._mock = mock
        self._opened = opened

    def add(self, sender: str, data: bytes) -> None:
        opened = self._opened
        self._mock.writer.add(
            CaptureRecord(
                boot=opened.boot,
                seq=self._mock.writer.reserve(),
                kind="message",
                time_ns=time.time_ns(),
                profile=opened.profile,
                rule=opened.rule,
                route=opened.route,
                action=opened.action,
                mode=opened.mode,
                answered_by="app",
                client=opened.client,
                trace_id=opened.trace_id,
                span_id=opened.span_id,
                product_version=opened.product_version,
                message=Message(
                    of=opened.id,
                    sender="client" if sender == "client" else "server",
                    body=whole(data),
                ),
            )
        )
