"""Who may see a view, and what every answer carries."""

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from html import unescape

import httpx
import pytest

from app.contract.record import encode
from app.store import CaptureQuery, Page, questions
from app.web import page
from app.web.page import HEADERS, VIEWS
from tests.records import exchange
from tests.serving import Served
from tests.unit.app.web.conftest import sign_in
from tests.unit.app.web.samples import id_of
from tests.waiting import wait_for

ADDRESSES = [*VIEWS, f"/captures/{id_of(6)}", f"/captures?open={id_of(6)}&q=method:POST"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_view_is_for_who_signed_in(filled: Served, address: str) -> None:
    away = filled.bare.get(address)
    assert away.status_code == 303
    assert away.headers["location"].startswith("/login")
    for token in ("", "wrong"):
        filled.bare.cookies.set(f"telemock-{filled.port}", token)
        assert filled.bare.get(address).status_code == 303
    with sign_in(filled) as client:
        seen = client.get(address)
    assert seen.status_code == 200
    for name, value in HEADERS.items():
        assert seen.headers[name] == value
        assert away.headers[name] == value
    for forbidden in (" style=", "<style", " onclick", "javascript:", "http-equiv"):
        assert forbidden not in seen.text


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_link_of_a_view_leads_somewhere(visitor: httpx.Client, address: str) -> None:
    text = visitor.get(address).text
    links = {unescape(x) for x in re.findall(r'(?:href|src|hx-get)="([^"]*)"', text)}
    assert links
    for link in sorted(links - {address}):
        if not link.startswith("#"):
            assert link.startswith("/"), link
            assert visitor.get(link).status_code == 200, link


def test_the_policy_of_the_page_lets_nothing_in() -> None:
    policy = HEADERS["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


def test_a_session_ends_with_its_token(filled: Served, visitor: httpx.Client) -> None:
    assert visitor.get("/").status_code == 200
    filled.runtime.authority._token = b"another"
    ended = visitor.get("/captures?q=method:POST")
    assert ended.status_code == 303
    assert ended.headers["location"] == "/login?to=%2Fcaptures%3Fq%3Dmethod%3APOST&why=ended"
    by_htmx = visitor.get("/captures", headers={"hx-request": "true"})
    assert (by_htmx.status_code, by_htmx.headers["hx-redirect"]) == (
        204, "/login?to=%2Fcaptures&why=ended",
    )  # fmt: skip


@pytest.mark.parametrize("host", ["evil.test", "10.0.0.5:8000", "telemock", "localhost.evil.test"])
def test_plain_http_is_for_loopback(filled: Served, visitor: httpx.Client, host: str) -> None:
    for address in ("/", "/login", "/captures"):
        answer = visitor.get(address, headers={"host": host})
        assert answer.status_code == 403
        assert "name of loopback" in answer.text
    answer = visitor.post("/login", data={"token": filled.runtime.token}, headers={"host": host})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000", "a.localhost"])
def test_names_of_loopback(served: Served, host: str) -> None:
    assert served.bare.get("/login", headers={"host": host}).status_code == 200


def test_an_error_says_what_to_do(visitor: httpx.Client) -> None:
    bad = visitor.get("/?since=yesterday")
    assert bad.status_code == 422
    assert "write 24h (ago)" in bad.text
    gone = visitor.get("/captures/abab-1")
    assert gone.status_code == 404
    assert "retention" in gone.text


def test_a_store_that_fails_is_said(visitor: httpx.Client, filled: Served) -> None:
    filled.runtime.store.close()
    answer = visitor.get("/")
    assert answer.status_code == 503
    assert 'role="alert"' in answer.text


def test_each_port_has_its_own_cookie(filled: Served) -> None:
    with sign_in(filled) as client:
        assert list(client.cookies) == [f"telemock-{filled.port}"]


def test_templates_escape_everything() -> None:
    assert page._templates.autoescape is True
    for name in page._templates.list_templates():
        source, _, _ = page._templates.loader.get_source(page._templates, name)
        assert "|safe" not in source and "autoescape false" not in source


def test_heavy_questions_keep_neither_health_nor_intake_waiting(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as may wait, each as long as it may take; one more is told to come again."""
    go, store = threading.Event(), served.runtime.store
    captures = store.captures

    def heavy(query: CaptureQuery) -> Page:
        go.wait(60)
        return captures(query)

    monkeypatch.setattr(store, "captures", heavy)
    monkeypatch.setattr(questions, "LONGEST_S", 120)
    limits = httpx.Limits(max_connections=questions.WAITING + 5)
    with (
        sign_in(served) as client,
        httpx.Client(
            base_url=served.url, cookies=client.cookies, limits=limits, trust_env=False, timeout=60
        ) as visitors,
        ThreadPoolExecutor(questions.WAITING) as threads,
    ):
        asked = [threads.submit(visitors.get, "/captures") for _ in range(questions.WAITING)]
        try:
            wait_for(lambda: len(questions._waiting) == questions.WAITING)
            refused = client.get("/captures")
            assert refused.status_code == 503 and "ask again later" in refused.text
            busy = served.client.get("/api/v1/captures")
            assert (busy.status_code, busy.headers["retry-after"]) == (503, "1")
            for address in ("/health", "/ready", "/metrics"):
                begun = time.monotonic()
                assert served.bare.get(address).status_code == 200
                assert time.monotonic() - begun < 5  # not the questions' thirty seconds
            lines = encode(exchange(77, boot="ee" * 16))
            sent = served.client.post(
                "/api/v1/captures", content=lines, headers={"content-type": "application/x-ndjson"}
            )
            assert (sent.status_code, sent.json()["stored"]) == (200, 1)
            assert served.bare.get("/telemetry/?v=1", headers={"host": "cdn.cribl.io"}).is_success
        finally:
            go.set()
        assert {answer.result().status_code for answer in asked} == {200}
