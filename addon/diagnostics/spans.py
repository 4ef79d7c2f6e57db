"""Makes OpenTelemetry spans of masked records.

Called by `addon.record.ship` off the event loop, for the records that the sampler chose: a SERVER
span towards the client, and a CLIENT span if the mock or the real host was asked. Names are HTTP's
stable semantic conventions. Of headers only the user agent is shown, of bodies nothing.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any
from urllib.parse import quote_plus, urlsplit

from addon.diagnostics.metrics import FELL_BACK, asked_of, server_error
from addon.exchange.exchange import Traced
from app.contract.masking.fields import MASK
from app.contract.masking.masker import Masker
from app.contract.record import REASONS, CaptureRecord, first, origin
from app.contract.semconv import method_of, span_name
from app.otel.export import Exporter
from app.otel.items import SpanData

ATTRIBUTE_CAP = 1024  # characters of one value
PARAMETERS = 100  # of a query that are shown

Attributes = dict[str, Any]


class Spans:
    """`masker` is called for every record, for its list of safe query parameters."""

    def __init__(self, exporter: Exporter, masker: Callable[[], Masker], app_url: str) -> None:
        self._export = exporter.span
        self._masker = masker
        self._app_url = app_url
        parts = urlsplit(app_url)
        self._app = (parts.hostname or "", parts.port or 80)

    def record(self, record: CaptureRecord, traced: Traced) -> None:
        ours = _own(record)
        if record.kind == "tls_rejected":
            self._export(_handshake(record, ours))
            return
        target = self._target(record)
        state = first(record.request.headers, "tracestate") if record.request else ""
        error = server_error(record)
        # An exception is an event of one span only: the one in which it happened.
        failed_there = asked_of(record).error if traced.client_span else ""
        self._export(
            SpanData(
                name=_name(record),
                kind="server",
                trace_id=record.trace_id,
                span_id=record.span_id,
                parent_id=traced.parent_id,
                start_ns=record.time_ns,
                end_ns=record.time_ns + record.duration_ns,
                attributes=_server(record, target, error) | ours,
                error=_said(error),
                events=_exception(record) if error == record.reason != failed_there else (),
                trace_state=state,
            )
        )
        if traced.client_span:
            self._export(self._client(record, traced, target, state))

    def _client(self, record: CaptureRecord, traced: Traced, target: str, state: str) -> SpanData:
        asked = asked_of(record)
        start = record.time_ns + traced.asked_ns
        end = start + record.answer_ns if record.answer_ns else record.time_ns + record.duration_ns
        request = record.request
        attributes: Attributes = {
            "http.response.status_code": int(asked.status or 0),
            "error.type": asked.error,
        }
        if request is not None:
            host, port = request.host, request.port
            base = origin(request.scheme, host, port)
            if record.answered_by == "app" or record.reason in FELL_BACK:
                (host, port), base = self._app, self._app_url
            attributes |= {
                "http.request.method": method_of(request.method),
                "server.address": host,
                "server.port": port,
                "url.full": (base + target)[:ATTRIBUTE_CAP],
            }
        return SpanData(
            name=_name(record),
            kind="client",
            trace_id=record.trace_id,
            span_id=traced.client_span,
            parent_id=record.span_id,
            start_ns=start,
            end_ns=max(start, end),
            attributes=_given(attributes) | _own(record),
            error=_said(asked.error),
            events=_exception(record) if asked.error == record.reason != "" else (),
            trace_state=state,
        )

    def _target(self, record: CaptureRecord) -> str:
        """Path and query, with the values of safe parameters only."""
        request = record.request
        if request is None:
            return ""
        masker = self._masker()
        safe = masker.safe(record.profile)
        query = "&".join(
            f"{_quoted(name[:ATTRIBUTE_CAP])}={masker.line(_quoted(value[:ATTRIBUTE_CAP]))}"
            if name.lower() in safe
            else _hidden(name[:ATTRIBUTE_CAP])
            for name, value in request.query[:PARAMETERS]
        )
        return masker.url(record.profile, request.path) + ("?" + query if query else "")


_PLAIN = re.compile(r"[A-Za-z0-9_.-]*")


@lru_cache(maxsize=256)  # a client sends the same names again and again
def _hidden(name: str) -> str:
    return f"{_quoted(name)}={MASK}"


def _quoted(text: str) -> str:
    # Most are plain: this check costs half as much as quoting.
    return text if _PLAIN.fullmatch(text) else quote_plus(text)


def _handshake(record: CaptureRecord, ours: Attributes) -> SpanData:
    tls, end = record.tls, record.time_ns + record.duration_ns
    attributes = _ends(record) | {
        "server.address": record.host,
        "tls.protocol.version": tls.version if tls else "",
        "error.type": record.reason,
    }
    return SpanData(
        name="tls handshake",
        kind="server",
        trace_id=record.trace_id,
        span_id=record.span_id,
        parent_id="",
        start_ns=record.time_ns,
        end_ns=end,
        attributes=_given(attributes) | ours,
        error=_said(record.reason),
        events=_exception(record),
    )


def _server(record: CaptureRecord, target: str, error: str) -> Attributes:
    request, response = record.request, record.response
    attributes = _ends(record) | {
        "http.response.status_code": response.status if response else 0,
        "http.route": _route(record),
        "error.type": error,
    }
    if request is not None:
        path, _, query = target.partition("?")
        attributes |= {
            "http.request.method": method_of(request.method),
            "url.scheme": request.scheme,
            "url.path": path[:ATTRIBUTE_CAP],
            "url.query": query[:ATTRIBUTE_CAP],
            "server.address": request.host,
            "server.port": request.port,
            "network.protocol.version": request.http_version.removeprefix("HTTP/").removesuffix(
                ".0"
            ),
            "user_agent.original": first(request.headers, "user-agent")[:ATTRIBUTE_CAP],
        }
    return _given(attributes)


def _ends(record: CaptureRecord) -> Attributes:
    """The two ends of the client's connection, as the kernel names them."""
    attributes: Attributes = {}
    if record.client is not None:
        attributes |= {"client.address": record.client.address, "client.port": record.client.port}
    if record.destination is not None:
        attributes |= {
            "network.local.address": record.destination.address,
            "network.local.port": record.destination.port,
        }
    return attributes


def _own(record: CaptureRecord) -> Attributes:
    return _given(
        {
            "telemock.record": record.id,
            "telemock.action": record.action,
            "telemock.profile": record.profile,
            "telemock.rule": record.rule,
            "telemock.reason": record.reason,
            "telemock.product.version": record.product_version,
        }
    )


def _given(attributes: Attributes) -> Attributes:
    return {name: value for name, value in attributes.items() if value}


def _name(record: CaptureRecord) -> str:
    return span_name(record.request.method if record.request else "", _route(record))


def _route(record: CaptureRecord) -> str:
    """Empty without a rule: then the record's route is a part of the path."""
    return record.route if record.rule else ""


def _said(error: str) -> str:
    """The status message: a reason's sentence, or `answered 503`."""
    return REASONS.get(error) or (f"answered {error}" if error else "")


def _exception(record: CaptureRecord) -> tuple[tuple[str, int, Attributes], ...]:
    said = record.detail or REASONS.get(record.reason, "")
    attributes = {"exception.type": record.reason, "exception.message": said[:ATTRIBUTE_CAP]}
    return (("exception", record.time_ns + record.duration_ns, _given(attributes)),)
