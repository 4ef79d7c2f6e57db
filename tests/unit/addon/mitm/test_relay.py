"""addon/mitm/relay.py: what is relayed, and what turns out to be a profile's host."""

import pytest
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context

from addon.mitm import relay as layers
from tests.sidecar import HOST
from tests.unit.addon.mitm.test_layers import sent
from tests.unit.addon.mitm.test_next_layer import Rules
from tests.unit.addon.target.test_first_bytes import hello


def test_a_relay_counts_both_ways_and_changes_nothing(context: Context) -> None:
    rules = Rules()
    relay = layers.Relay(context, rules, host="other.example", reason="not_named")
    assert list(relay.handle_event(events.Start())) == []
    made = list(relay.handle_event(events.DataReceived(context.client, b"\x00hello")))
    assert sent(made) == b"\x00hello"
    made = list(relay.handle_event(events.DataReceived(context.server, b"yes")))
    assert sent(made) == b"yes"
    assert (relay.sent, relay.received) == (6, 3)
    assert rules.relays == [relay]


def test_a_further_request_for_a_profiles_host_ends_it(context: Context) -> None:
    rules = Rules()
    rules.closed = True
    relay = layers.Relay(context, rules, host="other.example", reason="not_named")
    list(relay.handle_event(events.Start()))
    request = b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n"
    made = list(relay.handle_event(events.DataReceived(context.client, request % b"o.test")))
    assert sent(made) == request % b"o.test"
    for data in (request % HOST.encode(), b"more"):
        made = list(relay.handle_event(events.DataReceived(context.client, data)))
        assert not [x for x in made if isinstance(x, commands.SendData)]
    assert (relay.host, relay.reason) == (HOST, "unjudged")


class TestTunnel:
    """CONNECT to a host that no profile names."""

    @pytest.fixture
    def rules(self) -> Rules:
        return Rules()

    @pytest.fixture
    def tunnel(self, context: Context, rules: Rules) -> layers.UnnamedTunnel:
        tunnel = layers.UnnamedTunnel(context, rules, "other.example")
        assert list(tunnel.handle_event(events.Start())) == []
        return tunnel

    @pytest.mark.parametrize("data", [hello("other.example"), b"\x00", b"GET / HTTP/1.1\r\n\r\n"])
    def test_is_relayed(
        self, tunnel: layers.UnnamedTunnel, rules: Rules, context: Context, data: bytes
    ) -> None:
        assert list(tunnel.handle_event(events.DataReceived(context.client, data[:1]))) == [] or (
            data == b"\x00"
        )
        made = list(tunnel.handle_event(events.DataReceived(context.client, data[1:])))
        assert [c.connection for c in made if isinstance(c, commands.SendData)]
        assert [(x.host, x.reason, x.sent) for x in rules.relays] == [
            ("other.example", "not_named", len(data))
        ]

    def test_is_relayed_where_the_server_speaks_first_or_nobody_does(
        self, tunnel: layers.UnnamedTunnel, rules: Rules, context: Context
    ) -> None:
        assert sent(tunnel.handle_event(events.DataReceived(context.server, b"220 ")))
        assert rules.relays[0].received == 4
        silent = layers.UnnamedTunnel(context, rules, "other.example")
        list(silent.handle_event(events.Start()))
        assert list(silent.handle_event(events.ConnectionClosed(context.client)))
        assert len(rules.relays) == 2

    @pytest.mark.parametrize("data", [hello(HOST), b"GET / HTTP/1.1\r\nHost: cdn.cribl.io\r\n\r\n"])
    def test_is_opened_for_who_names_a_profiles_host(
        self, tunnel: layers.UnnamedTunnel, rules: Rules, context: Context, data: bytes
    ) -> None:
        connected = context.server
        made = list(tunnel.handle_event(events.DataReceived(context.client, data)))
        closed = [c for c in made if isinstance(c, commands.CloseConnection)]
        assert [c.connection for c in closed] == [connected] and not rules.relays
        (asked,) = (c for c in made if isinstance(c, layer.NextLayerHook))
        assert asked.data.data_client() == data
        assert asked.data.context.server.address == ("real.example", 443)
        assert not asked.data.context.server.connected
