"""addon/arrive/loopback.py: where it listens, and the proof; the listeners themselves run in
tests/integration/test_sidecar_pod.py."""

import asyncio
import socket

import pytest
from mitmproxy.test import taddons

from addon.arrive import loopback
from addon.arrive.accept import Gate
from addon.arrive.direct import Back
from addon.arrive.loopback import NotProved, addresses, of_ports, prove
from addon.arrive.splice import Link
from addon.mitm.modes import LoopbackInstance, ProxyServer
from addon.target.dns import Destinations
from tests.sidecar import HOST


def test_listens_on_the_hosts_addresses_and_the_shared_ones() -> None:
    hosts = {"127.0.0.2": "a.example", "127.0.0.3": "b.example"}
    listed = addresses(hosts, ipv6=True)
    assert [a for a, port in listed if port == 443] == [
        "127.0.0.2", "127.0.0.3", "127.0.0.1", "::1"
    ]  # fmt: skip
    assert {port for _, port in listed} == {80, 443}
    assert "::1" not in {a for a, _ in addresses(hosts, ipv6=False)}


def test_a_port_that_one_host_alone_has_names_it_on_the_shared_addresses() -> None:
    hosts = {"127.0.0.2": "a.example", "127.0.0.3": "b.example"}
    ports = {"a.example": (61833, 4319), "b.example": (4319,), "c.example": (99,)}
    named = dict.fromkeys((("::1", 61833), ("127.0.0.1", 61833)), "a.example")
    assert of_ports(hosts, ports) == named


async def test_nobody_there_is_not_proved() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        free = probe.getsockname()[1]
    with pytest.raises(NotProved, match=f"127.0.0.1 port {free} failed: .*\n\nhint: "):
        await prove([("127.0.0.1", free)])


async def test_somebody_else_there_is_not_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loopback, "PROOF_SECONDS", 0.2)
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        pytest.raises(NotProved, match="did not reach this sidecar"),
    ):
        await prove([other.getsockname()])
    assert loopback._awaited == {}


class Given:
    """In the place of the direct path: all is mitmproxy's."""

    def take(self, client: object, peer: object, to: object, host: str, back: Back) -> None:
        back(b"")


class Connections:
    """What `addon.connections` is to the gate."""

    def __init__(self) -> None:
        self.counted: list[bool] = []

    def names(self, host: str) -> bool:
        return host == HOST

    def unread(self) -> bool:
        return False

    def arrived(self, *, counted: bool = True) -> None:
        self.counted.append(counted)

    def left(self, link: Link) -> None:
        raise AssertionError(link)


async def test_what_arrives_here_is_proved_and_served(monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[tuple[str, int]] = []

    async def serve(
        _: LoopbackInstance, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        served.append(writer.get_extra_info("sockname"))
        writer.close()

    monkeypatch.setattr(LoopbackInstance, "handle_stream", serve)
    connections = Connections()
    gate = Gate(connections, Destinations({}, {"127.0.0.1": HOST}, tuple), Given())  # type: ignore[arg-type]
    server = ProxyServer(gate)
    with taddons.context(server):
        instance = LoopbackInstance.make("loopback@127.0.0.1:0", server)
        await instance.start()
        (where,) = instance.listen_addrs
        await prove([where] * 2)
        reader, writer = await asyncio.open_connection(*where)
        assert await reader.read() == b""
        writer.close()
        await instance.stop()
    assert connections.counted == [False, False, True]
    assert served == [where]  # not our own connections, which leave no record so
    assert loopback._awaited == {}


def test_a_host_s_own_ports_are_listened_on_at_its_address_and_the_shared_ones() -> None:
    hosts = {"127.0.0.2": "a.example", "127.0.0.3": "b.example"}
    listed = addresses(hosts, {"a.example": (4319,)}, ipv6=True)
    assert [a for a, port in listed if port == 4319] == ["127.0.0.2", "127.0.0.1", "::1"]
    assert len(listed) == len(set(listed)) == 11
