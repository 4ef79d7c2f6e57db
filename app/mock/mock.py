"""The mock: takes a telemetry request and gives the rule's answer.

`app.dispatch` calls it with every request for a profile's host, from a sidecar, and
below `/telemetry`. It only answers a sidecar's requests, which the sidecar records; it also records
direct ones.

A direct request cannot be forwarded: where the rule or the mode says observe, pass or hold, it is
answered as in mode mock, and recorded as `mock`.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from app.contract.actions import DENIED, MOCK, REFUSED, Action, Mode
from app.contract.answer import BLOCKED, Rendered, render
from app.contract.body import whole
from app.contract.canonical import readings
from app.contract.decoding.read import for_conditions, read
from app.contract.decoding.tree import opened_up
from app.contract.names import HEADER_CUT, HEADER_ERROR, HEADER_RECORD, HEADER_RULE
from app.contract.printable import place
from app.contract.record import (
    HEADER_CAP,
    Body,
    CaptureRecord,
    Response,
    clip,
    first,
    joined,
)
from app.contract.rules import (
    UNREAD,
    Answer,
    Decision,
    RuleSet,
    Seen,
    decide,
    product_version,
)
from app.ingest.admission import Arriving
from app.ingest.writer import RecordWriter
from app.mock.request import (
    Arrived,
    ClientGone,
    Receive,
    Scope,
    Send,
    TooLarge,
    TooSlow,
    arrived,
    read_body,
    request_of,
)
from app.mock.respond import Outgoing
from app.mock.spans import AnsweredRequest, Span, Telemetry
from app.otel import lines
from app.profiles import template

DIRECT = "/telemetry"

log = logging.getLogger(__name__)

_TOO_LARGE = Answer(
    status=413,
    headers=(("content-type", "text/plain"), ("connection", "close"), (HEADER_ERROR, "too_large")),
    body=b"telemock: the body is larger than TELEMOCK_MAX_BODY\n",
)
_TOO_SLOW = Answer(
    status=408,
    headers=(("content-type", "text/plain"), ("connection", "close"), (HEADER_ERROR, "too_slow")),
    body=b"telemock: the body came too slowly\n",
)
_HAS_BODY = frozenset({b"content-length", b"transfer-encoding"})
NO_RULE = Answer(
    status=404,
    headers=(("content-type", "application/json"), (HEADER_ERROR, "no_rule")),
    body=b'{"error":"no rule of a profile matches this request",'
    b'"hint":"telemock rules explain URL says why; only a sidecar can forward it"}\n',
)
FAILED = Answer(
    status=500,
    headers=(("content-type", "text/plain"), (HEADER_ERROR, "failed")),
    body=b"telemock: the answer could not be made; the log says why\n",
)


class Chosen(NamedTuple):
    """The chosen answer, and its entries in the record."""

    answer: Answer
    action: Action  # a direct request cannot be forwarded, whatever was decided
    decision: Decision


class AnswerCounts:
    """Counts each rule's answers since the start, from 1."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def next(self, chosen: Chosen) -> int:
        if chosen.decision.rule is None:
            return 1
        self._counts[chosen.decision.name] += 1
        return self._counts[chosen.decision.name]


class Mock:
    def __init__(
        self,
        rules: Callable[[], RuleSet],
        writer: RecordWriter,
        telemetry: Telemetry,
        *,
        mode: Mode | None,
        max_body: int,
        arriving: Arriving,
    ) -> None:
        self._rules = rules
        self.writer = writer
        self._telemetry = telemetry
        self._mode = mode
        self._max_body = max_body
        self._arriving = arriving
        self._counters = AnswerCounts()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        time_ns, started = time.time_ns(), time.monotonic_ns()
        asked = arrived(scope)
        span = self.begin(asked)
        gone = False
        refused: Answer | None = None
        body = None
        try:
            if any(n in _HAS_BODY for n, _ in scope["headers"]):
                body = await read_body(
                    receive,
                    first(asked.headers, "content-encoding"),
                    self._max_body,
                    self._arriving,
                    f"mock {asked.client.address if asked.client else ''}",
                )
        except TooLarge as e:
            refused, body = _TOO_LARGE, e.body
        except TooSlow as e:
            refused, body = _TOO_SLOW, e.body
        except ClientGone as e:
            gone, body = True, e.body
        if body is not None and HEADER_CUT in asked.internal:
            body.truncated = True
        seen = self.view(asked)
        chosen = self.choose(asked, seen, body)
        if seen.json is UNREAD:
            rule, kind = chosen.decision.rule, first(asked.headers, "content-type")
            seen.json = read(body, kind, rule.decoders if rule else ()).value
        sent = None
        detail = error = ""
        if not gone:
            count = self._counters.next(chosen)
            answer = refused or step(chosen.answer, count)
            out = Outgoing(scope, receive, send)
            try:
                rendered = await self._render(answer, seen, count)
                sent, gone = await out.give(rendered, answer)
            except Exception as e:
                log.error(
                    "the answer of %s failed: %s", chosen.decision.name or "no rule", place(e)
                )
                if out.started:
                    self.tell(span, asked, chosen, time_ns, started, error=type(e).__name__)
                    raise
                sent = render(FAILED, asked.method)
                await out.whole(sent)
            if sent is None and answer.fault:
                detail, error = f"fault: {answer.fault}", answer.fault
        duration_ns = self.tell(
            span, asked, chosen, time_ns, started,
            status=sent.status if sent else 0, error="client_gone" if gone else error,
        )  # fmt: skip
        if HEADER_RECORD in asked.internal:
            return
        record = self.record(asked, seen, chosen, span, time_ns, body)
        record.duration_ns = duration_ns
        record.response = _response(sent) if sent else None
        record.detail = detail
        if gone:
            record.kind, record.reason = "failed", "client_gone"
        elif chosen.action in REFUSED:
            record.kind, record.reason = "refused", "blocked"
        self.writer.add(record)

    def begin(self, asked: Arrived) -> Span:
        """Begins the request's span; log lines carry its ids until the request's task ends."""
        span = self._telemetry.begin(first(asked.headers, "traceparent"))
        lines.current.set((span.trace_id, span.span_id))
        return span

    def tell(
        self,
        span: Span,
        asked: Arrived,
        chosen: Chosen,
        time_ns: int,
        started: int,
        *,
        status: int = 0,
        error: str = "",
    ) -> int:
        """Reports the outcome of a request begun at `started`; returns its duration in ns."""
        duration_ns = time.monotonic_ns() - started
        decision = chosen.decision
        self._telemetry.answered(
            AnsweredRequest(
                span,
                asked,
                action=chosen.action,
                profile=decision.profile_id,
                rule=decision.rule_id,
                route=decision.route,
                safe_query=decision.profile.safe_query if decision.profile else (),
                time_ns=time_ns,
                duration_ns=duration_ns,
                status=status,
                error=error or (str(status) if status >= 500 else ""),
            )
        )
        return duration_ns

    def view(self, asked: Arrived) -> Seen:
        """The request as rules match it. A direct one counts as one to the profile's own host."""
        rules = self._rules()
        known = any(map(rules.of_host, asked.hosts))
        return Seen(
            method=asked.method,
            host=asked.host if known else direct_host(rules),
            names=asked.hosts if len(asked.hosts) > 1 else (),
            path=asked.path,
            query=asked.query,
            headers=asked.headers,
            json=UNREAD,
        )

    def choose(self, asked: Arrived, seen: Seen, body: Body | None = None) -> Chosen:
        """Chooses the answer: by the rule that the sidecar decided on, else by our own decision."""
        rules = self._rules()
        profile, _, rule = asked.internal.get(HEADER_RULE, "").partition("/")
        known = rules.rule(profile, rule)
        if known is not None:
            return Chosen(known[1].answer, MOCK, Decision(MOCK, *known))
        decision = decide(rules, seen, self._mode)
        if decision.needs_body:
            decoded = read(body, joined(asked.headers, "content-type"))
            seen.json = for_conditions(decoded)
            decision = decide(rules, seen, self._mode)
            # Versions and templates read what is not sure, too, and as the rule says.
            again = decision.rule is not None and decision.rule.decoders
            seen.json = UNREAD if again else decoded.value
        if decision.action == DENIED:
            return Chosen(BLOCKED, DENIED, decision)
        if decision.rule is None:
            return Chosen(NO_RULE, MOCK, decision)
        return Chosen(decision.rule.answer, MOCK, decision)

    async def _render(self, answer: Answer, seen: Seen, count: int) -> Rendered:
        if not answer.template:
            return render(answer, seen.method)
        values = {
            "request": {
                "method": seen.method,
                "host": seen.host,
                "path": seen.path,
                "query": dict(reversed(seen.query)),
                "headers": {n.lower(): v for n, v in reversed(seen.headers)},
                "json": opened_up(seen.json),
            },
            "now": datetime.now(UTC),
            "counter": count,
        }
        html = "html" in first(answer.headers, "content-type")
        try:
            content = await template.rendered(answer.template, values, html=html)
        except template.TemplateFailed as e:
            if not e.again:
                log.error("a template failed: %s", e)
            return render(FAILED, seen.method)
        return render(answer, seen.method, content)

    def record(
        self,
        asked: Arrived,
        seen: Seen,
        chosen: Chosen,
        span: Span,
        time_ns: int,
        body: Body | None = None,
    ) -> CaptureRecord:
        """Starts a direct request's record; it takes a sequence number, so it must be added."""
        decision = chosen.decision
        return CaptureRecord(
            boot=self.writer.boot,
            seq=self.writer.reserve(),
            kind="exchange",
            time_ns=time_ns,
            profile=decision.profile_id,
            rule=decision.rule_id,
            route=decision.route,
            action=chosen.action,
            mode=self._mode or "",
            answered_by="app",
            judged_by=" ".join(decision.by),
            client=asked.client,
            request=request_of(asked, body),
            trace_id=span.trace_id,
            span_id=span.span_id,
            product_version=(
                product_version(decision.profile, seen, decision.rule) if decision.profile else ""
            ),
        )


def direct_host(rules: RuleSet) -> str:
    """The host under which direct requests are matched: the first of the first profile with a rule
    for `/telemetry`. Records keep the client's Host."""
    for profile in rules.profiles:
        paths = (p.value for r in profile.rules for p in r.match.paths)
        names = [h.name for h in profile.hosts if not h.suffix]
        if names and any(p.startswith(DIRECT) for p in paths):
            return names[0]
    return ""


def is_direct(path: str) -> bool:
    """True if a raw path is the mock's on every Host, in any form that a server could read."""
    return any(p == DIRECT or p.startswith(DIRECT + "/") for p in readings(path) or ())


def step(answer: Answer, count: int) -> Answer:
    """The answer to the `count`-th request; a sequence repeats its last one."""
    if not answer.sequence:
        return answer
    return answer.sequence[min(count, len(answer.sequence)) - 1]


def _response(sent: Rendered) -> Response:
    headers, left_out = clip(list(sent.headers), HEADER_CAP)
    return Response(
        status=sent.status,
        reason=sent.reason,
        http_version="HTTP/1.1",
        headers=headers,
        left_out=left_out,
        body=whole(sent.body, first(headers, "content-encoding")) if sent.body else None,
    )
