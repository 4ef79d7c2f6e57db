"""addon/loopback.py: where it listens, and the proof; the listeners themselves run in
tests/integration/test_sidecar_pod.py."""

import asyncio
import socket

import pytest
from mitmproxy import options
from mitmproxy.connection import Client, ConnectionState
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import modes
from mitmproxy.proxy.mode_specs import ProxyMode

from addon import loopback
from addon.loopback import LoopbackInstance, LoopbackMode, NotProved, addresses, prove


def test_listens_on_the_hosts_addresses_and_the_shared_ones() -> None:
    hosts = {"127.0.0.2": "a.example", "127.0.0.3": "b.example"}
    listed = addresses(hosts, ipv6=True)
    assert [a for a, port in listed if port == 443] == [
        "127.0.0.2", "127.0.0.3", "127.0.0.1", "::1"
    ]  # fmt: skip
    assert {port for _, port in listed} == {80, 443}
    assert "::1" not in {a for a, _ in addresses(hosts, ipv6=False)}


def test_mitmproxy_knows_the_mode() -> None:
    mode = ProxyMode.parse("loopback@::1:443")
    assert isinstance(mode, LoopbackMode)
    assert (mode.listen_host(), mode.listen_port()) == ("::1", 443)
    with pytest.raises(ValueError, match="takes no argument"):
        ProxyMode.parse("loopback:x@127.0.0.2:443")


def test_a_connection_is_to_where_it_arrived() -> None:
    mode = ProxyMode.parse("loopback@127.0.0.2:443")
    client = Client(
        peername=("127.0.0.1", 5), sockname=("::1", 443, 0, 0), timestamp_start=1.0,
        state=ConnectionState.OPEN, proxy_mode=mode,
    )  # fmt: skip
    context = Context(client, options.Options())
    instance = LoopbackInstance.make(mode, None)  # type: ignore[arg-type]
    assert isinstance(instance.make_top_layer(context), modes.TransparentProxy)
    assert context.server.address == ("::1", 443)


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


async def test_what_arrives_here_is_proved() -> None:
    mode = ProxyMode.parse("loopback@127.0.0.1:0")
    instance = LoopbackInstance.make(mode, None)  # type: ignore[arg-type]

    def accepted(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = Client(
            peername=writer.get_extra_info("peername"), sockname=("127.0.0.1", 443),
            timestamp_start=1.0, state=ConnectionState.OPEN, proxy_mode=mode,
        )  # fmt: skip
        instance.make_top_layer(Context(client, options.Options()))
        writer.close()

    async with await asyncio.start_server(accepted, "127.0.0.1", 0) as server:
        await prove([server.sockets[0].getsockname()] * 2)
