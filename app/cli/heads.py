"""Bounds request heads in uvicorn's HTTP/1 protocol: uvicorn waits for a head without a timeout and
limits neither its size nor that of chunk extensions.

Used by `app.cli.server` for each listener of the app and the injector.
"""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_S = 10.0  # timeout of a head, from its first byte or from the connection's beginning
HEAD_CAP = 64 << 10  # bytes of a head, of chunk extensions or of trailers


class Heads(HttpToolsProtocol):
    _late: asyncio.TimerHandle | None = None
    _fed = 0  # bytes since the last complete head or piece of a body
    _upgraded = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._fed += len(data)
        super().data_received(data)
        if self._upgraded or self.transport.is_closing():
            return
        if self._fed > HEAD_CAP:
            self.transport.abort()
        elif self._late is None and (self.cycle is None or self.cycle.response_complete):
            self._wait()

    def on_headers_complete(self) -> None:
        self._fed = 0
        self._stop()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._fed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._fed = 0
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        self._upgraded = True
        super().handle_websocket_upgrade()

    def _wait(self) -> None:
        self._late = self.loop.call_later(HEAD_S, self.transport.abort)

    def _stop(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
