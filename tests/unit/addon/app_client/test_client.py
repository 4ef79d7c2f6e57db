"""addon/app_client/client.py: whom the connection to the app trusts, and how long it lasts; the
real app is in
tests/integration/test_sidecar_pod.py."""

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from addon.app_client import client as module
from addon.app_client.client import (
    TROUBLES,
    ApiAnswer,
    AppApi,
    Backoff,
    Distrusted,
    NoToken,
    trouble_of,
    trusting,
)
from tests import netns
from tests.peers import App
from tests.sidecar import authority, bundle_of
from tests.threads import in_threads


@pytest.fixture
def app() -> Iterator[App]:
    app = App(bundle_of())
    yield app
    app.close()


def ask(api: AppApi) -> int:
    return api.ask("GET", "/api/v1/profiles", {}).status


def api_of(app: App, **more: Any) -> AppApi:
    scheme = "https" if "tls" in more else "http"
    return AppApi(f"{scheme}://127.0.0.1:{app.port}", lambda: "the-token", **more)


def test_what_is_said_about_itself_goes_with_every_request(app: App) -> None:
    with closing(api_of(app, about=lambda: {"telemock-presence": "{}"})) as api:
        assert ask(api) == ask(api) == 200
    assert app.presence == [b"{}", b"{}"]


def test_only_what_the_certificates_vouch_for_is_spoken_to(tmp_path: Path) -> None:
    ca, context = authority(tmp_path)
    app = App(bundle_of(), context)
    trusted = trusting(ca.read_text())
    with closing(api_of(app, tls=trusted)) as api:
        assert ask(api) == 200 and app.tokens == {b"the-token"}
    for api in (
        api_of(app, tls=None),  # this system's list
        AppApi(f"https://localhost:{app.port}", str, trusted),  # another name
    ):
        with closing(api), pytest.raises(Distrusted, match="is not trusted: "):
            ask(api)
    app.close()


def test_another_authority_is_told_with_its_remedy_and_another_name_is_not(tmp_path: Path) -> None:
    ca, context = authority(tmp_path, "127.0.0.1")
    trusted = trusting(ca.read_text())
    other = trusting(authority(tmp_path)[0].read_text())
    app = App(bundle_of(), context)
    remedy = "another certificate authority. Restart the pod: kubectl rollout restart"
    with closing(api_of(app, tls=other)) as api, pytest.raises(Distrusted, match=remedy):
        ask(api)
    named = AppApi(f"https://localhost:{app.port}", str, trusted)
    with closing(named), pytest.raises(Distrusted) as told:
        ask(named)
    assert "rollout" not in str(told.value)
    app.close()


def test_each_exchange_is_told_in_a_word(tmp_path: Path) -> None:
    ca, context = authority(tmp_path)
    app = App(bundle_of(), context)
    told: list[tuple[str, str]] = []

    def tell(path: str, trouble: str) -> None:
        assert trouble in ("", *TROUBLES)
        told.append((path, trouble))

    def token() -> str:
        raise PermissionError(13, "Permission denied")

    url = f"https://127.0.0.1:{app.port}"
    for tls, url_, read in (
        (trusting(ca.read_text()), url, str),
        (trusting(authority(tmp_path)[0].read_text()), url, str),
        (None, "http://127.0.0.1:9", str),
        (None, "http://127.0.0.1:9", token),
    ):
        with closing(AppApi(url_, read, tls, tell)) as api, contextlib.suppress(OSError):
            ask(api)
    assert told == [
        ("/api/v1/profiles", word) for word in ("", "distrusted", "unreachable", "unauthorized")
    ]
    app.close()


@pytest.mark.parametrize(
    ("status", "word"),
    [(200, ""), (304, ""), (401, "unauthorized"), (403, "unauthorized"), (507, "full"),
     (404, "error"), (503, "error")],
)  # fmt: skip
def test_statuses_are_words_too(status: int, word: str) -> None:
    assert trouble_of(status) == word


def test_one_connection_for_everything(app: App) -> None:
    with closing(api_of(app)) as api:
        in_threads(ask, [api] * 8)
        assert app.accepted == 1


def test_a_connection_that_the_app_has_closed_is_replaced_once(app: App) -> None:
    with closing(api_of(app)) as api:
        ask(api)
        for connection in list(app._open):
            connection.shutdown(socket.SHUT_RDWR)
        assert ask(api) == 200 and app.accepted == 2
        app._profiles = lambda c, head: c.shutdown(socket.SHUT_RDWR)  # type: ignore[method-assign]
        with pytest.raises(ConnectionError):
            ask(api)
        assert app.accepted == 3
        with pytest.raises(ConnectionError):  # a new one is not replaced
            ask(api)
        assert app.accepted == 4


GONE = """
import subprocess, time
from contextlib import closing
from addon.app_client import client as api
from tests.peers import App
from tests.sidecar import bundle_of

api.GONE_S = 0.5
app = App(bundle_of())
with closing(api.AppApi(f"http://127.0.0.1:{app.port}", str)) as asking:
    def ask():
        return asking.ask("GET", "/api/v1/profiles", {}).status
    assert ask() == 200
    port = asking._connection.sock.getsockname()[1]
    rules = "table inet t { chain c { type filter hook output priority 0; tcp sport %d drop; }; }"
    subprocess.run(["nft", "-f", "-"], input=rules % port, text=True, check=True)
    began = time.monotonic()
    assert ask() == 200 and app.accepted == 2
    assert time.monotonic() - began < 10, "as long as for an app that is slow"
app.close()
"""


def test_an_app_that_is_gone_without_a_word_is_noticed() -> None:
    """As a pod's address is that was deleted: nothing answers, and nothing refuses."""
    netns.require()
    netns.run(GONE)


def test_a_connection_that_was_idle_for_long_is_not_used(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(api_of(app)) as api:
        ask(api)
        monkeypatch.setattr(module, "API_KEPT_S", 0.0)
        ask(api)
        assert app.accepted == 2


def test_an_exchange_that_hangs_can_be_broken_off(app: App) -> None:
    asked = threading.Event()
    app._profiles = lambda c, head: (asked.set(), time.sleep(20))  # type: ignore[method-assign,assignment]
    failed: list[Exception] = []

    def run() -> None:
        try:
            ask(api)
        except (OSError, http.client.HTTPException) as e:
            failed.append(e)

    with closing(api_of(app)) as api:
        thread = threading.Thread(target=run)
        thread.start()
        assert asked.wait(10)
        api.abort()
        thread.join(10)
    assert failed and app.accepted == 1


def test_a_token_that_cannot_be_read_is_no_connection_that_fails(app: App) -> None:
    def token() -> str:
        raise FileNotFoundError(2, "No such file")

    with pytest.raises(NoToken, match="No such file"):
        ask(AppApi(f"http://127.0.0.1:{app.port}", token))
    assert app.accepted == 0


@pytest.mark.parametrize(
    ("value", "seconds"), [("7", 7), ("", 0), ("Wed, 21 Oct 2026 07:28:00 GMT", 0), ("-1", 0)]
)
def test_seconds_that_the_app_asks_for(value: str, seconds: float) -> None:
    assert ApiAnswer(503, {"retry-after": value}, b"").seconds("retry-after") == seconds


def test_no_header_is_no_wait() -> None:
    assert ApiAnswer(503, {}, b"").seconds("retry-after") == 0


def test_waits_are_spread_over_the_time_since_the_first_failure() -> None:
    now = [1000.0]
    backoffs = [Backoff(1, 60, lambda: now[0]) for _ in range(1000)]

    def waits(asked: float = 0) -> list[float]:
        return [backoff.next(asked) for backoff in backoffs]

    for passed, most in ((0, 1), (0.5, 1), (8, 8), (60, 60), (3600, 60)):
        now[0] = 1000 + passed
        found = waits()
        assert 0 <= min(found) < 0.1 * most and 0.9 * most < max(found) <= most
        assert 0.4 * most < sum(found) / len(found) < 0.6 * most
    assert all(30 <= wait <= 90 for wait in waits(30))
    assert all(60 <= wait <= 120 for wait in waits(86400))
    for backoff in backoffs:
        backoff.reset()
    assert max(waits()) <= 1


@pytest.mark.parametrize("pem", ["", "/etc/ca.pem", "-----BEGIN CERTIFICATE-----\nx\n"])
def test_what_is_no_certificate_is_refused(pem: str) -> None:
    with pytest.raises(ValueError, match="no PEM certificate"):
        trusting(pem)
