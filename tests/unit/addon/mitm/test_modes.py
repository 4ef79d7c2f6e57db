"""addon/mitm/modes.py: what mitmproxy knows of how we listen. The listeners run in
tests/unit/addon/arrive.
"""

import pytest
from mitmproxy import options
from mitmproxy.connection import Client, ConnectionState, Server
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import modes
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.test import tflow

from addon.mitm.modes import (
    LoopbackInstance,
    LoopbackMode,
    brought,
    destination_of,
    named_the_proxy,
)
from app.contract.record import Endpoint
from tests.sidecar import HOST


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


@pytest.mark.parametrize(
    ("mode", "port", "expected"),
    [
        ("transparent@127.0.0.1:17443", 443, True),
        ("transparent@127.0.0.1:17443", 80, True),
        ("transparent@127.0.0.1:17443", 17443, False),
        ("gate@127.0.0.1:17443", 443, False),  # which counts itself
        ("loopback@127.0.0.2:443", 443, False),
        ("regular@127.0.0.1:8080", 443, False),
    ],
)
def test_a_connection_that_names_the_listener_was_not_redirected(
    mode: str, port: int, expected: bool
) -> None:
    client = tflow.tclient_conn()
    client.proxy_mode, client.sockname = ProxyMode.parse(mode), ("192.0.2.1", port)
    assert brought(client) is expected


@pytest.mark.parametrize(("mode", "expected"), [("regular", True), ("gate@127.0.0.1:1", False)])
def test_a_client_of_the_explicit_proxy_named_it(mode: str, expected: bool) -> None:
    client = tflow.tclient_conn()
    client.proxy_mode = ProxyMode.parse(mode)
    assert named_the_proxy(client) is expected


def test_destination_is_the_original_one() -> None:
    client, server = tflow.tclient_conn(), Server(address=(HOST, 443))
    client.sockname = ("192.0.2.1", 443)
    assert destination_of(client, server) == Endpoint(HOST, 443)
    client.proxy_mode = ProxyMode.parse("transparent")
    assert destination_of(client, server) == Endpoint("192.0.2.1", 443)
    client.proxy_mode = ProxyMode.parse("loopback@127.0.0.2:443")
    client.sockname = ("127.0.0.2", 443)
    assert destination_of(client, server) == Endpoint("127.0.0.2", 443)
    assert destination_of(tflow.tclient_conn(), Server(address=None)) is None
