"""addon/connections.py: mitmproxy's hooks for connections, on its own objects.

Connections that are opened and relayed for real are in tests/integration/test_sidecar*.py.
"""

import socket
from pathlib import Path
from typing import Any

import pytest
from mitmproxy import exceptions
from mitmproxy.connection import Client, ConnectionState
from mitmproxy.proxy import events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import modes
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.test import taddons, tflow, tutils
from mitmproxy.tls import TlsData

from addon import options
from addon.app_client.client import AppApi
from addon.app_client.profiles import Profiles
from addon.arrive import endings
from addon.arrive.splice import Link, Way
from addon.connections import Connections
from addon.exchange.exchange import Traced
from addon.mitm.relay import Relay
from addon.target.dns import why
from addon.target.first_bytes import Verdict
from addon.wiring import Wiring
from app.contract.metrics import METRICS
from app.contract.record import CaptureRecord, Endpoint
from app.otel.metrics import Metrics
from tests.sidecar import HOST, bundle_of, rule


class Kept:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.records: list[CaptureRecord] = []
        self.traced: list[Traced | None] = []
        self.given = 0

    def reserve(self) -> tuple[str, int]:
        self.given += 1
        return "ab" * 16, self.given

    def submit(
        self, record: CaptureRecord, traced: Traced | None = None, query: int | None = None
    ) -> None:
        self.records.append(record)
        self.traced.append(traced)


def connections(sink: Kept, metrics: Metrics, **environ: str) -> Connections:
    bundle = bundle_of(rule("index", "/telemetry/index.html"))
    profiles = Profiles(AppApi("http://127.0.0.1:9", str), bundle)
    return Wiring(options.load(environ), profiles, sink, metrics).connections


def rejected(error: str, sni: str | None = HOST) -> TlsData:
    client = tflow.tclient_conn()
    client.sni, client.error = sni, error
    with taddons.context() as master:
        context = Context(client, master.options)
    context.server.address = (HOST, 443)
    return TlsData(client, context)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("tlsv1 alert unknown ca", "client_refused_certificate"),
        ("ssl/tls alert bad certificate", "client_refused_certificate"),
        ("OpenSSL Error([('SSL routines', '', 'ssl/tls alert certificate unknown')])",
         "client_refused_certificate"),
        ("OpenSSL Error([('SSL routines', '', 'no shared cipher')])", "tls_failed"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("sni", [HOST, None])
def test_a_failed_handshake_is_recorded(error: str, reason: str, sni: str | None) -> None:
    sink, metrics = Kept(), Metrics("sidecar")
    connections(sink, metrics).tls_failed_client(rejected(error, sni))
    (record,) = sink.records
    assert (record.kind, record.reason, record.detail) == ("tls_rejected", reason, error)
    assert (record.profile, record.host) == ("cribl", HOST)
    assert len(record.trace_id) == 32 and sink.traced == [None]  # spans are not exported


def test_a_connection_to_a_profiles_host_that_brings_no_request_is_recorded_once() -> None:
    sink = Kept()
    with taddons.context() as master:
        addon = connections(sink, Metrics("sidecar"))
        for host in (HOST, "other.example"):
            client = tflow.tclient_conn()
            client.sni = None
            flow = tflow.tflow(client_conn=client, req=tutils.treq(host=host, port=443))
            addon.http_connect(flow)
            addon.client_disconnected(client)
            addon.client_disconnected(client)
        (record,) = sink.records
        assert (record.kind, record.reason, record.host) == ("failed", "no_request", HOST)
        assert record.destination == Endpoint(HOST, 443) and record.detail == endings.HERE
        asked = tflow.tclient_conn()
        addon.http_connect(tflow.tflow(client_conn=asked, req=tutils.treq(host=HOST, port=443)))
        addon.heard(asked)
        addon.client_disconnected(asked)
        refused = rejected("tlsv1 alert unknown ca")
        addon.tls_failed_client(refused)
        addon.client_disconnected(refused.context.client)
        context = Context(tflow.tclient_conn(), master.options)
        context.layers, context.server.address = [modes.TransparentProxy(context)], (HOST, 80)
        waiting = layer.NextLayer(context)
        context.layers = context.layers or [modes.TransparentProxy(context)]
        waiting.events.append(events.DataReceived(waiting.context.client, b"GET "))
        with pytest.raises(exceptions.AddonHalt):
            addon.next_layer(waiting)
        addon.end()
    first, second = sink.records[1:]
    assert first.reason == "client_refused_certificate"
    assert (second.reason, second.detail, second.sent) == ("no_request", endings.SHUTDOWN, 4)


def redirected(port: int) -> Client:
    client = tflow.tclient_conn()
    client.proxy_mode = ProxyMode.parse("transparent@127.0.0.1:17443")
    client.sockname = ("192.0.2.1", port)
    return client


def test_the_first_redirected_connection_proves_the_redirect(tmp_path: Path) -> None:
    told = {"TELEMOCK_TRANSPARENT": "127.0.0.1:17443", "TELEMOCK_CA_DIR": str(tmp_path)}
    with taddons.context():
        metrics = Metrics("sidecar")
        value = metrics.registry.get_sample_value
        addon = connections(Kept(), metrics, **told)
        addon.client_connected(redirected(17443))
        assert value("telemock_redirect_proven") == 0
        for count in (1, 2):
            addon.client_connected(redirected(443))
            assert value("telemock_redirect_proven") == 1
            assert value("telemock_redirect_connections_total") == count
        again = Metrics("sidecar")
        connections(Kept(), again, **told)
        assert again.registry.get_sample_value("telemock_redirect_proven") == 1


def test_where_nothing_is_redirected_nothing_is_said_of_it() -> None:
    with taddons.context():
        bare = Metrics("sidecar", [x.name for x in METRICS if ".redirect." in x.name])
        connections(Kept(), bare).client_connected(redirected(443))


def test_a_host_that_no_profile_names_is_no_label() -> None:
    sink, metrics = Kept(), Metrics("sidecar")
    data = rejected("unknown ca", "other.example")
    data.context.server.address = ("other.example", 443)
    connections(sink, metrics).tls_failed_client(data)
    assert sink.records == []
    assert b"other.example" not in metrics.render()


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (None, "spliced", "not_named"),
        ("[Errno 111] Connect call failed", "spliced", "upstream_unreachable"),
        ("loop: it is this proxy", "refused", "loop"),
    ],
)
def test_a_relay_is_recorded_when_its_client_leaves(
    error: str | None, kind: str, reason: str
) -> None:
    sink: Any = Kept()
    addon = connections(sink, Metrics("sidecar"))
    with taddons.context() as master:
        context = Context(tflow.tclient_conn(), master.options)
    context.server.address, context.server.error = ("198.51.100.1", 443), error
    relay = Relay(context, addon, host="other.example", reason="not_named")
    relay.sent = 5
    addon.client_disconnected(context.client)
    addon.client_disconnected(context.client)
    addon.end()
    (record,) = sink.records
    assert (record.kind, record.reason, record.sent) == (kind, reason, 5)
    assert record.destination == Endpoint("198.51.100.1", 443)


def test_too_little_data_stops_mitmproxys_own_decision() -> None:
    with taddons.context() as master:
        context = Context(tflow.tclient_conn(), master.options)
    context.layers = [object()]  # type: ignore[list-item]
    data = layer.NextLayer(context)
    with pytest.raises(exceptions.AddonHalt):
        connections(Kept(), Metrics("sidecar")).next_layer(data)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Connection killed: loop: x", ("loop", "x")),
        ("upstream_unreachable: DNS: no", ("upstream_unreachable", "DNS: no")),
        ("nonsense: x", None),
        ("[Errno 111] Connect call failed", None),
    ],
)
def test_why(text: str, found: tuple[str, str] | None) -> None:
    assert why(text) == found


def test_what_went_through_the_gate_is_recorded_like_a_relay() -> None:
    sink, near = Kept(), socket.socketpair()
    addon = connections(sink, Metrics("sidecar"))
    for error, received in (("", 7), ("[Errno 111] Connect call failed", 0)):
        link = Link(near[0], ("10.0.0.1", 5), ("198.51.100.1", 443), lambda: None)
        link.verdict, link.error = Verdict("other.example", "", "not_named"), error
        link.ways = Way(near[0], near[1]), Way(near[1], near[0])
        link.ways[0].moved, link.ways[1].moved = 5, received
        addon.left(link)
    for end in near:
        end.close()
    good, bad = sink.records
    assert (good.kind, good.reason, good.host) == ("spliced", "not_named", "other.example")
    assert (good.sent, good.received, good.action) == (5, 7, "pass")
    assert (bad.reason, bad.detail) == ("upstream_unreachable", "[Errno 111] Connect call failed")
    assert good.client == Endpoint("10.0.0.1", 5)
    assert good.destination == Endpoint("198.51.100.1", 443)


def test_the_gate_counts_its_connections_itself() -> None:
    metrics = Metrics("sidecar")
    with taddons.context():
        addon = connections(Kept(), metrics, TELEMOCK_TRANSPARENT="127.0.0.1:17443")
        client = redirected(443)
        client.proxy_mode = ProxyMode.parse("gate@127.0.0.1:17443")
        addon.client_connected(client)
        value = metrics.registry.get_sample_value
        assert value("telemock_redirect_connections_total") == 0
        addon.arrived()
        assert value("telemock_redirect_connections_total") == 1
        assert value("telemock_redirect_proven") == 1


def opened(destination: str, sni: str = "") -> Context:
    """A connection to this address, or by CONNECT to this name."""
    client = Client(
        peername=("127.0.0.1", 5), sockname=(destination, 443), timestamp_start=1.0, sni=sni,
        state=ConnectionState.OPEN, proxy_mode=ProxyMode.parse("transparent"),
    )  # fmt: skip
    context = Context(client, options.load({}))  # type: ignore[arg-type]
    context.server.address = (destination, 443)
    return context


def test_every_name_of_a_connection_counts() -> None:
    addon = connections(Kept(), Metrics("sidecar"), TELEMOCK_HOSTS=f"192.0.2.1={HOST}")
    assert addon.named(opened("192.0.2.1", "O.test.")) == ("o.test", HOST, "192.0.2.1")
    assert addon.named(opened(HOST)) == (HOST,)
    assert addon.fails_closed(("o.test", HOST)) and not addon.fails_closed(("o.test",))
    observing = connections(Kept(), Metrics("sidecar"), TELEMOCK_MODE="observe")
    assert not observing.fails_closed((HOST,))


def test_what_cannot_be_judged_is_recorded_with_how_it_began() -> None:
    sink = Kept()
    addon = connections(sink, Metrics("sidecar"), TELEMOCK_HOSTS=f"192.0.2.1={HOST}")
    addon.refused(opened("192.0.2.1", "other.example"), b"\x00lic=secret-of-mine" + b"x" * 999)
    addon.refused(opened("198.51.100.7", "other.example"), b"\x00")  # nobody's
    (record,) = sink.records
    assert (record.kind, record.reason, record.profile) == ("refused", "unjudged", "cribl")
    assert record.tls is not None and record.tls.sni == "other.example"
    assert record.detail.startswith("went on with \x00lic=secret") and len(record.detail) < 300
    assert record.sent == 1018
    masked = addon.profiles.masker.record(record)
    assert "secret-of-mine" not in masked.detail
