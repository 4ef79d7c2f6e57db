"""Bytes to a pod and back: through a stand-in of the API server, and through a real one."""

import asyncio
import contextlib
import json
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest
import trustme
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from app.cluster import kube
from app.cluster.kube import KubeApi
from app.cluster.tunnel import Tunnel, tunnel
from tests.cluster import AWAY, cluster, kubeconfig, namespace
from tests.relay import ADDRESS, needs_image, relay
from tests.waiting import wait_for

UNBOUNDED = 128 << 20  # bytes that no row of bounded sockets and queues holds


class Echo:
    """Sends back what it gets; b"bye" ends the connection from its side. With b"deaf" it only
    writes from then on, and never reads."""

    def __init__(self, address: str) -> None:
        self._listener = socket.create_server((address, 0))
        self.port = self._listener.getsockname()[1]
        self.open = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                break
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        self.open += 1
        try:
            self._echo(connection)
        finally:
            self.open -= 1

    def _echo(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while (data := connection.recv(65536)) and data != b"bye":
                while data == b"deaf":
                    connection.sendall(bytes(65536))
                connection.sendall(data)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


class StandIn:
    """An API server that forwards ports of the pod `echo` to those of this machine, each way on
    its own as kubelets do. `asked` counts the requests that it could read, `objects` is what it
    answers them with else."""

    def __init__(self, ports: dict[int, int]) -> None:
        self._ports = ports
        self.asked = 0
        self.objects: dict[str, object] = {}
        authority = trustme.CA()
        self.ca = authority.cert_pem.bytes()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(self._context)
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()
        self._started.wait()

    async def _run(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        protocol = Subprotocol("v4.channel.k8s.io")
        async with serve(
            self._forward,
            "127.0.0.1",
            0,
            ssl=self._context,
            process_request=self._check,
            subprotocols=[protocol],
            compression=None,
            close_timeout=0.1,
        ) as server:
            self.port = next(iter(server.sockets)).getsockname()[1]
            self._started.set()
            await self._ended.wait()

    def _check(self, connection: ServerConnection, request: Request) -> Response | None:
        self.asked += 1
        if request.headers.get("authorization") != "Bearer secret":
            return connection.respond(HTTPStatus.UNAUTHORIZED, "")
        place = urlsplit(request.path).path
        if place in self.objects:
            return connection.respond(HTTPStatus.OK, json.dumps(self.objects[place]))
        if place != "/api/v1/namespaces/place/pods/echo/portforward":
            return connection.respond(HTTPStatus.NOT_FOUND, "")
        return None

    async def _forward(self, far: ServerConnection) -> None:
        request = far.request
        port = int(parse_qs(urlsplit(request.path if request else "").query)["ports"][0])
        for channel in (b"\x00", b"\x01"):
            await far.send(channel + port.to_bytes(2, "little"))
        if port not in self._ports:
            await far.send(b"\x01" + f"error forwarding port {port}: refused".encode())
            return
        reader, writer = await asyncio.open_connection("127.0.0.1", self._ports[port])

        async def back() -> None:
            while piece := await reader.read(32768):
                await far.send(b"\x00" + piece)

        async def forth() -> None:
            async for frame in far:
                writer.write(bytes(frame[1:]))  # type: ignore[arg-type]
                await writer.drain()

        ways = [asyncio.create_task(back()), asyncio.create_task(forth())]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        writer.transport.abort()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()


@contextlib.contextmanager
def stand_in(ports: dict[int, int]) -> Iterator[StandIn]:
    server = StandIn(ports)
    try:
        yield server
    finally:
        server.close()


def connected(folder: Path, server: str, ca: bytes = b"") -> KubeApi:
    with pytest.MonkeyPatch.context() as patch:
        kubeconfig(folder, patch, server, token="secret", ca=ca)
        return kube.connect()


class Pod(NamedTuple):
    """A pod that echoes on its port 8443; on 8444 nobody listens."""

    api: KubeApi
    namespace: str
    echo: Echo

    def open(self, port: int = 8443, name: str = "echo") -> Tunnel:
        return Tunnel(self.api, self.namespace, name, port)


@pytest.fixture(scope="module", params=["stand-in", pytest.param("cluster", marks=needs_image)])
def pod(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    real = request.param == "cluster"
    echo = Echo(ADDRESS if real else "127.0.0.1")
    if real:
        with cluster() as api, namespace(api, "a1-tunnel") as place:
            relay(api, place, "echo", {}, {8443: echo.port})
            yield Pod(api, place, echo)
    else:
        with stand_in({8443: echo.port}) as server:
            folder = tmp_path_factory.mktemp("kube")
            api = connected(folder, f"https://127.0.0.1:{server.port}", server.ca)
            yield Pod(api, "place", echo)
            api.close()
    echo.close()


@contextlib.contextmanager
def opened(one: Tunnel) -> Iterator[Tunnel]:
    one.start()
    try:
        yield one
    finally:
        within(one.close)


def within(call: Callable[[], object], seconds: float = 5) -> None:
    """Calls it; fails when that takes longer."""
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), f"not within {seconds:g} s"


def dial(opened: Tunnel) -> socket.socket:
    near = socket.socket(socket.AF_UNIX)
    near.settimeout(20)
    near.connect(str(opened.path))
    return near


def receive(near: socket.socket, size: int) -> bytes:
    found = bytearray()
    while len(found) < size and (piece := near.recv(65536)):
        found += piece
    return bytes(found)


def ended(near: socket.socket) -> bool:
    """Reads to the end, in whichever way it comes."""
    with contextlib.suppress(ConnectionError):
        while near.recv(65536):
            pass
    return True


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("telemock-tunnel")]


def test_bytes_go_both_ways_and_connections_end(pod: Pod) -> None:
    blob = os.urandom(3 << 20)
    with tunnel(pod.api, pod.namespace, "echo", 8443) as opened:
        assert opened.path.parent.stat().st_mode & 0o777 == 0o700
        with dial(opened) as one, dial(opened) as two:
            two.sendall(b"second")
            threading.Thread(target=one.sendall, args=(blob,)).start()
            assert receive(one, len(blob)) == blob
            assert receive(two, 6) == b"second"
            one.sendall(b"bye")
            assert one.recv(1) == b""
        with dial(opened) as again:
            again.sendall(b"third")
            assert receive(again, 5) == b"third"
            assert opened.error == ""
            path = opened.path
    assert not path.parent.exists()


# A real API server and kubelet hold as much as they like, here more than 128 MiB, and their ends of
# a connection for as long as that takes: only of the stand-in it is known when all is full.
when_full = pytest.mark.parametrize("pod", ["stand-in"], indirect=True)


def fill(near: socket.socket) -> bytes:
    """Writes until nothing is taken any more, and leaves everything unread; what was taken."""
    sent = bytearray()
    near.settimeout(1)
    with contextlib.suppress(TimeoutError):
        while len(sent) < UNBOUNDED:
            piece = os.urandom(65536)
            sent += piece[: near.send(piece)]
    near.settimeout(20)
    assert len(sent) < UNBOUNDED
    return bytes(sent)


@when_full
def test_both_directions_full_is_no_stall(pod: Pod) -> None:
    """The pod does not read before it has written, and we do not read before we have written."""
    with opened(pod.open()) as one, dial(one) as near:
        sent = fill(near)
        assert receive(near, len(sent)) == sent


@when_full
@pytest.mark.parametrize("first", [b"deaf", b"echo"])
def test_closing_ends_what_is_full_both_ways(pod: Pod, first: bytes) -> None:
    with opened(pod.open()) as one, dial(one) as near:
        near.sendall(first)
        assert near.recv(1)
        fill(near)
        within(one.close)
        assert ended(near)
    assert not threads()


@when_full
def test_client_that_leaves_when_all_is_full_leaves_nothing(pod: Pod) -> None:
    with opened(pod.open()) as one:
        with dial(one) as near:
            near.sendall(b"deaf")
            assert near.recv(1)
            fill(near)
        wait_for(lambda: pod.echo.open == 0)
        with dial(one) as again:
            again.sendall(b"next")
            assert receive(again, 4) == b"next"


def test_closing_ends_what_is_open(pod: Pod) -> None:
    with opened(pod.open()) as one, dial(one) as near:
        near.sendall(b"x")
        assert near.recv(1) == b"x"
        within(one.close)
        assert near.recv(1) == b""
    assert not threads()


def test_port_where_nobody_listens_is_said(pod: Pod) -> None:
    with opened(pod.open(8444)) as one, dial(one) as near:
        near.sendall(b"x")
        assert ended(near)
        wait_for(lambda: "8444" in one.error)


def test_pod_that_is_not_there_is_said(pod: Pod) -> None:
    with opened(pod.open(name="none")) as one, dial(one) as near:
        assert near.recv(1) == b""
        wait_for(lambda: "404" in one.error)


def test_api_server_that_does_not_answer(tmp_path: Path) -> None:
    api = connected(tmp_path, AWAY)
    with opened(Tunnel(api, "default", "a", 1)) as one, dial(one) as near:
        assert near.recv(1) == b""
        wait_for(lambda: bool(one.error))
        assert "secret" not in one.error
    api.close()


def test_api_server_with_a_certificate_of_another_gets_no_token(tmp_path: Path) -> None:
    with stand_in({}) as server:
        other = trustme.CA().cert_pem.bytes()
        api = connected(tmp_path, f"https://127.0.0.1:{server.port}", other)
        with opened(Tunnel(api, "place", "echo", 1)) as one, dial(one) as near:
            assert near.recv(1) == b""
            wait_for(lambda: "CERTIFICATE_VERIFY_FAILED" in one.error)
        assert server.asked == 0
        api.close()
