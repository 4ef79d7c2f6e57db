"""Updates the sidecar's metrics from its records.

Called by `addon.record.ship` for every record, off the event loop, before masking. Labels are ids
of profiles and rules, hosts as the profiles write them, and words from fixed lists.
"""

from collections.abc import Callable
from typing import NamedTuple

from addon.bounds import BOUNDS, REASON
from addon.exchange.exchange import Traced
from app.contract.account import LOST
from app.contract.actions import ANSWERED, OUTLINED
from app.contract.decoding.bounds import BOUNDS as DECODING
from app.contract.decoding.bounds import taken
from app.contract.masking import bounds as masking
from app.contract.record import CaptureRecord
from app.contract.rules import RuleSet
from app.contract.semconv import method_of, scheme_of
from app.otel.metrics import Metrics

# The reasons for which a record may be lost, of app.contract.record.REASONS.
LOSSES = (*LOST, "killed")

FELL_BACK = frozenset(("app_unreachable", "app_error", "circuit_open", REASON["answer"]))
_ASKED_IN_VAIN = frozenset(
    (
        "app_unreachable",
        "app_error",
        REASON["answer"],
        "upstream_unreachable",
        "upstream_failed",
        "loop",
    )
)


class Measure:
    """`rules` is called for every record, as they may change."""

    def __init__(self, metrics: Metrics, rules: Callable[[], RuleSet]) -> None:
        self._metrics = metrics
        self._rules = rules

    def begin(self) -> None:
        """Sets the counters of alerts and dashboards to 0: without it the first event would be no
        increase. Called again after every change of the rules."""
        for reason in LOSSES:
            self._metrics.add("telemock.capture.dropped", (reason,), 0)
        for reason in FELL_BACK:
            self._metrics.add("telemock.fallback.answers", (reason,), 0)
        for bound in BOUNDS:
            self._metrics.add("telemock.bounds.exceeded", (bound.id,), 0)
        masking.begin(lambda metric, label: self._metrics.add(metric, (label,), 0))
        for decoding_bound in DECODING:
            self._metrics.add("telemock.decoding.bounded", (decoding_bound,), 0)
        for stream in ("stdout", "stderr"):
            self._metrics.add("telemock.output.dropped", (stream,), 0)
        for profile in self._rules().profiles:
            self._metrics.add("telemock.passed", (profile.id,), 0)
            for host in profile.hosts:
                name = f"*.{host.name}" if host.suffix else host.name
                for metric in ("telemock.tls.client_rejected", "telemock.unjudged"):
                    self._metrics.add(metric, (name,), 0)

    def record(self, record: CaptureRecord, traced: Traced | None) -> None:
        add = self._metrics.add
        status = record.response.status if record.response else 0
        of_class = f"{status // 100}xx" if status else ""
        add("telemock.captures",
            (record.kind, record.action, record.profile, record.rule, of_class))  # fmt: skip
        for decoding_bound, times in taken().items():
            add("telemock.decoding.bounded", (decoding_bound,), times)
        if record.kind == "tls_rejected":
            add("telemock.tls.client_rejected", (self._host(record.host),))
        if record.reason == REASON["answer"]:
            add("telemock.bounds.exceeded", ("answer",))
        if record.reason == "unjudged":
            add("telemock.unjudged", (self._host(record.host),))
        if record.request is None:
            return
        self._durations(record, traced)
        if record.action in OUTLINED and record.profile:
            add("telemock.passed", (record.profile,))
        if record.action in ANSWERED and record.reason in FELL_BACK:
            add("telemock.fallback.answers", (record.reason,))

    def _durations(self, record: CaptureRecord, traced: Traced | None) -> None:
        request, response = record.request, record.response
        if request is None:
            return
        method = method_of(request.method)
        status = str(response.status) if response else ""
        self._metrics.observe(
            "http.server.request.duration",
            (method, scheme_of(request.scheme), status, server_error(record), record.action),
            record.duration_ns / 1e9,
            exemplar=traced and {"trace_id": record.trace_id, "span_id": record.span_id},
        )
        if record.answer_ns:
            asked = asked_of(record)
            self._metrics.observe(
                "http.client.request.duration",
                (method, self._host(request.host), asked.status, asked.error, record.action),
                record.answer_ns / 1e9,
                exemplar=traced and {"trace_id": record.trace_id, "span_id": traced.client_span},
            )

    def _host(self, host: str) -> str:
        """The host as the profile writes it: clients could invent any number below `*.name`."""
        for profile in self._rules().of_host(host):
            for named in profile.hosts:
                if named.matches(host):
                    return f"*.{named.name}" if named.suffix else named.name
        return "other"


class Asked(NamedTuple):
    """The outcome of a request to the mock or the real host."""

    status: str  # "" if there was no answer
    error: str  # for `error.type`, "" for none


def asked_of(record: CaptureRecord) -> Asked:
    answered = record.answered_by in ("app", "upstream")
    status = record.response.status if record.response and answered else 0
    if record.reason in _ASKED_IN_VAIN:
        error = record.reason
    else:
        error = str(status) if status >= 400 else ""
    return Asked(str(status) if status else "", error)


def server_error(record: CaptureRecord) -> str:
    """`error.type` of the answer that the client got; "" unless this side failed."""
    if record.kind in ("failed", "tls_rejected") or record.reason == "loop":
        return record.reason
    status = record.response.status if record.response else 0
    return str(status) if status >= 500 else ""
