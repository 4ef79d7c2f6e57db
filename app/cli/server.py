"""uvicorn as the app and the injector run it: nothing logged, and an orderly end.

Used by `app.cli.serve` and `app.cli.injector`, for each of their listeners.
"""

import contextlib
import logging
import signal
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from app.cli.heads import Heads

_GRACE_S = 10  # that running requests get at the end


def config(app: ASGIApp, **given: Any) -> uvicorn.Config:
    logging.getLogger("uvicorn").addHandler(logging.NullHandler())  # what it says, we say
    fixed: dict[str, Any] = {
        "http": Heads,
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,  # a record names the caller, whatever the caller says
        "lifespan": "on",
        "timeout_graceful_shutdown": _GRACE_S,
    }
    return uvicorn.Config(app, **(fixed | given))


class Server(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """A connection at rest is cut. Over TLS, uvicorn would wait for the client to say goodbye,
        and a sidecar reads nothing until it asks again."""
        for connection in list(self.server_state.connections):
            if not hasattr(connection, "cycle"):
                continue  # a WebSocket, which says goodbye
            if connection.cycle is None or connection.cycle.response_complete:
                connection.transport.abort()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn does it, but a signal that ended the server does not kill the process again:
        what it asked for has been done, so the exit code is 0."""
        before = {
            number: signal.signal(number, self.handle_exit)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
