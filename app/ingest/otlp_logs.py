"""Converts stored records to OTLP log records, for users of Loki, Elastic and the like.

Called by `app.ingest.writer` after the commit, only if OTEL_LOGS_EXPORTER=otlp. The body is the
record's JSON, masked as stored; the fields that such systems index are also attributes.
"""

import msgspec

from app.contract.record import CaptureRecord
from app.otel.items import LogData
from app.store import Incoming

EVENT = "telemock.capture"

_WARNED = frozenset({"refused", "failed", "tls_rejected"})
_LEVELS = {"WARNING": "WARN", "ERROR": "ERROR", "CRITICAL": "ERROR"}


class _Ids(msgspec.Struct):
    """Ids that a narrowed record lacks."""

    trace_id: str = ""
    span_id: str = ""


_ids = msgspec.json.Decoder(_Ids).decode


def log_record(incoming: Incoming) -> LogData:
    record, line = incoming.record, incoming.line
    ids = _ids(line)
    return LogData(
        time_ns=record.time_ns,
        severity=_severity(record),
        body=line.decode("utf-8", "backslashreplace"),
        attributes=_attributes(record),
        trace_id=ids.trace_id,
        span_id=ids.span_id,
        event_name=EVENT,
    )


def _severity(record: CaptureRecord) -> str:
    if record.log:
        return _LEVELS.get(record.log.level, "INFO")
    return "WARN" if record.kind in _WARNED else "INFO"


def _attributes(record: CaptureRecord) -> dict[str, str | int]:
    request, workload = record.request, record.workload
    found: dict[str, str | int] = {
        "telemock.record": record.id,
        "telemock.kind": record.kind,
        "telemock.action": record.action,
        "telemock.profile": record.profile,
        "telemock.rule": record.rule,
        "telemock.reason": record.reason,
        "telemock.product.version": record.product_version,
        "telemock.workload.namespace": workload.namespace,
        "telemock.workload.pod": workload.pod,
        "server.address": record.host,
        "http.request.method": request.method if request else "",
        "http.route": record.route,
        "http.response.status_code": record.response.status if record.response else 0,
    }
    return {key: value for key, value in found.items() if value}
