"""Gets the answer from the app's mock, or gives the rule's static answer in its place.

Used by `addon.exchanges` for every request that is not forwarded. The client is answered even if
the app fails; the record and a metric tell the reason of such a fall-back.
"""

import asyncio
import re
from collections.abc import Iterator
from functools import lru_cache

from mitmproxy import http

from addon.exchange.app_pool import Answered, AppFailed, Pool
from addon.exchange.exchange import Exchange, Kept, now
from addon.exchange.reply import Reply, static
from app.contract import names
from app.contract.actions import ANSWERED
from app.contract.answer import BLOCKED, NO_TRAILERS, UNJUDGED
from app.contract.faults import REHEARSED
from app.contract.rules import Answer

ANSWER_SECONDS = 5.0  # for the app's answer, above the rule's own delay
LONGEST_HOLD = 60.0  # the longest delay or hang in seconds, here as in the mock
CIRCUIT_SECONDS = 1.0  # for which a failed app is not asked again

# Headers that are none of the mock's business, or set anew.
_LEFT_OUT = frozenset(
    (
        "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade", "te",
        "trailer", "expect", "proxy-authorization", "content-length", "traceparent", "tracestate",
    )
)  # fmt: skip


_UNUSUAL = f"{REHEARSED}: not the usual answer"  # a record's detail
_ERROR = names.HEADER_ERROR.encode()
_INTERNAL = frozenset(name.encode() for name in names.HEADERS_INTERNAL)
_NOT_IN_TARGET = re.compile(rb"[^\x21-\x7e]")

_FAILED = Answer(
    status=502,
    headers=(("content-type", "text/plain; charset=utf-8"),),
    body=b"telemock: the request could not be handled\n",
)


class Killed(Exception):
    """The rule cuts the client's connection instead of an answer."""


class Router:
    """Gets answers. One per process; not thread-safe."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._closed_until = 0.0

    async def answer(self, exchange: Exchange) -> Reply:
        """The answer for the client; notes in the exchange who gave it, and why not the app.

        Raises Killed.
        """
        at_once = self.answer_now(exchange)
        rule = exchange.decision.rule
        if at_once is not None or rule is None:  # without a rule it is at once
            return at_once or failed(exchange.seen.method)
        if rule.answer_at == "rehearsal":
            exchange.asked, exchange.reason, exchange.detail = now(), REHEARSED, _UNUSUAL
            return await self._static(exchange, rule.answer)
        try:
            answered = await self._ask(exchange, rule.answer)
        except AppFailed as e:
            exchange.reason, exchange.detail = e.reason, str(e)
            return await self._static(exchange, rule.answer)
        exchange.answered_by = "app"
        return _relayed(answered, exchange.seen.method)

    def late(self, exchange: Exchange) -> Reply:
        """The rule's answer at once, when time is up; if it was the app that took too long, the
        circuit opens.

        Raises Killed.
        """
        if exchange.asked and not exchange.answered:
            exchange.answered = now()
            self._open_circuit()
        exchange.answered_by = "sidecar"
        rule = exchange.decision.rule
        return failed(exchange.seen.method) if rule is None else _static(exchange, rule.answer)

    def answer_now(self, exchange: Exchange) -> Reply | None:
        """The answer if nobody has to be asked, None if the app has to be."""
        rule = exchange.decision.rule
        if exchange.action not in ANSWERED or rule is None:
            answer = BLOCKED
        elif rule.answer_at != "app" and not rule.answer.needs_app:
            answer = rule.answer
        else:
            return None
        exchange.answered_by = "sidecar"
        if rule is not None and rule.answer_at == "rehearsal":
            exchange.reason, exchange.detail = REHEARSED, _UNUSUAL
        return static(answer, exchange.seen.method)

    async def takes_over(self) -> bool:
        """True if the app is up to speak with the client itself (WebSocket, slow body)."""
        if self._is_open():
            return False
        if await self.pool.reachable():
            return True
        self._open_circuit()
        return False

    async def _ask(self, exchange: Exchange, answer: Answer) -> Answered:
        if self._is_open():
            raise AppFailed("circuit_open", "the app failed a moment ago")
        faults = {a.fault for a in _variants(answer)}
        exchange.asked = exchange.asked or now()
        try:
            answered = await self.pool.ask(
                _raw(exchange),
                within=own_seconds(answer) + ANSWER_SECONDS,
                bodiless=exchange.seen.method == "HEAD",
                fresh="reset" in faults,
                slow=own_seconds(answer) > 0,
                unless=self._is_open,
            )
        except AppFailed as e:
            exchange.answered = now()
            if (e.cut and "reset" in faults) or (e.late and "hang" in faults):
                exchange.answered_by = "app"
                raise Killed from None
            if e.down:
                self._open_circuit()
            raise
        exchange.answered = now()
        if _is_own_failure(answered, answer):
            # One rule's failure, for example of its template: other rules still ask the app.
            raise AppFailed("app_error", f"the app answered {answered.status}")
        return answered

    async def _static(self, exchange: Exchange, answer: Answer) -> Reply:
        """The rule's answer without the app, after the rest of the rule's own delay."""
        exchange.answered_by = "sidecar"
        waited = (now() - exchange.asked) / 1e9 if exchange.asked else 0
        left = _hold(_last(answer)) - waited
        if left > 0:
            await asyncio.sleep(left)
        return _static(exchange, answer)

    def _is_open(self) -> bool:
        """True while the app is left alone."""
        return asyncio.get_running_loop().time() < self._closed_until

    def _open_circuit(self) -> None:
        self._closed_until = asyncio.get_running_loop().time() + CIRCUIT_SECONDS


def internal_headers(exchange: Exchange, host: str) -> list[tuple[bytes, bytes]]:
    """Headers that tell the mock the exchange; `host` if the request has no Host header."""
    pairs = [
        (names.HEADER_RECORD, exchange.id),
        (names.HEADER_RULE, exchange.decision.name),
        (names.HEADER_SCHEME, exchange.line.scheme),
        ("traceparent", exchange.trace.traceparent),
    ]
    if exchange.trace.state:
        pairs.append(("tracestate", exchange.trace.state))
    if host:
        pairs.insert(0, ("host", host))
    return [(n.encode(), v.encode("ascii", "replace")) for n, v in pairs]


@lru_cache(maxsize=256)
def to_mock(name: bytes) -> bool:
    """True if the mock gets this client header; only the sidecar may set the others."""
    lower = name.decode("latin-1").lower()
    return lower not in _LEFT_OUT and lower not in names.HEADERS_INTERNAL


def hand_over(exchange: Exchange, request: http.Request, app: tuple[str, int]) -> None:
    """Redirects the request to the mock; mitmproxy carries it both ways."""
    host = "" if "host" in request.headers else exchange.seen.host
    kept = [
        h for h in request.headers.fields
        if to_mock(h[0]) or h[0].lower() in (b"connection", b"upgrade", b"content-length",
                                             b"transfer-encoding")
    ]  # fmt: skip
    request.headers.fields = (*kept, *internal_headers(exchange, host))
    # Not the request's own setters: they would change the Host header.
    request.data.host, request.data.port = app
    request.data.scheme = b"http"


def failed(method: str) -> Reply:
    """The answer when the sidecar itself is at fault."""
    return static(_FAILED, method)


def refuse_trailers(request: http.Request) -> http.Response:
    return static(NO_TRAILERS, request.method).for_mitmproxy(request)


def refuse_unjudged(request: http.Request) -> http.Response:
    return static(UNJUDGED, request.method).for_mitmproxy(request)


def _relayed(answered: Answered, method: str) -> Reply:
    fields = [h for h in answered.headers if h[0].lower() not in _INTERNAL]
    if answered.status not in (204, 304) and method != "HEAD":
        fields.append((b"content-length", b"%d" % len(answered.body)))
    return Reply(answered.status, answered.reason, tuple(fields), answered.body, method=method)


def _variants(answer: Answer) -> Iterator[Answer]:
    yield answer
    yield from answer.sequence


@lru_cache(maxsize=128)
def own_seconds(answer: Answer) -> float:
    """The rule's own delay at most: a rule that is slow on purpose is no failure."""
    slow_body = any(a.fault == "slow_body" for a in _variants(answer))
    return LONGEST_HOLD if slow_body else max(map(_hold, _variants(answer)))


def _hold(answer: Answer) -> float:
    """Seconds until the answer begins, or the connection is cut."""
    delay = answer.delay_ms / 1000
    return LONGEST_HOLD if answer.fault == "hang" else min(delay, LONGEST_HOLD)


def _last(answer: Answer) -> Answer:
    """The last of a sequence: only the app knows its position."""
    return answer.sequence[-1] if answer.sequence else answer


def _static(exchange: Exchange, answer: Answer) -> Reply:
    """Raises Killed if the rule's fault is to give no answer."""
    answer = _last(answer)
    if answer.fault in ("hang", "reset"):
        raise Killed
    return static(answer, exchange.seen.method)


def _is_own_failure(answered: Answered, answer: Answer) -> bool:
    """True if the app failed, False if the rule asks for this status."""
    if any(n.lower() == _ERROR for n, _ in answered.headers):
        return True
    if answered.status in {a.status for a in _variants(answer)}:
        return False
    # 400 and 413 come from the app's server, 404 from a mock without that rule (any more).
    return answered.status in (400, 404, 413) or answered.status >= 500


def _raw(exchange: Exchange) -> bytes:
    """The whole request for the mock. Bytes not allowed in a target are percent-encoded, and one
    without a leading slash, which HTTP/2 allows, gets it."""
    target = _NOT_IN_TARGET.sub(lambda found: b"%%%02X" % found[0][0], exchange.target)
    if not target.startswith(b"/"):
        target = b"/" + target
    fields = [h for h in exchange.fields if to_mock(h[0])]
    host = "" if any(n.lower() == b"host" for n, _ in fields) else exchange.seen.host
    fields += internal_headers(exchange, host)
    body = exchange.sent.prefix if isinstance(exchange.sent, Kept) else b""
    if exchange.sent.size > len(body):
        fields.append((names.HEADER_CUT.encode(), b"%d" % exchange.sent.size))
    method = exchange.seen.method
    if body or method not in ("GET", "HEAD"):
        fields.append((b"content-length", b"%d" % len(body)))
    head = b"".join(b"%s: %s\r\n" % field for field in fields)
    return b"%s %s HTTP/1.1\r\n%s\r\n%s" % (method.encode(), target, head, body)
