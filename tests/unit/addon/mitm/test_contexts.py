"""addon/mitm/contexts.py: the contexts it keeps, and real handshakes with them."""

import contextlib
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.connection import Client, ConnectionState
from mitmproxy.options import Options
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import modes
from mitmproxy.test import taddons
from mitmproxy.tls import TlsData

from addon.mitm.contexts import MOST_CONTEXTS, Contexts
from addon.tls import ca
from addon.tls.connection import Connection
from addon.tls.constraints import constraints
from tests.sidecar import HOST
from tests.unit.addon.tls.test_connection import handshake


class Made:
    def __init__(self, options: Options, trust: Path, contexts: Contexts) -> None:
        self.options, self.trust = options, trust
        self.contexts = contexts

    def start(self, sni: str | None = HOST, host: str = HOST) -> TlsData:
        client = Client(
            peername=("127.0.0.1", 5), sockname=("192.0.2.1", 443), timestamp_start=1.0,
            state=ConnectionState.OPEN, sni=sni,
        )  # fmt: skip
        context = Context(client, self.options)
        context.layers = [modes.TransparentProxy(context)]
        context.server.address = (host, 443)
        data = TlsData(client, context)
        self.contexts.tls_start_client(data)
        return data

    def trusting(self, *alpn: str) -> ssl.SSLContext:
        trusting = ssl.create_default_context(cafile=str(self.trust))
        if alpn:
            trusting.set_alpn_protocols(list(alpn))
        return trusting


@contextlib.contextmanager
def making(tmp_path: Path, *hosts: str) -> Iterator[Made]:
    """With hosts the authority may sign for those only, as in a pod."""
    trust = ca.ensure(tmp_path, None, constraints(hosts) if hosts else None)
    contexts = Contexts()
    tls_config = contexts.tls_config
    with taddons.context(Proxyserver(), tls_config) as context:
        context.configure(tls_config, confdir=str(tmp_path), upstream_cert=False)
        yield Made(context.options, trust, contexts)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    with making(tmp_path) as made:
        yield made


def test_a_name_has_one_context_that_its_clients_trust(made: Made) -> None:
    first, second = made.start(), made.start()
    assert first.ssl_conn is not second.ssl_conn
    assert first.ssl_conn.get_context() is second.ssl_conn.get_context()
    client = handshake(first.ssl_conn, made.trusting("h2", "http/1.1"))
    assert client.version() == "TLSv1.3" and client.selected_alpn_protocol() == "h2"
    client = handshake(second.ssl_conn, made.trusting("spdy", "http/1.1"))
    assert client.selected_alpn_protocol() == "http/1.1"
    assert handshake(made.start().ssl_conn, made.trusting()).selected_alpn_protocol() is None


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_clients_resume_their_sessions(made: Made, version: ssl.TLSVersion) -> None:
    trusting = made.trusting()
    trusting.maximum_version = version
    first = handshake(made.start().ssl_conn, trusting)
    assert not first.session_reused
    assert handshake(made.start().ssl_conn, trusting, first.session).session_reused


def test_a_client_that_does_not_trust_us_fails(made: Made) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(made.start().ssl_conn, ssl.create_default_context())


def test_what_was_prepared_is_used(made: Made) -> None:
    made.contexts.prepare([HOST])
    (prepared,) = made.contexts._made.values()
    assert made.start().ssl_conn.get_context() is prepared


def test_contexts_are_bounded(made: Made) -> None:
    for number in range(MOST_CONTEXTS + 5):
        made.start(f"{number}.example", f"{number}.example")
    assert len(made.contexts._made) == MOST_CONTEXTS


def test_what_mitmproxy_must_serve_itself_is_left_to_it(made: Made) -> None:
    data = made.start()
    data.ssl_conn = None
    data.context.server.state = ConnectionState.OPEN  # its protocol is already chosen
    data.context.server.timestamp_start = 1.0
    made.contexts.tls_start_client(data)
    assert data.ssl_conn is None
    data = made.start()
    data.ssl_conn = None
    data.context.layers = [modes.HttpProxy(data.context)]  # TLS to the proxy itself
    data.context.server.address = None
    made.contexts.tls_start_client(data)
    assert data.ssl_conn is None


@pytest.fixture
def bound(tmp_path: Path) -> Iterator[Made]:
    with making(tmp_path, HOST) as made:
        yield made


def at(made: Made, sni: str | None, sockname: str, host: str) -> Connection:
    client = Client(
        peername=("127.0.0.1", 5), sockname=(sockname, 443), timestamp_start=1.0,
        state=ConnectionState.OPEN, sni=sni,
    )  # fmt: skip
    context = Context(client, made.options)
    context.layers = [modes.TransparentProxy(context)]
    context.server.address = (host, 443)
    data = TlsData(client, context)
    made.contexts.tls_start_client(data)
    return cast(Connection, data.ssl_conn)


@pytest.mark.parametrize("exact", [False, True], ids=["OpenSSL's flags", "strict"])
@pytest.mark.parametrize(
    ("sni", "sockname", "host", "checked"),
    [
        (HOST, "192.0.2.1", HOST, HOST),
        (None, "192.0.2.1", HOST, "192.0.2.1"),
        (None, "100::1", HOST, "100::1"),
        (None, "127.0.0.2", HOST, "127.0.0.2"),
        (None, "172.18.0.3", HOST, HOST),  # at an explicit proxy
        (HOST, "151.101.1.1", "151.101.1.1", HOST),  # `all`: a real address
        (HOST, "127.0.0.1", HOST + ".", HOST),  # as CONNECT wrote it
        (HOST, "127.0.0.1", "other.example", HOST),  # whom CONNECT named
    ],
)  # fmt: skip
def test_clients_take_what_the_authority_may_sign(
    bound: Made, sni: str | None, sockname: str, host: str, checked: str, exact: bool
) -> None:
    trusting = bound.trusting()
    if exact:
        trusting.verify_flags |= ssl.VERIFY_X509_STRICT
    client = handshake(at(bound, sni, sockname, host), trusting, name=checked)
    assert client.version() == "TLSv1.3"


@pytest.mark.parametrize("sni", ["www.example.com", "cribl.io", "151.101.1.1"])
def test_clients_refuse_what_it_may_not_sign(bound: Made, sni: str) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match=r"subtree|mismatch|permitted"):
        handshake(at(bound, sni, "192.0.2.1", sni), bound.trusting(), name=sni)


@pytest.mark.parametrize("days", [397, 20])
def test_no_certificate_outlives_its_authority(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    monkeypatch.setattr(ca, "LIFETIME", timedelta(days=days))
    with making(tmp_path, HOST) as bound:
        client = handshake(at(bound, HOST, "192.0.2.1", HOST), bound.trusting())
        ends = ssl.cert_time_to_seconds(str((client.getpeercert() or {})["notAfter"]))
        left = datetime.fromtimestamp(ends, UTC) - datetime.now(UTC)
        assert timedelta(days=min(days, 199) - 4) < left
        assert left < ca.held(tmp_path).until - datetime.now(UTC)


def test_certificates_are_made_anew_before_they_end(
    bound: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shown() -> bytes | None:
        client = handshake(at(bound, HOST, "192.0.2.1", HOST), bound.trusting())
        return client.getpeercert(binary_form=True)

    first = shown()
    assert shown() == first
    monkeypatch.setattr(bound.contexts, "_until", 0.0)  # two months later
    second = shown()
    assert second != first and shown() == second


def test_an_opened_connection_is_mitmproxys_between_the_same_ends_alone(made: Made) -> None:
    """The kernel gives one local port to several connections at once."""
    here, elsewhere = (
        Connection(made.contexts.of(HOST, HOST)),
        Connection(made.contexts.of("a", "a")),
    )
    made.contexts.leave((("127.0.0.1", 5), ("192.0.2.1", 443)), here)
    made.contexts.leave((("127.0.0.1", 5), ("192.0.2.2", 443)), elsewhere)
    assert made.start().ssl_conn is here
    assert made.start().ssl_conn not in (here, elsewhere)
