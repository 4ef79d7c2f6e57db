"""What the sidecar tells real back ends: its spans in Jaeger, its metrics in Prometheus, scraped
and over OTLP. The mock is a stand-in, so that what reaches it can be read."""

import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.contract import rules as r
from app.contract.metrics import METRICS
from tests.backends import Jaeger, Prometheus, Span, jaeger, prometheus
from tests.canary import find_secret
from tests.peers import App, Host
from tests.sidecar import HOST, LINE, Sidecar, authority, bundle_of, rule, sidecar
from tests.waiting import wait_for

SECRET = "Lc9/canary+Zq7=x"
QUERY = "v=4.16.1&lic=Lc9%2Fcanary%2BZq7%3Dx&other=1"
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


def bundle() -> r.Bundle:
    made = bundle_of(
        rule("index", "/telemetry/index.html", answer_at="app"),
        rule("here", "/here"),
        rule("observe", "/observe", "observe"),
        rule("gone", "/gone", "observe", match={"hosts": (r.Host("gone.example"),)}),
        rule("block", "/block", "block"),
        rule("broken", "/broken", answer_at="app", answer=r.Answer(status=503, body=LINE)),
        hosts=(HOST, "gone.example"),
    )
    profile = r.msgspec.structs.replace(made.rules.profiles[0], safe_query=("v",))
    return r.Bundle(r.RuleSet((profile,), etag="test"))


class Lab:
    def __init__(
        self, sidecar: Sidecar, app: App, host: Host, jaeger: Jaeger, prometheus: Prometheus
    ) -> None:
        self.sidecar = sidecar
        self.app = app
        self.host = host
        self.jaeger = jaeger
        self.prometheus = prometheus

    def spans(self, path: str, spans: int) -> list[Span]:
        """Of the last record with this path."""
        return self.jaeger.trace(self.sidecar.record_of(path).trace_id, spans)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("telemetry")
    ca, context = authority(folder)
    with jaeger(folder) as traces:
        app, host = App(bundle()), Host(context)
        (folder / "token").write_text("the-token")
        with (
            sidecar(
                folder / "one",
                bundle(),
                TELEMOCK_APP_URL=f"http://127.0.0.1:{app.port}",
                TELEMOCK_TOKEN_FILE=str(folder / "token"),
                TELEMOCK_UPSTREAM_CA=str(ca),
                TELEMOCK_RESOLVE=f"{HOST}:443=127.0.0.1:{host.port},gone.example:443=127.0.0.1:1,"
                f"other.example:443=127.0.0.1:{host.port}",
                POD_NAMESPACE="shop",
                POD_NAME="cribl-0",
                POD_UID="0f0e",
                NODE_NAME="node-1",
                OTEL_EXPORTER_OTLP_ENDPOINT=traces.otlp,
                OTEL_BSP_SCHEDULE_DELAY="100",
                OTEL_METRIC_EXPORT_INTERVAL="500",
                OTEL_RESOURCE_ATTRIBUTES="deployment.environment=test",
            ) as running,
            prometheus(
                folder, {"sidecar": [f"127.0.0.1:{running.health_port}"]}, traces
            ) as metrics,
        ):
            yield Lab(running, app, host, traces, metrics)
        app.close()
        host.close()


def test_one_answer_of_the_app_is_a_server_and_a_client_span_in_the_clients_trace(
    lab: Lab,
) -> None:
    sent = {
        "traceparent": f"00-{TRACE}-{PARENT}-01",
        "tracestate": "vendor=1",
        "user-agent": f"cribl lic={SECRET}",
        "cookie": "a-cookie-of-ours",
    }
    lab.sidecar.ask(f"/telemetry/index.html?{QUERY}", headers=sent)
    record = lab.sidecar.record_of("/telemetry/index.html")
    server, client = lab.jaeger.trace(TRACE, 2)
    assert (server.name, client.name) == ("GET /telemetry/index.html",) * 2
    assert (server.kind, client.kind) == ("server", "client")
    assert (record.trace_id, record.span_id) == (TRACE, server.span_id)
    assert (server.parent_id, client.parent_id) == (PARENT, server.span_id)
    assert server.start_us <= client.start_us
    assert client.start_us + client.duration_us <= server.start_us + server.duration_us + 1

    head = lab.app.asked[-1][0].decode().lower()
    assert f"traceparent: 00-{TRACE}-{client.span_id}-01\r\n" in head
    assert "tracestate: vendor=1\r\n" in head

    assert (
        server.attributes.items()
        >= {
            "http.request.method": "GET",
            "url.scheme": "https",
            "url.path": "/telemetry/index.html",
            "url.query": "v=4.16.1&lic=***&other=***",
            "server.address": HOST,
            "server.port": 443,
            "http.response.status_code": 200,
            "http.route": "/telemetry/index.html",
            "network.protocol.version": "1.1",
            "network.local.address": HOST,
            "network.local.port": 443,
            "client.address": "127.0.0.1",
            "user_agent.original": "cribl lic=***",
            "telemock.action": "mock",
            "telemock.profile": "cribl",
            "telemock.rule": "index",
            "telemock.product.version": "4.16.1",
            "telemock.record": record.id,
        }.items()
    )
    assert (
        client.attributes.items()
        >= {
            "url.full": f"http://127.0.0.1:{lab.app.port}/telemetry/index.html"
            "?v=4.16.1&lic=***&other=***",
            "server.address": "127.0.0.1",
            "server.port": lab.app.port,
            "http.response.status_code": 200,
            "telemock.record": record.id,
        }.items()
    )
    assert not server.error and not client.error
    everything = lab.jaeger.everything().encode()
    assert not find_secret(everything, SECRET) and b"a-cookie" not in everything


def test_the_resource_names_the_pod_and_this_release(lab: Lab) -> None:
    lab.sidecar.ask("/here")
    (span,) = lab.spans("/here", 1)
    assert (
        span.resource.items()
        >= {
            "service.name": "telemock-sidecar",
            "k8s.namespace.name": "shop",
            "k8s.pod.name": "cribl-0",
            "k8s.pod.uid": "0f0e",
            "k8s.node.name": "node-1",
            "k8s.container.name": "telemock",
            "service.instance.id": "shop.cribl-0.telemock",
            "deployment.environment": "test",
        }.items()
    )
    assert span.resource["service.version"]


def test_what_is_observed_is_a_client_span_to_the_real_host_which_is_not_told(lab: Lab) -> None:
    answer, body = lab.sidecar.ask("/observe?v=2&lic=x", headers={"X-Own": "1"})
    assert answer.status == 200 and b"traceparent" not in body.lower()
    server, client = lab.spans("/observe", 2)
    assert (server.name, server.kind, client.kind) == ("GET /observe", "server", "client")
    assert client.parent_id == server.span_id and server.parent_id == ""
    assert (
        client.attributes.items()
        >= {
            "url.full": f"https://{HOST}/observe?v=2&lic=***",
            "server.address": HOST,
            "server.port": 443,
            "telemock.action": "observe",
        }.items()
    )


@pytest.mark.parametrize(("path", "status"), [("/here", 200), ("/block", 403)])
def test_what_the_sidecar_answers_is_one_span(lab: Lab, path: str, status: int) -> None:
    lab.sidecar.ask(path)
    lab.sidecar.ask("/observe")  # exported later
    lab.spans("/observe", 2)
    (span,) = lab.spans(path, 1)
    assert (span.kind, span.error) == ("server", False)
    assert span.attributes["http.response.status_code"] == status


def test_what_passes_has_spans_without_its_path(lab: Lab) -> None:
    lab.sidecar.ask("/dl/4.16/secret-name?lic=x", "PUT", b"hello")
    server, client = lab.spans("/dl/*", 2)
    assert (server.name, client.name) == ("PUT", "PUT")
    assert server.attributes["url.path"] == "/dl/*" and "http.route" not in server.attributes
    assert "url.query" not in server.attributes
    assert client.attributes["url.full"] == f"https://{HOST}/dl/*"


def test_a_client_that_does_not_sample_is_followed(lab: Lab) -> None:
    trace = "1" * 32
    sent = {"traceparent": f"00-{trace}-{PARENT}-00"}
    lab.sidecar.ask("/telemetry/index.html", headers=sent)
    assert b"-00\r\n" in re.findall(rb"traceparent: .*\r\n", lab.app.asked[-1][0])[0]
    lab.sidecar.ask("/observe")
    lab.spans("/observe", 2)  # exported later
    assert lab.jaeger.trace(trace, 0) == []


def test_a_real_host_that_is_away_is_an_error_of_both_spans(lab: Lab) -> None:
    answer, _ = lab.sidecar.ask("/gone", host="gone.example")
    assert answer.status == 502
    server, client = lab.spans("/gone", 2)
    for span in (server, client):
        assert span.error and span.attributes["error.type"] == "upstream_unreachable"
        assert span.error_text == "the real host could not be reached"
    (event,) = client.events
    assert event["event"] == "exception" and event["exception.type"] == "upstream_unreachable"
    assert "Connect call failed" in event["exception.message"]
    shown = lab.sidecar.get("/metrics")[1].decode()
    assert shown.count('error_type="upstream_unreachable"') > 2


def test_an_answer_that_is_an_error_is_one(lab: Lab) -> None:
    lab.app.mock = lambda c, head, body: c.sendall(
        b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"
    )
    lab.sidecar.ask("/broken")
    lab.app.mock = lab.app.answer
    server, client = lab.spans("/broken", 2)
    for span in (server, client):
        assert span.error and span.attributes["error.type"] == "503"
        assert span.error_text == "answered 503"


def test_an_app_that_fails_is_an_error_of_the_client_span_only(lab: Lab) -> None:
    lab.app.mock = lambda c, head, body: c.sendall(b"nonsense\r\n\r\n")
    assert lab.sidecar.ask("/telemetry/index.html?failing")[1] == LINE
    lab.app.mock = lab.app.answer
    record = lab.sidecar.record(lambda x: x.reason == "app_error")
    server, client = lab.jaeger.trace(record.trace_id, 2)
    assert not server.error and server.attributes["telemock.reason"] == "app_error"
    assert client.error and client.attributes["error.type"] == "app_error"
    assert "http.response.status_code" not in client.attributes


def test_a_client_that_refuses_the_certificate_is_a_span(lab: Lab) -> None:
    with pytest.raises(ssl.SSLError):
        ssl.create_default_context().wrap_socket(
            lab.sidecar.connect(tls=False), server_hostname=HOST
        )
    record = lab.sidecar.record(lambda x: x.kind == "tls_rejected")
    (span,) = lab.jaeger.trace(record.trace_id)
    assert (span.name, span.span_id) == ("tls handshake", record.span_id)
    assert span.error and span.attributes["error.type"] == "client_refused_certificate"
    assert span.attributes["server.address"] == HOST
    assert span.events[0]["exception.type"] == "client_refused_certificate"


def test_what_is_relayed_unread_is_no_span(lab: Lab) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(
        lab.sidecar.connect("other.example", tls=False), server_hostname="other.example"
    ) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: other.example\r\n\r\n")
        assert connection.recv(4) == b"HTTP"
    record = lab.sidecar.record(lambda x: x.kind == "spliced" and x.host == "other.example")
    assert record.trace_id == ""
    lab.sidecar.ask("/here")
    lab.spans("/here", 1)
    assert "other.example" not in lab.jaeger.everything()


def test_every_instrument_arrives_scraped_and_over_otlp(lab: Lab) -> None:
    lab.sidecar.ask("/observe")
    wait_for(lambda: lab.app.records)
    for job in ("sidecar", "otlp"):
        for row in METRICS:
            if "sidecar" not in row.of or ".redirect." in row.name:
                continue
            name = row.prometheus + {"counter": "_total", "histogram": "_count"}.get(row.kind, "")
            source = 'job="sidecar"' if job == "sidecar" else 'job=~".*telemock-sidecar"'
            if row.name in _ONLY_ON_TROUBLE:
                continue
            lab.prometheus.series(f"{name}{{{source}}}")
    names = lab.prometheus.metric_names()
    assert not [n for n in names if n.startswith("telemock_redirect")]  # nothing is redirected


# Shown from the first time on: their labels are of what happened.
_ONLY_ON_TROUBLE = ("telemock.output.dropped",)


def test_durations_carry_the_trace_they_are_of(lab: Lab) -> None:
    lab.sidecar.ask("/here")
    trace_id = lab.sidecar.record_of("/here").trace_id
    found: list[dict[str, Any]] = []

    def seen() -> bool:
        found[:] = lab.prometheus.exemplars("http_server_request_duration_seconds_bucket")
        return any(e["labels"].get("trace_id") == trace_id for e in found)

    wait_for(seen, 20)


def test_health_says_where_it_goes_and_what_was_lost(lab: Lab) -> None:
    said = lab.sidecar.health()["otel"]
    assert said["traces"]["endpoint"] == f"{lab.jaeger.otlp}/v1/traces"
    assert said["metrics"]["endpoint"] == f"{lab.jaeger.otlp}/v1/metrics"
    assert said["dropped"] == 0
    assert loaded_sdk(lab.sidecar)


def test_without_an_endpoint_nothing_is_exported(tmp_path: Path) -> None:
    with sidecar(tmp_path, bundle()) as running:
        running.ask("/here")
        assert running.health()["otel"] == {"dropped": 0}
        assert not loaded_sdk(running)


def loaded_sdk(sidecar: Sidecar) -> bool:
    """Whether the encoder of OpenTelemetry's SDK is there, which is most of its memory."""
    return "google/_upb" in Path(f"/proc/{sidecar.process.pid}/maps").read_text()


def test_what_waits_is_exported_at_the_end(lab: Lab, tmp_path: Path) -> None:
    with sidecar(
        tmp_path,
        bundle(),
        OTEL_EXPORTER_OTLP_ENDPOINT=lab.jaeger.otlp,
        OTEL_BSP_SCHEDULE_DELAY="60000",
        OTEL_SERVICE_NAME="ending",
    ) as running:
        running.ask("/here")
        trace_id = running.record_of("/here").trace_id
        assert running.stop() == 0
    (span,) = lab.jaeger.trace(trace_id)
    assert span.resource["service.name"] == "ending"
    assert re.fullmatch("[0-9a-f]{32}", span.resource["service.instance.id"])
