"""addon/api.py: whom a connection to the app trusts; who is asked for real is in
tests/integration/test_sidecar_pod.py."""

import http.client
import ssl
from pathlib import Path

import pytest

from addon import api
from tests.peers import App
from tests.sidecar import authority, bundle_of


def test_plain_and_tls_by_the_urls_scheme() -> None:
    plain = api.connection("http://telemock.example:8000", None, 3)
    assert (type(plain), plain.host, plain.port) == (
        http.client.HTTPConnection, "telemock.example", 8000
    )  # fmt: skip
    secure = api.connection("https://[fd00::1]:8443", None, 3)
    assert (type(secure), secure.host, secure.port, secure.timeout) == (
        http.client.HTTPSConnection, "fd00::1", 8443, 3
    )  # fmt: skip


def test_only_what_the_certificates_vouch_for_is_spoken_to(tmp_path: Path) -> None:
    ca, context = authority(tmp_path)
    app = App(bundle_of(), context)
    url = f"https://127.0.0.1:{app.port}"

    def ask(tls: ssl.SSLContext | None, url: str = url) -> int:
        connection = api.connection(url, tls, 5)
        try:
            connection.request("GET", "/api/v1/profiles")
            return connection.getresponse().status
        finally:
            connection.close()

    trusted = api.trusting(ca.read_text())
    assert ask(trusted) == 200
    with pytest.raises(ssl.SSLCertVerificationError):
        ask(None)  # this system's list
    with pytest.raises(ssl.SSLCertVerificationError):
        ask(trusted, url.replace("127.0.0.1", "localhost"))  # another name
    app.close()


@pytest.mark.parametrize("pem", ["", "/etc/ca.pem", "-----BEGIN CERTIFICATE-----\nx\n"])
def test_what_is_no_certificate_is_refused(pem: str) -> None:
    with pytest.raises(ValueError, match="no PEM certificate"):
        api.trusting(pem)
