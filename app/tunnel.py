"""A pod's port as a Unix socket on this machine, through the API server (`kubectl port-forward`).

Unlike a TCP port, nobody but this user can reach the socket. Made by `app.remote`.
"""

import contextlib
import logging
import shutil
import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from websockets import ConnectionClosed
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from app.kube import Api, path

_PROTOCOL = Subprotocol("v4.channel.k8s.io")
_DATA, _ERROR = 0, 1  # the port's two channels; the first frame of each holds its number
_PIECE = 64 << 10
_OPEN_S = 10.0

# What goes through is the user's business, and its headers hold their token.
_silent = logging.getLogger("telemock.tunnel.websocket")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False


class Tunnel:
    """While open, every connection to `path` ends at that port of the pod. `error` is what went
    wrong last, "" while nothing did."""

    def __init__(self, api: Api, namespace: str, pod: str, port: int) -> None:
        self._api = api
        place = path("api", "v1", "namespaces", namespace, "pods", pod, "portforward")
        scheme, _, rest = api.server.partition("://")
        self._url = f"{scheme.replace('http', 'ws')}://{rest}{place}?{urlencode({'ports': port})}"
        self._settings = api.client.configuration
        self._folder = Path(tempfile.mkdtemp(prefix="telemock-"))
        self.path = self._folder / "s"
        self._listener = socket.socket(socket.AF_UNIX)
        self._open: set[ClientConnection] = set()
        self._lock = threading.Lock()
        self._closed = False
        self.error = ""

    def start(self) -> None:
        self._listener.bind(str(self.path))
        self._listener.listen(8)
        threading.Thread(target=self._accept, name="telemock-tunnel", daemon=True).start()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            still = list(self._open)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self._listener.close()
        for connection in still:
            _drop(connection)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(
                target=self._serve, args=(near,), name="telemock-tunnel", daemon=True
            ).start()

    def _serve(self, near: socket.socket) -> None:
        """One connection, from its start to its end."""
        with near:
            try:
                with self._connect() as far:
                    self._relay(near, far)
            except ConnectionClosed:
                pass
            except (OSError, WebSocketException, ValueError) as e:
                self.error = f"{type(e).__name__}: {e}"

    def _relay(self, near: socket.socket, far: ClientConnection) -> None:
        with self._lock:
            self._open.add(far)
        if self._closed:
            _drop(far)
        sender = threading.Thread(target=_send, args=(near, far), daemon=True)
        sender.start()
        try:
            self._receive(far, near)
        finally:
            with contextlib.suppress(OSError):
                near.shutdown(socket.SHUT_RDWR)  # ends the sender
            _drop(far)
            sender.join()
            with self._lock:
                self._open.discard(far)

    def _receive(self, far: ClientConnection, near: socket.socket) -> None:
        started: set[int] = set()
        for frame in far:
            if not isinstance(frame, bytes) or not frame:
                continue
            channel, content = frame[0], frame[1:]
            if channel not in started:
                started.add(channel)
            elif channel == _DATA:
                near.sendall(content)
            elif channel == _ERROR:
                self.error = content.decode("utf-8", "replace")
                return

    def _connect(self) -> AbstractContextManager[ClientConnection]:
        given = self._settings
        authorization = self._api.authorization()
        secure = self._url.startswith("wss")
        extra: dict[str, Any] = {}
        if secure and given.tls_server_name:
            extra["server_hostname"] = given.tls_server_name
        opened: AbstractContextManager[ClientConnection] = connect(
            self._url,
            ssl=_trust(given) if secure else None,
            additional_headers={"authorization": authorization} if authorization else None,
            subprotocols=[_PROTOCOL],
            proxy=given.proxy or None,
            compression=None,
            max_size=None,
            open_timeout=_OPEN_S,
            close_timeout=1,
            logger=_silent,
            **extra,
        )
        return opened


@contextmanager
def tunnel(api: Api, namespace: str, pod: str, port: int) -> Iterator[Tunnel]:
    opened = Tunnel(api, namespace, pod, port)
    opened.start()
    try:
        yield opened
    finally:
        opened.close()


def _send(near: socket.socket, far: ClientConnection) -> None:
    with contextlib.suppress(OSError, WebSocketException):
        while piece := near.recv(_PIECE):
            far.send(bytes((_DATA,)) + piece)
    _drop(far)


def _drop(connection: ClientConnection) -> None:
    with contextlib.suppress(OSError, WebSocketException):
        connection.close()


def _trust(settings: Any) -> ssl.SSLContext:
    """As the client library does it from the kubeconfig."""
    context = ssl.create_default_context(cafile=settings.ssl_ca_cert or None)
    # Python 3.13 asks for more than Go's clients do, and many clusters' authorities lack it.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not settings.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.cert_file:
        context.load_cert_chain(settings.cert_file, settings.key_file)
    return context
