"""addon/exchange/routing.py: who answers, what the app is asked, and how long it is waited for.

What the app's failures lead to is in tests/integration/test_sidecar_app.py.
"""

import asyncio
import socket
import time
from typing import Any

import pytest
from mitmproxy.test import tutils

from addon.exchange import routing
from addon.exchange.app_pool import Answered, AppFailed, Pool
from addon.exchange.exchange import Exchange, Kept, Line, query_of, trace
from addon.exchange.reply import headers_of
from addon.exchange.routing import Killed, Router
from app.contract import rules as r
from app.contract.record import Action, Endpoint
from tests.peers import App, send
from tests.sidecar import HOST, LINE, bundle_of, rule


def exchange_with(
    chosen: r.Rule,
    action: Action = "mock",
    path: bytes = b"/x",
    method: str = "GET",
    fields: tuple[tuple[bytes, bytes], ...] = ((b"Host", HOST.encode()), (b"X-A", b"1")),
) -> Exchange:
    rules = bundle_of(chosen).rules
    target, query = query_of(path.decode("latin-1"))
    return Exchange(
        line=Line("client", None, Endpoint("192.0.2.1", 443), None, "https", 443, HOST),
        rules=rules,
        seen=r.Seen(method=method, host=HOST, path=target, query=query, headers=headers_of(fields)),
        fields=fields,
        target=path,
        decision=r.Decision(action, rules.profiles[0], chosen),
        http_version="HTTP/1.1",
        trace=trace(""),
        number=("ab" * 16, 7),
        sent=Kept(100),
        received=Kept(100),
    )


def nowhere() -> Router:
    return Router(Pool("127.0.0.1", 9))  # nobody listens there


async def test_block_and_hold_are_refused() -> None:
    for action in ("block", "hold"):
        exchange = exchange_with(rule("x", "/x"), action)  # type: ignore[arg-type]
        answer = await nowhere().answer(exchange)
        assert answer.status == 403
        assert exchange.answered_by == "sidecar"


async def test_a_rule_of_the_sidecar_never_asks_the_app() -> None:
    app = App(bundle_of())
    exchange = exchange_with(rule("x", "/x"))
    answer = await Router(Pool("127.0.0.1", app.port)).answer(exchange)
    assert answer.body == LINE
    assert (b"content-length", b"%d" % len(LINE)) in answer.fields
    assert app.accepted == 0
    app.close()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_the_static_answer_has_a_length_and_head_no_body(method: str) -> None:
    exchange = exchange_with(rule("x", "/x", answer_at="app"), method=method)
    answer = await nowhere().answer(exchange)
    assert (b"content-length", b"%d" % len(LINE)) in answer.fields
    assert answer.body == (b"" if method == "HEAD" else LINE)
    assert exchange.reason == "app_unreachable"


async def test_what_the_static_answer_keeps_of_delay_fault_and_sequence() -> None:
    router = nowhere()
    slow = exchange_with(rule("x", "/x", answer=r.Answer(body=LINE, delay_ms=60)))
    began = time.monotonic()
    assert (await router.answer(slow)).body == LINE
    assert time.monotonic() - began >= 0.06
    last = r.Answer(sequence=(r.Answer(status=500), r.Answer(status=204)))
    assert (await router.answer(exchange_with(rule("x", "/x", answer=last)))).status == 204
    with pytest.raises(Killed):
        reset = rule("x", "/x", answer=r.Answer(fault="reset"))
        await router.answer(exchange_with(reset))


async def test_an_app_that_is_away_is_not_asked_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(routing, "CIRCUIT_SECONDS", 60)
    router = nowhere()
    for reason in ("app_unreachable", "circuit_open", "circuit_open"):
        exchange = exchange_with(rule("x", "/x", answer_at="app"))
        assert (await router.answer(exchange)).body == LINE
        assert (exchange.answered_by, exchange.reason) == ("sidecar", reason)
    assert not await router.takes_over()


async def test_who_waited_for_a_turn_does_not_ask_an_app_that_failed_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At an app whose host drops packets, each turn takes the whole time of a connection."""
    monkeypatch.setattr(routing, "CIRCUIT_SECONDS", 60)
    router = Router(Pool("127.0.0.1", 9, size=1))
    tried = 0

    async def no_connection() -> None:
        nonlocal tried
        tried += 1
        await asyncio.sleep(0.05)
        raise AppFailed("app_unreachable", "no connection in time")

    monkeypatch.setattr(router.pool, "_connect", no_connection)
    exchanges = [exchange_with(rule("x", "/x", answer_at="app")) for _ in range(5)]
    await asyncio.gather(*map(router.answer, exchanges))
    assert tried == 1
    assert [x.reason for x in exchanges] == ["app_unreachable", *["circuit_open"] * 4]


async def test_an_app_that_is_silent_is_not_asked_for_a_while_and_then_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(routing, "CIRCUIT_SECONDS", 60)
    monkeypatch.setattr(routing, "ANSWER_SECONDS", 0.05)
    app = App(bundle_of())
    app.mock = lambda connection, head, body: None
    router = Router(Pool("127.0.0.1", app.port))
    chosen = rule("x", "/x", answer_at="app")
    for reason in ("app_unreachable", "circuit_open", "circuit_open"):
        exchange = exchange_with(chosen)
        assert (await router.answer(exchange)).body == LINE
        assert exchange.reason == reason
    assert not await router.takes_over()
    assert len(app.asked) == app.accepted == 1
    monkeypatch.setattr(routing, "CIRCUIT_SECONDS", 0)
    monkeypatch.setattr(routing, "ANSWER_SECONDS", 5)
    app.mock = lambda connection, head, body: send(connection, b"hi")
    again = Router(router.pool)
    again._open_circuit()
    exchange = exchange_with(chosen)
    assert (await again.answer(exchange)).body == b"hi"
    assert (exchange.answered_by, exchange.reason) == ("app", "")
    assert await again.takes_over()
    router.pool.close()
    app.close()


async def test_a_hand_over_that_fails_opens_the_circuit_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(routing, "CIRCUIT_SECONDS", 60)
    router = nowhere()
    assert not await router.takes_over()
    exchange = exchange_with(rule("x", "/x", answer_at="app"))
    await router.answer(exchange)
    assert exchange.reason == "circuit_open"


async def test_the_app_is_asked_for_the_request_as_it_was() -> None:
    app = App(bundle_of())
    router = Router(Pool("127.0.0.1", app.port))
    app.mock = lambda c, head, body: send(c, b"hi", headers=b"X-B: 2\r\ntelemock-rule: a\r\n")
    exchange = exchange_with(
        rule("x", "/x", answer_at="app"),
        path=b"/x?q=\xfe",
        method="POST",
        fields=(
            (b"Host", b"cdn.cribl.io"), (b"X-A", b"1"), (b"x-a", b"2"), (b"Connection", b"close"),
            (b"Transfer-Encoding", b"chunked"), (b"Telemock-Rule", b"forged/rule"),
        ),
    )  # fmt: skip
    exchange.sent.add(b"y" * 120)
    answer = await router.answer(exchange)
    assert answer.fields == ((b"X-B", b"2"), (b"content-length", b"2"))
    head, body = app.asked[-1]
    assert head.split(b"\r\n")[:-2] == [
        b"POST /x?q=%FE HTTP/1.1",
        b"Host: cdn.cribl.io",
        b"X-A: 1",
        b"x-a: 2",
        b"telemock-record: " + b"ab" * 16 + b"-7",
        b"telemock-rule: cribl/x",
        b"telemock-scheme: https",
        b"traceparent: " + exchange.trace.traceparent.encode(),
        b"telemock-body-size: 120",
        b"content-length: 100",
    ]
    assert body == b"y" * 100
    assert exchange.answered_by == "app" and exchange.answered > exchange.asked > 0
    router.pool.close()
    app.close()


async def test_the_clients_tracestate_goes_on_with_its_trace() -> None:
    client = trace(f"00-{'a' * 32}-{'b' * 16}-01", "vendor=1")
    for state, expected in ((client, [b"tracestate: vendor=1"]), (trace(""), [])):
        app = App(bundle_of())
        router = Router(Pool("127.0.0.1", app.port))
        exchange = exchange_with(
            rule("x", "/x", answer_at="app"),
            fields=((b"host", b"h"), (b"tracestate", b"forged=1")),
        )
        exchange.trace = state
        await router.answer(exchange)
        lines = app.asked[-1][0].split(b"\r\n")
        assert [x for x in lines if x.startswith(b"tracestate")] == expected
        router.pool.close()
        app.close()


def test_what_a_rule_asks_for_comes_on_top() -> None:
    assert routing.own_seconds(r.Answer()) == 0
    assert routing.own_seconds(r.Answer(delay_ms=7000)) == 7
    late = r.Answer(sequence=(r.Answer(), r.Answer(delay_ms=3000)))
    assert routing.own_seconds(late) == 3
    for fault in ("hang", "slow_body"):
        assert routing.own_seconds(r.Answer(fault=fault)) == routing.LONGEST_HOLD
    assert routing.own_seconds(r.Answer(delay_ms=10**9)) == routing.LONGEST_HOLD


async def test_a_delay_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the app or here, not by both."""
    monkeypatch.setattr(routing, "ANSWER_SECONDS", 0.05)
    app = App(bundle_of())
    app.mock = lambda c, head, body: (c.recv(1), None)[1]
    router = Router(Pool("127.0.0.1", app.port))
    began = time.monotonic()
    answer = r.Answer(body=LINE, delay_ms=1500)
    exchange = exchange_with(rule("x", "/x", answer=answer, answer_at="app"))
    assert (await router.answer(exchange)).body == LINE
    assert 1.5 <= time.monotonic() - began < 3
    assert exchange.reason == "app_unreachable"
    app.close()


def fails(connection: socket.socket, head: bytes, body: bytes) -> None:
    send(connection, b"", b"500 Internal Server Error")


def marked(connection: socket.socket, head: bytes, body: bytes) -> None:
    send(connection, b"", headers=b"telemock-error: template\r\n")


def garbage(connection: socket.socket, head: bytes, body: bytes) -> None:
    connection.sendall(b"SSH-2.0-x\r\n\r\n")


def breaks_off(connection: socket.socket, head: bytes, body: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx")
    connection.shutdown(socket.SHUT_RDWR)


def leaves(connection: socket.socket, head: bytes, body: bytes) -> None:
    connection.shutdown(socket.SHUT_RDWR)


def waits(connection: socket.socket, head: bytes, body: bytes) -> None:
    connection.recv(1)


@pytest.mark.parametrize(
    ("mock", "leaves_alone"),
    [(fails, False), (marked, False), (garbage, False), (breaks_off, False), (leaves, True),
     (waits, True)],
)  # fmt: skip
async def test_only_an_app_that_is_not_there_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, mock: Any, leaves_alone: bool
) -> None:
    if mock is waits:
        monkeypatch.setattr(routing, "ANSWER_SECONDS", 0.05)
    app = App(bundle_of())
    app.mock = mock
    router = Router(Pool("127.0.0.1", app.port))
    failing = exchange_with(rule("x", "/x", answer_at="app"))
    assert (await router.answer(failing)).body == LINE
    app.mock = app.answer
    other = exchange_with(rule("y", "/x", answer_at="app"))
    assert ((await router.answer(other)).body == LINE) is leaves_alone
    assert other.reason == ("circuit_open" if leaves_alone else "")
    app.close()


@pytest.mark.parametrize(
    ("status", "wanted", "failed"),
    [(200, 200, False), (500, 200, True), (503, 503, False), (400, 200, True), (404, 404, False),
     (404, 200, True), (302, 200, False)],
)  # fmt: skip
def test_a_status_nobody_asked_for_is_the_apps_failure(
    status: int, wanted: int, failed: bool
) -> None:
    assert routing._is_own_failure(Answered(status=status), r.Answer(status=wanted)) == failed


def test_http2_has_no_connection_header() -> None:
    request = tutils.treq(http_version=b"HTTP/2.0")
    assert "connection" not in routing.refuse_trailers(request).headers
    assert routing.refuse_trailers(tutils.treq()).headers["connection"] == "close"
