"""addon/diagnostics/spans.py: the spans of a masked record. In a real back end:
tests/integration/test_sidecar_telemetry.py."""

from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.diagnostics.spans import ATTRIBUTE_CAP, Spans
from addon.exchange.exchange import Traced
from app.contract.masking.masker import Masker
from app.contract.record import CaptureRecord, Endpoint, Request, Response, Tls, text
from app.contract.rules import Host, Profile, RuleSet, Sensitive
from app.otel.items import SpanData

PROFILE = Profile(
    "acme",
    "Acme",
    (Host("t.example"),),
    (),
    (Sensitive("query", "lic", "mask"),),
    safe_query=("v", "lic"),
)
TRACED = Traced("1" * 16, "3" * 16, 5_000)


class Kept:
    """The part of an exporter that spans are given to."""

    def __init__(self) -> None:
        self.spans: list[SpanData] = []

    def span(self, span: SpanData) -> None:
        self.spans.append(span)


def made(record: CaptureRecord, traced: Traced = TRACED) -> list[SpanData]:
    kept = Kept()
    spans = Spans(kept, lambda: Masker(RuleSet((PROFILE,))), "http://app.example:8000")  # type: ignore[arg-type]
    spans.record(record, traced)
    return kept.spans


def record(**fields: Any) -> CaptureRecord:
    given: dict[str, Any] = {
        "kind": "exchange", "action": "mock", "profile": "acme", "rule": "one", "route": "/a/{x}",
        "time_ns": 1_000_000, "duration_ns": 50_000, "answer_ns": 10_000, "answered_by": "app",
        "trace_id": "a" * 32, "span_id": "2" * 16,
        "request": Request(method="GET", host="t.example", path="/a/b", http_version="HTTP/2.0"),
        "response": Response(status=200),
    }  # fmt: skip
    return CaptureRecord(boot="ab" * 16, seq=7, **(given | fields))


def test_times_and_parents() -> None:
    server, client = made(record())
    assert server[:7] == (
        "GET /a/{x}", "server", "a" * 32, "2" * 16, "1" * 16, 1_000_000, 1_050_000
    )  # fmt: skip
    assert client[:7] == (
        "GET /a/{x}", "client", "a" * 32, "3" * 16, "2" * 16, 1_005_000, 1_015_000
    )  # fmt: skip
    assert server.attributes["network.protocol.version"] == "2"
    assert client.attributes["url.full"] == "http://app.example:8000/a/b"


NAMES = st.sampled_from(["v", "V", "lic", "LIC", "x", "a b", "é&=", "#", ""]) | st.text(max_size=9)
VALUES = st.sampled_from(["4.1", "https://y/?lic=abc", "é #&=+%", ""]) | st.text(max_size=9)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=9))
def test_a_query_is_shown_as_the_masking_shows_a_url(query: list[tuple[str, str]]) -> None:
    query = [(text(name), text(value)) for name, value in query]
    request = Request(method="GET", host="t.example", path="/a/b", query=query)
    (server,) = made(record(answered_by="sidecar", request=request), Traced())
    written = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in query)
    expected = Masker(RuleSet((PROFILE,))).url("acme", f"/a/b?{written}")
    assert server.attributes["url.path"] == "/a/b"
    assert server.attributes.get("url.query", "") == expected.partition("?")[2]


def test_nobody_asked_is_no_client_span() -> None:
    (server,) = made(record(answered_by="sidecar", answer_ns=0), Traced("", "", 0))
    assert server.kind == "server"


def test_a_status_is_an_error_without_an_event() -> None:
    (server,) = made(record(answered_by="sidecar", response=Response(status=503)), Traced())
    assert server.error == "answered 503" and server.events == ()


def test_a_client_span_without_an_answer_ends_with_the_exchange() -> None:
    server, client = made(record(kind="failed", reason="client_gone", answer_ns=0, response=None))
    assert client.end_ns == 1_050_000 and client.error == "" and client.events == ()
    assert server.events[0][2]["exception.type"] == "client_gone"
    assert "http.response.status_code" not in client.attributes


def test_a_query_shows_only_what_is_safe_and_not_sensitive() -> None:
    request = Request(
        method="GET",
        host="t.example",
        path="/a",
        query=[("v", "1 2"), ("lic", "x"), ("other", "y"), ("a&b=", "z")],
    )
    server, client = made(record(request=request, answered_by="upstream"))
    query = "v=1+2&lic=***&other=***&a%26b%3D=***"
    assert server.attributes["url.query"] == query
    assert client.attributes["url.full"] == f"https://t.example/a?{query}"


@pytest.mark.parametrize(
    ("scheme", "host", "port", "origin"),
    [
        ("https", "t.example", 443, "https://t.example"),
        ("http", "t.example", 80, "http://t.example"),
        ("https", "t.example", 8443, "https://t.example:8443"),
        ("https", "2001:db8::1", 443, "https://[2001:db8::1]"),
    ],
)
def test_who_was_asked(scheme: str, host: str, port: int, origin: str) -> None:
    request = Request(method="GET", scheme=scheme, host=host, port=port, path="/a")
    _, client = made(record(request=request, answered_by="upstream"))
    assert client.attributes["url.full"] == f"{origin}/a"


def test_values_are_cut() -> None:
    request = Request(
        method="GET",
        host="t.example",
        path="/" + "p" * 5000,
        query=[("v", "q" * 5000)] * 500,
        headers=[("User-Agent", "u" * 5000)],
    )
    for span in made(record(request=request, detail="d" * 5000, kind="failed",
                            reason="upstream_failed")):  # fmt: skip
        values = [*span.attributes.values(), *(v for e in span.events for v in e[2].values())]
        assert max(len(v) for v in values if isinstance(v, str)) == ATTRIBUTE_CAP


def test_no_header_but_the_user_agent() -> None:
    request = Request(
        method="GET",
        host="t.example",
        headers=[("user-agent", "curl/8"), ("cookie", "c00kie"), ("x-own", "0wn")],
    )
    response = Response(status=200, headers=[("set-cookie", "c00kie")])
    text = repr(made(record(request=request, response=response)))
    assert "curl/8" in text and "c00kie" not in text and "0wn" not in text


def test_a_method_that_nobody_knows_is_no_name() -> None:
    server, _ = made(record(request=Request(method="BREW", host="t.example"), rule="", route="/x"))
    assert server.name == "HTTP" and server.attributes["http.request.method"] == "_OTHER"


def test_a_record_whose_contents_were_left_out_keeps_the_trace_whole() -> None:
    server, client = made(record(request=None, response=None, reason="unmaskable"))
    assert (server.name, client.parent_id) == ("HTTP /a/{x}", server.span_id)


def test_the_host_that_failed_is_told_by_the_client_span() -> None:
    server, client = made(
        record(kind="failed", reason="upstream_failed", detail="reset", answered_by="")
    )
    assert server.error == client.error == "the connection to the real host broke or was not " \
        "valid HTTP"  # fmt: skip
    assert server.events == ()
    assert client.events == (
        ("exception", 1_050_000,
         {"exception.type": "upstream_failed", "exception.message": "reset"}),
    )  # fmt: skip


def test_a_handshake_that_failed() -> None:
    (span,) = made(
        record(
            kind="tls_rejected", request=None, response=None, rule="", reason="tls_failed",
            tls=Tls(sni="t.example", version="TLSv1.3"), client=Endpoint("10.0.0.1", 5),
            destination=Endpoint("192.0.2.1", 443),
        ),
        Traced(),
    )  # fmt: skip
    assert (span.name, span.kind, span.parent_id) == ("tls handshake", "server", "")
    assert span.error == "the TLS handshake with the client failed"
    assert (
        span.attributes.items()
        >= {
            "server.address": "t.example",
            "network.local.address": "192.0.2.1",
            "network.local.port": 443,
            "client.address": "10.0.0.1",
            "error.type": "tls_failed",
        }.items()
    )
    assert [e[0] for e in span.events] == ["exception"]
