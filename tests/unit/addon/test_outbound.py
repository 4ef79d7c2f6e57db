"""addon/outbound.py: where connections to servers lead."""

import pytest
from mitmproxy import exceptions
from mitmproxy.connection import ConnectionState, Server
from mitmproxy.proxy import server_hooks
from mitmproxy.test import taddons, tflow

from addon.target.dns import why
from app.otel.metrics import Metrics
from tests.sidecar import HOST
from tests.unit.addon.test_connections import Kept, connections


def connecting(host: str, port: int = 443) -> server_hooks.ServerConnectionHookData:
    return server_hooks.ServerConnectionHookData(
        server=Server(address=(host, port)), client=tflow.tclient_conn()
    )


async def test_the_name_stands_again_once_connected() -> None:
    """So that the next request for it finds the open connection."""
    with taddons.context():
        addon = connections(
            Kept(), Metrics("sidecar"), TELEMOCK_RESOLVE=f"{HOST}:443=127.0.0.1:8443"
        ).outbound
        data = connecting(HOST)
        await addon.server_connect(data)
        assert data.server.address == ("127.0.0.1", 8443)
        data.server.state = ConnectionState.OPEN
        addon.server_connected(data)
        assert data.server.address == (HOST, 443)


async def test_a_refused_destination_says_why_and_stops_there() -> None:
    with taddons.context():
        addon = connections(Kept(), Metrics("sidecar")).outbound
        data = connecting("100::7")
        with pytest.raises(exceptions.AddonHalt):
            await addon.server_connect(data)
        assert why(f"Connection killed: {data.server.error}") == (
            "loop",
            "100::7 is a dummy address, which leads nowhere",
        )


async def test_the_app_is_connected_to_as_it_is() -> None:
    with taddons.context():
        data = connecting("127.0.0.1", 8000)
        await connections(Kept(), Metrics("sidecar")).outbound.server_connect(data)
        assert data.server.error is None and data.server.address == ("127.0.0.1", 8000)


async def test_the_egress_proxy_is_connected_to_as_it_is_and_told_who_we_are() -> None:
    with taddons.context():
        addon = connections(
            Kept(), Metrics("sidecar"), TELEMOCK_EGRESS_PROXY="http://user:pass@proxy.example:3128"
        ).outbound
        data = connecting("proxy.example", 3128)
        await addon.server_connect(data)
        assert data.server.error is None and data.server.address == ("proxy.example", 3128)
        connect = tflow.tflow()
        addon.http_connect_upstream(connect)
        assert connect.request.headers["proxy-authorization"] == "Basic dXNlcjpwYXNz"
