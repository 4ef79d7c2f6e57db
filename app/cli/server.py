"""uvicorn, set up for the app and the injector: silent, and with an orderly shutdown.

Used by `app.cli.serve` and `app.cli.injector`, for each of their listeners.
"""

import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from app.cli.heads import Heads
from app.contract.names import SCOPE_STREAM

_GRACE_S = 10  # grace period for running requests at shutdown


def config(app: ASGIApp, **given: Any) -> uvicorn.Config:
    logging.getLogger("uvicorn").addHandler(logging.NullHandler())  # the app logs for itself
    fixed: dict[str, Any] = {
        "http": Heads,
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "workers": 1,  # else WEB_CONCURRENCY is read
        "proxy_headers": False,  # a record names the peer's own address: proxy headers could lie
        "lifespan": "on",
        "timeout_graceful_shutdown": _GRACE_S,
    }
    return uvicorn.Config(app, **(fixed | given))


class Server(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Aborts idle connections, and answers without an end. Over TLS, uvicorn would wait for the
        client's close_notify, and a sidecar reads nothing until its next request."""
        for connection in list(self.server_state.connections):
            if not hasattr(connection, "cycle"):
                continue  # a WebSocket, which has a closing handshake
            cycle = connection.cycle
            if cycle is None or cycle.response_complete or cycle.scope.get(SCOPE_STREAM):
                connection.transport.abort()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Installs the handlers as uvicorn does, but does not raise the signal again after the
        shutdown: the exit code stays 0."""
        if threading.current_thread() is not threading.main_thread():  # it may set none
            yield
            return
        before = {
            number: signal.signal(number, self.handle_exit)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
