"""Opens a pod's port as a Unix socket here, through the API server (`kubectl port-forward`).

Unlike a TCP port, nobody but this user can reach the socket. Made by `app.cluster.remote`.

The relay runs on an event loop, in a thread of its own: the blocking client of websockets sends and
receives under one lock, so that two full directions deadlock.
"""

import asyncio
import contextlib
import logging
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from websockets import ConnectionClosed
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from app.cluster.kube import KubeApi, path, tls_context

_PROTOCOL = Subprotocol("v4.channel.k8s.io")
_DATA, _ERROR = 0, 1  # the port's two channels; the first frame of each holds its number
_PIECE = 64 << 10
_OPEN_S = 10.0
_CLOSE_S = 1.0

# The user's traffic stays out of logs, and its headers hold their token.
_silent = logging.getLogger("telemock.tunnel.websocket")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False


class Tunnel:
    """While open, relays every connection to `path` to that port of the pod. `error` is the last
    failure, "" without one."""

    def __init__(self, api: KubeApi, namespace: str, pod: str, port: int) -> None:
        self._api = api
        place = path("api", "v1", "namespaces", namespace, "pods", pod, "portforward")
        scheme, _, rest = api.server.partition("://")
        self._url = f"{scheme.replace('http', 'ws')}://{rest}{place}?{urlencode({'ports': port})}"
        self._folder = Path(tempfile.mkdtemp(prefix="telemock-"))
        self.path = self._folder / "s"
        self._listener = socket.socket(socket.AF_UNIX)
        self._loop = asyncio.new_event_loop()
        self._closing = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="telemock-tunnel", daemon=True)
        self.error = ""

    def start(self) -> None:
        self._listener.bind(str(self.path))
        self._listener.listen(8)
        self._thread.start()

    def close(self) -> None:
        """Ends all connections, whatever they wait for."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._listen())

    async def _listen(self) -> None:
        """Serves until the tunnel is closed; the loop's end then cancels the connections."""
        server = await asyncio.start_unix_server(self._serve, sock=self._listener, limit=_PIECE)
        await self._closing.wait()
        server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Relays one connection, from its start to its end."""
        try:
            try:
                await self._forward(reader, writer)
            except ConnectionClosed:
                pass
            except (OSError, WebSocketException, ValueError) as e:
                self.error = f"{type(e).__name__}: {e}"
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()  # until the client has read everything
        finally:
            writer.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far = await self._connect()
        try:
            with contextlib.suppress(OSError):  # our client left
                await self._relay(reader, writer, far)
        finally:
            await _end(far)

    async def _relay(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, far: ClientConnection
    ) -> None:
        """Relays both ways at once; when one way ends, the other is cancelled."""
        ways = [
            asyncio.create_task(_send(reader, far)),
            asyncio.create_task(self._receive(far, writer)),
        ]
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        for way in done:
            way.result()

    async def _receive(self, far: ClientConnection, writer: asyncio.StreamWriter) -> None:
        started: set[int] = set()
        async for frame in far:
            if not isinstance(frame, bytes) or not frame:
                continue
            channel, content = frame[0], frame[1:]
            if channel not in started:
                started.add(channel)
            elif channel == _DATA:
                writer.write(content)
                await writer.drain()
            elif channel == _ERROR:
                self.error = content.decode("utf-8", "replace")
                return

    async def _connect(self) -> ClientConnection:
        given = self._api.client.configuration
        # The kubeconfig may name a program that provides the credentials.
        authorization = await asyncio.to_thread(self._api.authorization)
        secure = self._url.startswith("wss")
        extra: dict[str, Any] = {}
        if secure and given.tls_server_name:
            extra["server_hostname"] = given.tls_server_name
        return await connect(
            self._url,
            ssl=tls_context(given) if secure else None,
            additional_headers={"authorization": authorization} if authorization else None,
            subprotocols=[_PROTOCOL],
            proxy=given.proxy or None,
            compression=None,
            max_size=None,
            open_timeout=_OPEN_S,
            logger=_silent,
            **extra,
        )


@contextmanager
def tunnel(api: KubeApi, namespace: str, pod: str, port: int) -> Iterator[Tunnel]:
    opened = Tunnel(api, namespace, pod, port)
    opened.start()
    try:
        yield opened
    finally:
        opened.close()


async def _send(reader: asyncio.StreamReader, far: ClientConnection) -> None:
    while piece := await reader.read(_PIECE):
        await far.send(bytes((_DATA,)) + piece)


async def _end(far: ClientConnection) -> None:
    """Closes within a limit: the closing frame waits behind data that the peer does not read."""
    try:
        async with asyncio.timeout(_CLOSE_S):
            await far.close()
    except (TimeoutError, OSError, WebSocketException):
        pass
    finally:
        far.transport.abort()
