import json

import pytest

from app.ingest.otlp_logs import log_record
from tests.lines import forms_of
from tests.records import decoded, exchange, incoming, log

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_a_capture_is_its_json_with_what_is_searched_for_beside_it() -> None:
    (sent,) = incoming(exchange(7, trace_id=TRACE, span_id=SPAN))
    made = log_record(sent)
    assert json.loads(made.body) == json.loads(sent.line)
    assert (made.trace_id, made.span_id) == (TRACE, SPAN)
    assert (made.event_name, made.severity) == ("telemock.capture", "INFO")
    assert made.time_ns == sent.record.time_ns
    assert made.attributes == {
        "telemock.record": sent.record.id,
        "telemock.kind": "exchange",
        "telemock.action": "mock",
        "telemock.profile": "cribl",
        "telemock.rule": "telemetry",
        "telemock.product.version": "4.16.1-20904e45",
        "telemock.workload.namespace": "logs",
        "telemock.workload.pod": "leader-0",
        "server.address": "cdn.cribl.io",
        "http.request.method": "GET",
        "http.route": "/telemetry/index.html",
        "http.response.status_code": 200,
    }


def test_a_capture_that_was_read_by_its_form_lacks_nothing() -> None:
    (sent,) = forms_of(1, 1)
    whole = log_record(decoded(sent.line))
    assert log_record(sent) == whole
    assert whole.trace_id and whole.span_id


@pytest.mark.parametrize("kind", ["refused", "failed", "tls_rejected"])
def test_what_went_wrong_warns(kind: str) -> None:
    (sent,) = incoming(exchange(1, kind=kind))
    assert log_record(sent).severity == "WARN"


def test_a_sidecars_line_keeps_its_level() -> None:
    (sent,) = incoming(log(1, "something"))
    assert log_record(sent).severity == "WARN"
    assert log_record(sent).attributes["telemock.kind"] == "log"
