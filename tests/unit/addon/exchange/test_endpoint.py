"""addon/exchange/endpoint.py: addresses of any kind, as a record names them."""

from mitmproxy.test import tflow

from addon.exchange.endpoint import endpoint, tls_of
from app.contract.record import Endpoint, Tls


def test_an_address_of_any_family() -> None:
    assert endpoint(("192.0.2.1", 443)) == Endpoint("192.0.2.1", 443)
    assert endpoint(("2001:db8::1", 443, 0, 0)) == Endpoint("2001:db8::1", 443)
    assert endpoint(("/run/a.sock",)) == Endpoint("/run/a.sock", 0)
    assert endpoint(None) is None and endpoint(()) is None


def test_tls_of_a_client() -> None:
    client = tflow.tclient_conn()
    client.tls = False
    assert tls_of(client) is None
    client.tls, client.sni, client.tls_version, client.alpn = True, "a.example", "TLSv1.3", b"h2"
    assert tls_of(client) == Tls(sni="a.example", version="TLSv1.3", alpn="h2")
