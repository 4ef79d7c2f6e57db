"""addon/measure.py: the instruments' labels and values for records of every kind."""

from typing import Any

import pytest

from addon.exchange import Traced
from addon.measure import LOSSES, Measure, asked_of, method_of, server_error
from app.contract.record import REASONS, CaptureRecord, Request, Response, Tls
from app.contract.rules import Host, Profile, RuleSet
from app.otel.metrics import Metrics

RULES = RuleSet((Profile("acme", "Acme", (Host("t.example"), Host("w.example", suffix=True)), ()),))


class Case:
    def __init__(self) -> None:
        self.metrics = Metrics("sidecar")
        self.measure = Measure(self.metrics, lambda: RULES)

    def samples(self, start: str) -> dict[tuple[str, ...], float]:
        """Label values in the order of their names -> value."""
        return {
            tuple(v for _, v in sorted(s.labels.items())): s.value
            for family in self.metrics.registry.collect()
            for s in family.samples
            if s.name == start
        }


@pytest.fixture
def case() -> Case:
    return Case()


def record(**fields: Any) -> CaptureRecord:
    given: dict[str, Any] = {
        "kind": "exchange", "action": "mock", "profile": "acme", "rule": "one", "time_ns": 1,
        "duration_ns": 20_000_000, "request": Request(method="GET", host="t.example"),
        "response": Response(status=200), "answered_by": "sidecar",
    }  # fmt: skip
    return CaptureRecord(boot="ab" * 16, seq=1, **(given | fields))


def test_an_answer_counts_with_its_duration(case: Case) -> None:
    case.measure.record(record(answered_by="app", answer_ns=10_000_000), None)
    assert case.samples("telemock_captures_total") == {
        ("mock", "exchange", "acme", "one", "2xx"): 1
    }
    assert case.samples("http_server_request_duration_seconds_sum") == {
        ("", "GET", "200", "mock", "https"): 0.02
    }
    assert case.samples("http_client_request_duration_seconds_sum") == {
        ("", "GET", "200", "t.example", "mock"): 0.01
    }


@pytest.mark.parametrize(
    ("fields", "server", "status", "client"),
    [
        ({}, "", "", ""),
        ({"answered_by": "app"}, "", "200", ""),
        ({"answered_by": "upstream", "response": Response(status=404)}, "", "404", "404"),
        ({"answered_by": "app", "response": Response(status=503)}, "503", "503", "503"),
        ({"reason": "app_unreachable"}, "", "", "app_unreachable"),
        ({"kind": "failed", "reason": "upstream_failed", "answered_by": "upstream"},
         "upstream_failed", "200", "upstream_failed"),
        ({"kind": "failed", "reason": "client_gone", "response": None}, "client_gone", "", ""),
        ({"kind": "refused", "reason": "loop", "response": None}, "loop", "", "loop"),
        ({"kind": "refused", "reason": "blocked", "response": Response(status=403)}, "", "", ""),
    ],
)  # fmt: skip
def test_whose_error_it_is(fields: dict[str, Any], server: str, status: str, client: str) -> None:
    assert server_error(record(**fields)) == server
    assert asked_of(record(**fields)) == (status, client)


def test_a_fall_back_and_what_passes_are_counted(case: Case) -> None:
    case.measure.record(record(reason="circuit_open"), None)
    case.measure.record(record(action="pass", rule=""), None)
    case.measure.record(record(action="pass", profile="", rule=""), None)
    assert case.samples("telemock_fallback_answers_total") == {("circuit_open",): 1}
    assert case.samples("telemock_passed_total") == {("acme",): 1}


def test_a_refused_certificate_is_counted_under_the_profiles_host(case: Case) -> None:
    for host in ("t.example", "a.w.example", "b.w.example"):
        case.measure.record(
            record(kind="tls_rejected", request=None, response=None, tls=Tls(sni=host)), None
        )
    assert case.samples("telemock_tls_client_rejected_total") == {
        ("t.example",): 1, ("*.w.example",): 2
    }  # fmt: skip
    assert case.samples("http_server_request_duration_seconds_count") == {}


def test_what_alerts_look_at_begins_at_zero(case: Case) -> None:
    case.measure.begin()
    assert case.samples("telemock_capture_dropped_total") == {(x,): 0 for x in LOSSES}
    assert set(LOSSES) <= set(REASONS)
    assert case.samples("telemock_tls_client_rejected_total") == {
        ("t.example",): 0, ("*.w.example",): 0
    }  # fmt: skip


def test_a_sampled_exchange_is_an_exemplar_of_its_durations(case: Case) -> None:
    made = record(answered_by="app", answer_ns=1, trace_id="a" * 32, span_id="b" * 16)
    case.measure.record(made, Traced(client_span="c" * 16, asked_ns=1))
    found = {
        family.name: s.exemplar.labels
        for family in case.metrics.registry.collect()
        for s in family.samples
        if s.exemplar
    }
    assert found == {
        "http_server_request_duration_seconds": {"trace_id": "a" * 32, "span_id": "b" * 16},
        "http_client_request_duration_seconds": {"trace_id": "a" * 32, "span_id": "c" * 16},
    }


def test_a_made_up_method_is_one_of_the_others() -> None:
    assert [method_of(m) for m in ("GET", "get", "BREW")] == ["GET", "_OTHER", "_OTHER"]


def test_a_host_that_answers_with_every_status_is_bounded(case: Case) -> None:
    for status in range(100, 1000):
        case.measure.record(
            record(response=Response(status=status), answered_by="upstream", answer_ns=1), None
        )
    assert len(case.samples("http_client_request_duration_seconds_count")) <= 501
