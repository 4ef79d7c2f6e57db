"""`telemock serve`: runs the app in uvicorn, on a socket of our own.

While it listens, `server.json` in the data directory holds its address; the other commands find it
there. In a cluster there is no such file, and a second server of the same process answers the API
over TLS.
"""

import asyncio
import contextlib
import errno
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import typer
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.cli.server import Server, config
from app.client.running import running_app
from app.contract.cores import allow_files
from app.contract.files import write_whole
from app.contract.names import API_KEPT_S, FILE_SERVER, FILE_TOKEN
from app.contract.record import bracketed
from app.contract.settings import SettingError
from app.main import create_app
from app.profiles import added
from app.run.processes import LocalError
from app.runtime import Runtime
from app.settings import ADDED, Settings

_BACKLOG = 2048
# Idle time of a sidecar's connection to the API: longer than the sidecar keeps it, because a
# request that meets our close has to be sent again. An idle one costs 36 kB here and more, a new
# one over 1 ms of CPU. On the plain port, the mock's, a new one costs 0.2 ms: uvicorn's 5 s stay.
_IDLE_S = API_KEPT_S + 30


def serve(settings: Settings) -> int:
    """Serves until SIGTERM or SIGINT; returns the exit code.

    Raises SettingError, ProfileError, StoreError, LocalError.
    """
    if other := running_app(settings.data):
        raise LocalError(
            f"an app runs on {settings.data} already, at {other}\n\n"
            "hint: stop it, or give this one another TELEMOCK_DATA"
        )
    if ADDED in settings.profiles_given and not settings.cluster:
        added.make(settings.data)  # so that what is added while we run is found there
    with contextlib.ExitStack() as opened:

        def bound(number: int, setting: str) -> socket.socket:
            return opened.enter_context(contextlib.closing(_bound(settings.host, number, setting)))

        listener = bound(settings.port, "PORT")
        url = _url(settings.host, listener.getsockname()[1])
        app = create_app(settings)
        startup = _Startup(app)
        allow_files()
        server: _AppServer
        if settings.cluster:
            over_tls = bound(settings.tls_port, "TELEMOCK_TLS_PORT")
            server = _ReleaseServer(startup, url, over_tls, app.state.runtime)
        else:
            server = _LocalServer(config(startup), url, app.state.runtime, settings.data)
        with contextlib.suppress(SystemExit):  # uvicorn's sign that the start failed
            server.run(sockets=[listener])
    if startup.error is not None:
        raise startup.error
    return 0 if server.started else 1


def _bound(host: str, port: int, setting: str) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as e:
        raise SettingError(
            f"HOST is {host!r}, which names no address: {e.strerror or e}\n\n"
            "hint: 127.0.0.1 for this machine only, 0.0.0.0 for every network"
        ) from None
    # Names TCP: without it asyncio leaves Nagle's algorithm on, which costs an answer 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as e:
        listener.close()
        if e.errno == errno.EADDRINUSE:
            raise SettingError(
                f"{setting} is {port}, and another program listens on {host}:{port} already\n\n"
                f"hint: stop it, or choose another port: {setting}={port + 1}, or {setting}=0 for "
                "any free one"
            ) from None
        if e.errno == errno.EACCES:
            raise SettingError(
                f"{setting} is {port}, which this user may not listen on\n\n"
                "hint: choose one above 1023"
            ) from None
        raise SettingError(
            f"HOST is {host!r}, where this machine cannot listen: {e.strerror or e}\n\n"
            "hint: 127.0.0.1 for this machine only, 0.0.0.0 for every network"
        ) from None
    return listener


def _url(host: str, port: int) -> str:
    """The URL of the listener for clients on this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104
    return f"http://{bracketed(host)}:{port}"


class _Startup:
    """Wraps the app and keeps its start-up error for `serve`, instead of a logged traceback."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.error: Exception | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return

        async def quiet(message: Message) -> None:
            if message["type"].endswith(".failed"):
                message = {**message, "message": ""}
            await send(message)

        try:
            await self._app(scope, receive, quiet)
        except Exception as e:
            self.error = e


class _AppServer(Server):
    def __init__(self, config: uvicorn.Config, url: str, runtime: Runtime) -> None:
        super().__init__(config)
        self._url = url
        self._runtime = runtime

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            typer.echo(f"telemock listens on {self._url}")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._runtime.arriving.stop()
        await super().shutdown(sockets)


class _LocalServer(_AppServer):
    def __init__(self, config: uvicorn.Config, url: str, runtime: Runtime, data: Path) -> None:
        super().__init__(config, url, runtime)
        self._data = data
        self._file = data / FILE_SERVER

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            content = json.dumps({"url": self._url, "pid": os.getpid()}) + "\n"
            write_whole(self._file, [content.encode()])
            typer.echo(f"the token for /api is in {self._data / FILE_TOKEN}")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        with contextlib.suppress(OSError, ValueError):
            if json.loads(self._file.read_bytes())["pid"] == os.getpid():
                self._file.unlink()
        await super().shutdown(sockets)


class _ReleaseServer(_AppServer):
    """Serves one app on two ports: `over_tls` opens after its start and closes before its end."""

    def __init__(self, app: ASGIApp, url: str, over_tls: socket.socket, runtime: Runtime) -> None:
        super().__init__(config(app), url, runtime)
        self._app = app
        self._socket = over_tls
        self._over_tls: tuple[uvicorn.Server, asyncio.Task[None]] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        release = self._runtime.release
        if not self.started or release is None:
            return
        context = release.certificate.context
        server = _Inner(
            config(
                self._app,
                lifespan="off",
                ssl_context_factory=lambda *_: context,
                timeout_keep_alive=_IDLE_S,
            )
        )
        self._over_tls = server, asyncio.create_task(server.serve([self._socket]))
        port = self._socket.getsockname()[1]
        typer.echo(f"the API is on port {port}, over TLS, for whom the cluster's API server knows")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._runtime.arriving.stop()
        if self._over_tls is not None:
            server, task = self._over_tls
            server.should_exit = True
            await asyncio.wait([task])  # before the app shuts down
        await super().shutdown(sockets)


class _Inner(Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # the outer server handles signals
