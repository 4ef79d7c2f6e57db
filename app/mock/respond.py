"""Sends an answer to the client: at once, late, byte by byte, or as a fault.

Called by `app.mock.mock`. Whatever the rule says, it ends within HOLD_S, and when the client
leaves.
"""

import asyncio
import socket
import struct
import time

from app.contract.answer import Rendered
from app.contract.rules import Answer
from app.mock.request import Receive, Scope, Send

HOLD_S = 60.0  # the longest that an answer is delayed, dripped or held back
DRIP_S = 0.1  # pause between two bytes of a slow body, unless the rule has a delay


class Outgoing:
    """One answer being sent to the client."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._cycle = scope.get("telemock.cycle")
        self._transport = getattr(self._cycle, "transport", None)
        self._receive = receive
        self._send = send
        self.started = False

    async def give(self, rendered: Rendered, answer: Answer) -> tuple[Rendered | None, bool]:
        """Sends the answer. Returns what was sent (None: no whole answer, because of the fault or
        the client), and True if the client left first."""
        drips = answer.fault == "slow_body"
        if answer.delay_ms and not drips and await self._left(answer.delay_ms / 1000):
            return None, True
        if answer.fault == "reset":
            await self._reset()
            return None, False
        if answer.fault == "hang":
            if await self._left(HOLD_S):
                return None, False
            await self._reset()
            return None, False
        if drips:
            if await self._drip(rendered, answer.delay_ms / 1000 or DRIP_S):
                return rendered, False
            return None, True
        await self.whole(rendered)
        return rendered, False

    async def whole(self, rendered: Rendered) -> None:
        await self._start(rendered)
        await self._send({"type": "http.response.body", "body": rendered.body})

    async def _start(self, rendered: Rendered) -> None:
        self.started = True
        headers = [(n.encode("latin-1", "replace"), v.encode()) for n, v in rendered.headers]
        if self._cycle is not None and any(name.lower() == b"date" for name, _ in headers):
            self._cycle.default_headers = []  # uvicorn's own date, for this answer
        await self._send(
            {"type": "http.response.start", "status": rendered.status, "headers": headers}
        )

    async def _drip(self, rendered: Rendered, pause: float) -> bool:
        """Sends one byte at a time; False when the client left or the time was up."""
        await self._start(rendered)
        end = time.monotonic() + HOLD_S
        for at in range(len(rendered.body)):
            if await self._left(pause):
                return False
            if time.monotonic() > end:
                await self._reset()
                return False
            await self._send(
                {
                    "type": "http.response.body",
                    "body": rendered.body[at : at + 1],
                    "more_body": True,
                }
            )
        await self._send({"type": "http.response.body"})
        return True

    async def _left(self, seconds: float) -> bool:
        """Waits; True as soon as the client has left."""
        try:
            async with asyncio.timeout(min(seconds, HOLD_S)):
                while (await self._receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError:
            return False
        return True

    async def _reset(self) -> None:
        """Resets the connection (TCP RST).

        ASGI cannot express it: this needs the transport that uvicorn's `send` carries. Under
        another server the connection breaks in the middle of an answer instead.
        """
        if self._transport is None:
            if not self.started:
                await self._start(Rendered(200, "OK", [("content-length", "1")], b""))
            raise ConnectionAbortedError("fault: reset")
        sock = self._transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()
        await self._left(HOLD_S)
