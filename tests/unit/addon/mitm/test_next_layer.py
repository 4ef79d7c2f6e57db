"""addon/mitm/next_layer.py: who is opened and who is relayed, by the first bytes."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import options
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.connection import Client, ConnectionState
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import ClientTLSLayer, ServerTLSLayer, modes
from mitmproxy.proxy.layers.http import HTTPMode
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.test import taddons

from addon.exchange.exchange import names_of
from addon.mitm.answer_layer import AnswerLayer
from addon.mitm.layers import Http
from addon.mitm.lines import Lines
from addon.mitm.next_layer import choose
from addon.mitm.relay import Relay
from addon.target.dns import Destinations
from addon.target.first_bytes import Wait
from addon.target.hello import HEAD_CAP
from app.contract.rules import Decision
from tests.sidecar import HOST
from tests.unit.addon.target.test_first_bytes import hello

NAMES = Destinations({}, {"192.0.2.1": HOST, "100::1": HOST}, lambda: ())


class Rules:
    """What `addon.connections` is to the layers."""

    def __init__(self) -> None:
        self.relays: list[Relay] = []
        self.over = False
        self.closed = False
        self.answers = None

    def names(self, host: str) -> bool:
        return host == HOST

    def unread(self) -> bool:
        return self.over

    def named(self, context: Context) -> tuple[str, ...]:
        return names_of(context.client, context.server, {"192.0.2.1": HOST})

    line_cap = 1024

    def of_lines(self, hosts: Iterable[str], port: int) -> Decision | None:
        """Lines are taken on one port."""
        return Decision("mock", host=HOST) if port == 61833 and HOST in hosts else None

    def has_lines(self, lines: Lines) -> None:
        pass

    def fails_closed(self, hosts: Iterable[str]) -> bool:
        return self.closed and HOST in hosts

    def refused(self, context: Context, data: bytes) -> None:
        raise NotImplementedError

    def settle(self, exchange: Any, flow: Any) -> None:
        raise NotImplementedError

    def spliced(self, relay: Relay) -> None:
        self.relays.append(relay)


@pytest.fixture
def context() -> Any:
    with taddons.context(Proxyserver()) as master:
        yield make_context(master.options)


def make_context(
    chosen: options.Options, destination: str = "192.0.2.1", mode: str = "transparent"
) -> Context:
    client = Client(
        peername=("127.0.0.1", 5), sockname=(destination, 443), timestamp_start=1.0,
        state=ConnectionState.OPEN, proxy_mode=ProxyMode.parse(mode),
    )  # fmt: skip
    context = Context(client, chosen)
    if mode == "transparent":
        context.layers = [modes.TransparentProxy(context)]
        context.server.address = (destination, 443)
    return context


def test_a_named_sni_is_opened_and_aimed_at_by_name(context: Context) -> None:
    chosen = choose(context, hello(HOST), Rules(), NAMES)
    assert isinstance(chosen, ServerTLSLayer) and isinstance(chosen.child_layer, ClientTLSLayer)
    assert context.server.address == (HOST, 443)


@pytest.mark.parametrize("destination", ["192.0.2.1", HOST])
def test_another_sni_on_the_way_to_a_named_host_is_opened(
    context: Context, destination: str
) -> None:
    context.server.address = (destination, 443)  # a dummy, or as CONNECT names it
    assert isinstance(choose(context, hello("other.example"), Rules(), NAMES), ServerTLSLayer)
    assert context.server.address == (HOST, 443)


def test_a_named_sni_goes_where_connect_leads(context: Context) -> None:
    context.server.address = ("other.example", 443)
    assert isinstance(choose(context, hello(HOST), Rules(), NAMES), ServerTLSLayer)
    assert context.server.address == ("other.example", 443)


def test_another_sni_is_relayed_to_where_it_went(context: Context) -> None:
    rules = Rules()
    context.server.address = ("198.51.100.7", 443)
    chosen = choose(context, hello("other.example"), rules, NAMES)
    assert isinstance(chosen, Relay) and rules.relays == [chosen]
    assert (chosen.host, chosen.sni, chosen.reason) == (
        "other.example",
        "other.example",
        "not_named",
    )
    assert context.server.address == ("198.51.100.7", 443)


def test_without_sni_the_dummy_address_names_the_host(context: Context) -> None:
    assert isinstance(choose(context, hello(None), Rules(), NAMES), ServerTLSLayer)
    assert context.server.address == (HOST, 443)


def test_without_sni_any_other_address_is_relayed(context: Context) -> None:
    context.server.address = ("198.51.100.7", 443)
    chosen = choose(context, hello(None), Rules(), NAMES)
    assert isinstance(chosen, Relay) and chosen.host == "198.51.100.7"


@pytest.mark.parametrize("sni", [HOST, "other.example"])
def test_nothing_is_decided_on_a_part_of_the_hello(context: Context, sni: str) -> None:
    whole = hello(sni)
    for size in (1, 2, 3, 5, 40, len(whole) - 1):
        assert choose(context, whole[:size], Rules(), NAMES) is Wait.WAIT
    assert choose(context, whole, Rules(), NAMES) is not Wait.WAIT


def test_plain_http_is_opened_by_its_host(context: Context) -> None:
    head = b"GET /x HTTP/1.1\r\nA: b\r\nhost:  CDN.cribl.io:80 \r\n\r\n"
    for size in range(1, head.index(b":80 \r\n") + 4):
        assert choose(context, head[:size], Rules(), NAMES) is Wait.WAIT
    chosen = choose(context, head, Rules(), NAMES)
    assert isinstance(chosen, AnswerLayer)
    context.server.address = ("198.51.100.7", 80)
    relayed = choose(context, head.replace(b"CDN.cribl.io", b"other.example"), Rules(), NAMES)
    assert isinstance(relayed, Relay) and relayed.host == "other.example"


def test_plain_http_without_host_is_named_by_its_destination(context: Context) -> None:
    assert isinstance(choose(context, b"GET / HTTP/1.0\r\n\r\n", Rules(), NAMES), AnswerLayer)


NO_HTTP = [
    b"SSH-2.0-x\r\n",
    b"\x00\x01\x02\x03",
    b"PRI * HTTP/2.0\r\n\r\n",
    b"\x16\x03\x01\x00\x00",
    b"GET /\r\n",
]


@pytest.mark.parametrize("data", NO_HTTP)
def test_what_is_no_http_is_relayed_unread(context: Context, data: bytes) -> None:
    chosen = choose(context, data, Rules(), NAMES)
    assert isinstance(chosen, Relay) and chosen.reason == "not_http"


@pytest.mark.parametrize("data", NO_HTTP)
def test_where_a_host_fails_closed_it_is_given_to_who_refuses_it(
    context: Context, data: bytes
) -> None:
    rules = Rules()
    rules.closed = True
    assert isinstance(choose(context.fork(), data, rules, NAMES), AnswerLayer)
    choose(context, hello(HOST), rules, NAMES)
    assert isinstance(choose(opened(context), data, rules, NAMES), AnswerLayer)
    context.server.address = ("198.51.100.7", 80)
    context.client.sockname = ("198.51.100.7", 80)
    assert isinstance(choose(context, data, rules, NAMES), Relay)


def opened(context: Context) -> Context:
    inside = context.fork()
    inside.layers = [*context.layers, ClientTLSLayer(inside)]
    return inside


def test_an_endless_beginning_is_relayed(context: Context) -> None:
    assert choose(context, b"GET " + b"x" * 100, Rules(), NAMES) is Wait.WAIT
    assert isinstance(choose(context, b"GET " + b"x" * HEAD_CAP, Rules(), NAMES), Relay)


def test_the_explicit_proxy_speaks_http(context: Context) -> None:
    explicit = make_context(context.options, mode="regular")
    explicit.layers = [modes.HttpProxy(explicit)]
    chosen = choose(explicit, b"CONNECT a:443 HTTP/1.1\r\n\r\n", Rules(), NAMES)
    assert isinstance(chosen, Http) and chosen.mode is HTTPMode.regular
    over_tls = make_context(context.options, mode="regular")
    over_tls.layers = [modes.HttpProxy(over_tls)]
    assert isinstance(choose(over_tls, hello("proxy"), Rules(), NAMES), ClientTLSLayer)


def test_inside_opened_tls_http_is_read_and_anything_else_relayed(context: Context) -> None:
    choose(context, hello(HOST), Rules(), NAMES)
    context.client.alpn = b"h2"
    assert isinstance(choose(context.fork(), b"PRI * HTTP/2.0\r\n\r\n", Rules(), NAMES), Http)
    context.client.alpn = b""
    assert isinstance(choose(context.fork(), b"GET / HTTP/1.1\r\n", Rules(), NAMES), AnswerLayer)
    assert choose(context.fork(), b"GET /", Rules(), NAMES) is Wait.WAIT
    assert isinstance(choose(context.fork(), b"\x00\x01", Rules(), NAMES), Relay)
    context.client.alpn = b"http/1.1"  # whatever was agreed on
    assert isinstance(choose(context.fork(), b"\x00\x01", Rules(), NAMES), Relay)


@given(st.binary(max_size=300))
def test_no_bytes_are_too_odd(data: bytes) -> None:
    chosen = choose(make_context(OPTIONS), data, Rules(), NAMES)
    assert isinstance(chosen, Relay | Wait | AnswerLayer | ServerTLSLayer)


OPTIONS = options.Options()


async def test_after_its_time_everything_is_relayed_by_where_it_went(context: Any) -> None:
    rules = Rules()
    rules.over = True
    for data in (hello(HOST), b"GET / HTTP/1.1\r\nhost: cdn.cribl.io\r\n\r\n", b"S"):
        chosen = choose(make_context(context.options), data, rules, NAMES)
        assert isinstance(chosen, Relay)
        assert (chosen.host, chosen.sni, chosen.reason) == (HOST, "", "all_ended")
        assert chosen.context.server.address == (HOST, 443)
    far = choose(make_context(context.options, "198.51.100.7"), hello(HOST), rules, NAMES)
    assert isinstance(far, Relay) and far.host == "198.51.100.7"


async def test_what_was_opened_before_stays_open(context: Any) -> None:
    rules = Rules()
    context.layers.append(ClientTLSLayer(context))
    rules.over = True
    context.client.alpn = b"http/1.1"
    assert isinstance(choose(context, b"GET / HTTP/1.1\r\n", rules, NAMES), AnswerLayer)
