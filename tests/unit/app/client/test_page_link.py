"""Links to the page, and the relay to the page of an app elsewhere: a real app over TLS."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trustme

from app.cli import server
from app.client.page_link import PageRelay, link
from app.client.source import ClientError
from app.settings import load
from tests.serving import Served, environment, on_thread, serving
from tests.unit.app.cli.test_open import listening


def test_a_link_opens_the_page(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        url = link(load(environment(tmp_path)), served.url)
        assert url.startswith(served.url + "/login?code=")
        assert "Open telemock" in served.bare.get(url).text


def test_an_app_without_a_page_is_said(tmp_path: Path) -> None:
    with serving(tmp_path), pytest.raises(ClientError, match="no app answers"):
        link(load(environment(tmp_path)), "http://127.0.0.1:9")


@pytest.fixture
def relayed(tmp_path: Path) -> Iterator[tuple[Served, str]]:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("telemock.logs.svc").configure_cert(context)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    with serving(tmp_path, context) as served, listening() as listener:
        through = To(served.port, trust)
        relay = PageRelay(through, httpx.URL("https://telemock.logs.svc:8443"), lambda: "")
        relay.address = f"127.0.0.1:{listener.getsockname()[1]}"
        with on_thread(server.config(relay), listener):
            yield served, f"http://{relay.address}"


class To(httpx.AsyncBaseTransport):
    """The way that a tunnel would be: to the app here, whose certificate has the Service's name."""

    def __init__(self, port: int, trust: ssl.SSLContext) -> None:
        self._inner = httpx.AsyncHTTPTransport(verify=trust, trust_env=False)
        self._port = port

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions["sni_hostname"] = request.url.host
        request.url = request.url.copy_with(host="127.0.0.1", port=self._port)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


def test_a_session_through_the_relay(relayed: tuple[Served, str]) -> None:
    served, url = relayed
    with httpx.Client(base_url=url, trust_env=False) as client:
        assert client.get("/").status_code == 303
        entered = client.post("/login", data={"token": served.runtime.token})
        assert entered.status_code == 303
        assert "Secure" not in entered.headers["set-cookie"]  # the relay is plain, on loopback
        assert "Overview" in client.get("/?since=all").text
        assert client.get("/captures?q=%22a%20b%22&cursor=").status_code == 200
    with httpx.Client(base_url=url, trust_env=False) as another:
        assert another.get("/").status_code == 303  # no cookie stays in the relay


def test_the_relay_passes_on_no_token_and_no_other_name(relayed: tuple[Served, str]) -> None:
    served, url = relayed
    token = {"authorization": f"Bearer {served.runtime.token}"}
    with httpx.Client(base_url=url, trust_env=False) as client:
        assert client.get("/api/v1/captures", headers=token).status_code == 401
        assert client.get("/", headers={"host": "evil.test"}).status_code == 421
        assert client.post("/login", content=b"x" * (2 << 20)).status_code == 413


def test_an_app_that_is_away_is_said() -> None:
    with listening() as listener:
        through = httpx.AsyncHTTPTransport(trust_env=False)
        relay = PageRelay(through, httpx.URL("http://127.0.0.1:9"), lambda: "the pod has gone")
        relay.address = f"127.0.0.1:{listener.getsockname()[1]}"
        with (
            on_thread(server.config(relay), listener),
            httpx.Client(base_url=f"http://{relay.address}", trust_env=False) as client,
        ):
            answer = client.get("/")
    assert (answer.status_code, answer.text) == (502, "The app does not answer: the pod has gone\n")
