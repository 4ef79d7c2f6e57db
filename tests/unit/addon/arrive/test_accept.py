"""addon/arrive/accept.py: who gets a connection, with mitmproxy's own server instance and real
sockets.

Behind a real redirect: tests/integration/test_sidecar_all.py.
"""

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from typing import Any

import pytest
from mitmproxy import platform
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.proxy import layers, mode_servers, mode_specs
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.test import taddons, tflow

from addon.arrive import accept
from addon.arrive.accept import Gate, Listener
from addon.arrive.prefaces import Prefaces
from addon.arrive.splice import Link
from addon.mitm.modes import GateInstance, GateMode, ProxyServer
from addon.target.dns import Destinations
from addon.target.first_bytes import Verdict
from app.contract.preface import Preface, encode
from app.contract.record import Endpoint, Program
from tests.sidecar import HOST
from tests.unit.addon.target.test_first_bytes import hello

DUMMY = "192.0.2.1"


class Taken:
    """In the place of `addon.arrive.direct`: gives mitmproxy everything, with what it read."""

    def __init__(self) -> None:
        self.hosts: list[str] = []
        self.destinations: list[tuple[str, int]] = []

    def take(
        self,
        client: socket.socket,
        peer: tuple[str, int],
        destination: tuple[str, int],
        host: str,
        back: Callable[[bytes], None],
    ) -> None:
        self.hosts.append(host)
        self.destinations.append(destination)
        loop, begun = asyncio.get_running_loop(), b""

        def read() -> None:
            nonlocal begun
            begun += client.recv(1 << 16)
            loop.remove_reader(client)
            back(begun)

        loop.add_reader(client, read)

    def end(self) -> None:
        self.hosts.append("end")


class Connections:
    """What `addon.connections` is to the gate."""

    def __init__(self) -> None:
        self.count = 0
        self.over = False
        self.closed = False
        self.links: list[Link] = []

    def names(self, host: str) -> bool:
        return host == HOST

    def unread(self) -> bool:
        return self.over

    def takes_lines(self, hosts: Iterable[str], port: int) -> bool:
        return False

    def of_lines(self, hosts: Iterable[str], port: int) -> None:
        return None

    def fails_closed(self, hosts: Iterable[str]) -> bool:
        return self.closed and HOST in hosts

    def arrived(self, *, counted: bool = True) -> None:
        self.count += counted

    def left(self, link: Link) -> None:
        self.links.append(link)


class Lab:
    """mitmproxy's own handling is `served`; `destination` is what the kernel says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.connections, self.taken = Connections(), Taken()
        names = Destinations({("127.0.0.9", 443): ("127.0.0.1", 1)}, {DUMMY: HOST}, tuple)
        self.gate = Gate(self.connections, names, self.taken)  # type: ignore[arg-type]
        self.server = ProxyServer(self.gate)
        self.far = socket.create_server(("127.0.0.1", 0))
        self.far.setblocking(False)
        self.destination: tuple[str, int] | None = self.far.getsockname()
        self.served: list[bytes] = []
        monkeypatch.setattr(platform, "original_addr", self._original)
        monkeypatch.setattr(GateInstance, "handle_stream", self._serve)
        monkeypatch.setattr(accept, "REDIRECTED_PORTS", (443, self.far.getsockname()[1]))
        self.instance: Any = None

    def _original(self, _: socket.socket) -> tuple[str, int]:
        if self.destination is None:
            raise FileNotFoundError
        return self.destination

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.served.append(await reader.read(1 << 16))
        writer.write(b"served")
        writer.close()

    async def ask(self, first: bytes) -> bytes:
        """What a client gets for it."""
        reader, writer = await asyncio.open_connection(*self.instance.listen_addrs[0])
        writer.write(first)
        try:
            return await asyncio.wait_for(reader.read(99), 10)
        finally:
            writer.close()

    async def answer(self) -> None:
        loop = asyncio.get_running_loop()
        end, _ = await asyncio.wait_for(loop.sock_accept(self.far), 10)
        with end:
            assert await loop.sock_recv(end, 1 << 16)
            await loop.sock_sendall(end, b"far")


@pytest.fixture
async def lab(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Lab]:
    lab = Lab(monkeypatch)
    with taddons.context(lab.server):
        lab.instance = mode_servers.ServerInstance.make("gate@127.0.0.1:0", lab.server)
        await lab.instance.start()
        yield lab
        await lab.instance.stop()
    lab.gate.end()
    lab.far.close()


def test_mitmproxy_knows_the_mode_as_a_transparent_one() -> None:
    """So that it asks the kernel for the original destination."""
    mode = ProxyMode.parse("gate@::1:17443")
    assert isinstance(mode, GateMode) and isinstance(mode, mode_specs.TransparentMode)
    instance = mode_servers.ServerInstance.make(mode, None)  # type: ignore[arg-type]
    assert isinstance(instance, GateInstance) and instance.listen_addrs == ()
    with taddons.context(Proxyserver()) as master:
        context = Context(tflow.tclient_conn(), master.options)
    assert isinstance(instance.make_top_layer(context), layers.modes.TransparentProxy)


async def test_mitmproxy_serves_what_a_profile_names(lab: Lab) -> None:
    first = hello(HOST)
    assert await lab.ask(first) == b"served"
    assert lab.served == [first]
    assert lab.connections.count == 1 and lab.connections.links == []


async def test_what_is_no_http_for_a_host_that_fails_closed_is_mitmproxys_to_refuse(
    lab: Lab,
) -> None:
    lab.connections.closed = True
    first = f"G(T /telemetry/ HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
    assert await lab.ask(first) == b"served"
    assert lab.served == [first] and lab.connections.links == []


@pytest.mark.parametrize(
    ("destination", "host"), [((DUMMY, 443), HOST), (("100::5", 443), "100::5"), (None, None)]
)
async def test_the_direct_path_sees_first_what_may_be_telemetry(
    lab: Lab, destination: tuple[str, int] | None, host: str | None
) -> None:
    if destination is not None:
        lab.destination = destination
    first = hello(HOST)
    assert await lab.ask(first) == b"served"
    assert lab.served == [first]
    assert lab.taken.destinations == [lab.destination]
    assert lab.taken.hosts == [host or lab.far.getsockname()[0]]
    lab.gate.end()
    assert lab.taken.hosts[-1] == "end"


async def test_all_else_is_relayed(lab: Lab) -> None:
    found, _ = await asyncio.gather(lab.ask(hello("other.example")), lab.answer())
    assert found == b"far" and lab.served == []
    lab.gate.end()
    (link,) = lab.connections.links
    assert link.verdict == Verdict("other.example", "other.example", "not_named")
    assert link.destination == lab.destination and lab.connections.count == 1


async def test_after_its_time_all_is_relayed(lab: Lab) -> None:
    lab.connections.over = True
    found, _ = await asyncio.gather(lab.ask(hello(HOST)), lab.answer())
    lab.gate.end()
    (link,) = lab.connections.links
    assert found == b"far" and link.verdict == Verdict("127.0.0.1", "", "all_ended")


@pytest.mark.parametrize(
    ("destination", "counted"),
    [((DUMMY, 443), 1), (("100::5", 443), 1), (("127.0.0.9", 443), 1), (None, 0), ((DUMMY, 9), 1)],
)
async def test_what_is_not_simply_connected_to_is_mitmproxys(
    lab: Lab, destination: tuple[str, int] | None, counted: int
) -> None:
    lab.destination = destination
    assert await lab.ask(b"anything") == b"served"
    assert lab.connections.count == counted
    assert lab.gate._splicer is None  # nobody needed it


async def test_a_listener_that_is_closed_refuses(lab: Lab) -> None:
    (where,) = lab.instance.listen_addrs
    await lab.instance.stop()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*where)
    await lab.instance.start()


async def test_an_address_in_use_is_told(lab: Lab) -> None:
    other = mode_servers.ServerInstance.make(
        f"gate@127.0.0.1:{lab.instance.listen_addrs[0][1]}", lab.server
    )
    with pytest.raises(OSError, match=r"failed to listen on 127\.0\.0\.1:.*in use"):
        await other.start()


async def test_where_no_more_files_may_be_open_it_tries_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(accept, "PAUSE_S", 0.05)
    entered = asyncio.get_running_loop().create_future()
    listener = Listener("127.0.0.1", 0, lambda client, peer: entered.set_result(client))
    real, failed = listener._socket, []

    class Full:
        """The listener's socket, which fails once."""

        fileno, close = real.fileno, real.close

        def accept(self) -> Any:
            if not failed:
                failed.append(1)
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            return real.accept()

    listener._socket = Full()  # type: ignore[assignment]
    with socket.create_connection(real.getsockname()):
        (await asyncio.wait_for(entered, 5)).close()
    assert "Too many open files" in caplog.text
    listener.close()


async def test_of_a_run_only_connections_that_begin_with_their_preface_are_taken() -> None:
    taken: list[tuple[str, int]] = []
    prefaces = Prefaces(1)

    def enter(client: socket.socket, peer: tuple[str, int]) -> None:
        taken.append(prefaces.original_addr(client))
        client.close()

    listener = Listener("127.0.0.1", 0, enter, prefaces)
    where = listener.sockets[0].getsockname()
    line = encode(Preface(Endpoint("192.0.2.1", 443), Program("curl", 1)))
    try:
        for first in (hello(HOST), line):
            reader, writer = await asyncio.open_connection(*where)
            writer.write(first)
            with suppress(ConnectionResetError):  # unread bytes
                assert await asyncio.wait_for(reader.read(9), 10) == b""
            writer.close()
    finally:
        listener.close()
    assert taken == [("192.0.2.1", 443)]
