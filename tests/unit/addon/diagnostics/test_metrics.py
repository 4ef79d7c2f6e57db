"""addon/diagnostics/metrics.py: the instruments' labels and values for records of every kind."""

import random
from typing import Any

import pytest
from mitmproxy import flow as flows
from mitmproxy.test import taddons, tutils

from addon import options
from addon.app_client.client import AppApi
from addon.app_client.profiles import Profiles
from addon.diagnostics.metrics import LOSSES, Measure, asked_of, method_of, server_error
from addon.exchange.exchange import Traced
from addon.wiring import Wiring
from app.contract import rules as r
from app.contract.record import REASONS, CaptureRecord, Request, Response, Tls
from app.contract.rules import Host, Profile, RuleSet
from app.otel.metrics import Metrics
from tests.sidecar import HOST
from tests.unit.addon.test_connections import Kept
from tests.unit.addon.test_sidecar import RULES as SOME
from tests.unit.addon.test_sidecar import flow_of

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


class Measured(Kept):
    """A sink that measures as the shipper does, and keeps nothing."""

    def __init__(self, measure: Measure) -> None:
        super().__init__()
        self.measure = measure

    def submit(
        self, record: CaptureRecord, traced: Traced | None = None, query: int | None = None
    ) -> None:
        self.measure.record(record, traced)


async def test_ten_thousand_random_requests_make_few_series() -> None:
    """Paths, queries, hosts, methods and statuses as clients and hosts may make them up."""
    chance = random.Random(5)

    def word() -> str:
        return f"{chance.getrandbits(64):x}"

    rules = r.msgspec.structs.replace(
        SOME.rules.profiles[0], hosts=(r.Host(HOST), r.Host("wild.example", suffix=True))
    )
    profiles = Profiles(AppApi("http://127.0.0.1:9", str), r.Bundle(r.RuleSet((rules,))))
    metrics = Metrics("sidecar")
    sink = Measured(Measure(metrics, lambda: profiles.rules))
    with taddons.context():
        chosen = options.load({"TELEMOCK_APP_URL": "http://127.0.0.1:9"})
        sidecar = Wiring(chosen, profiles, sink, metrics).sidecar
        for _ in range(10_000):
            path = chance.choice(["/telemetry/index.html", "/observe", "/block", f"/{word()}/x"])
            flow = flow_of(f"{path}?{word()}={word()}")
            flow.request.method = chance.choice(["GET", word()])
            flow.request.headers["host"] = chance.choice(
                [HOST, f"{word()}.wild.example", f"{word()}.example"]
            )
            await sidecar.requestheaders(flow)
            await sidecar.request(flow)
            if flow.response is None:
                flow.response = tutils.tresp(status_code=chance.choice([200, 302, 404, 503]))
            sidecar.responseheaders(flow)
            if chance.random() < 0.1:
                flow.error = flows.Error("reset")
                sidecar.error(flow)
            else:
                sidecar.response(flow)
    assert sink.given == 10_000 and sidecar.exchanges.in_flight == 0
    counts = {f.name: len(f.samples) for f in metrics.registry.collect()}
    assert counts["telemock_captures"] < 60
    # 17 samples for each set of labels.
    assert counts["http_server_request_duration_seconds"] <= 17 * 50
    # By host: ours, *.wild.example and other, which is what Host says on the way to one of ours.
    assert counts["http_client_request_duration_seconds"] <= 17 * 120
    assert sum(counts.values()) < 2_500
