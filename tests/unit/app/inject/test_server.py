import base64
import contextlib
import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from cryptography import x509

from app.cluster import certificates, kube, pki
from app.cluster.kube import MERGE_PATCH, KubeApi
from app.contract.metrics import METRICS
from app.contract.signing import Pair, now
from app.inject.process_settings import load
from app.inject.server import Injector
from app.inject.webhook import BODY_CAP
from tests.cluster import cluster, namespace, needs_cluster
from tests.collector import collector
from tests.serving import on_thread
from tests.unit.app.cluster.test_certificates import shown
from tests.unit.app.cluster.test_kube import api_server, kubeconfig
from tests.unit.app.cluster.test_pki import DAY
from tests.unit.app.inject.test_webhook import pod, review
from tests.waiting import wait_for
from tests.webhooks import Load, endpoint, eventually_injected, of, release, secret


class Served:
    def __init__(self, injector: Injector, port: int) -> None:
        self.injector = injector
        self.port = port
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.client = httpx.Client(
            base_url=f"https://127.0.0.1:{port}", verify=context, trust_env=False, timeout=20
        )

    def get(self, path: str) -> httpx.Response:
        return self.client.get(path)

    def shown(self) -> bytes:
        """DER of the certificate."""
        return shown(("127.0.0.1", self.port))


@contextmanager
def serving(api: KubeApi, name: str = "telemock", ns: str = "ns", **more: str) -> Iterator[Served]:
    environ = {
        "TELEMOCK_SIDECAR_IMAGE": "telemock-sidecar:1",
        "TELEMOCK_FULLNAME": name,
        "POD_NAMESPACE": ns,
        **more,
    }
    injector = Injector(load(environ), api)
    listener = socket.create_server(("", 0))
    context = injector.certificate.context
    config = uvicorn.Config(
        injector.app(),
        log_config=None,
        lifespan="on",
        ssl_context_factory=lambda *_: context,
        timeout_keep_alive=120,
        timeout_graceful_shutdown=5,
    )
    with on_thread(config, listener):
        served = Served(injector, listener.getsockname()[1])
        with served.client:
            yield served


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """An injector that reaches no API server."""
    with api_server({}) as (url, _):
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, url)))
    with contextlib.closing(kube.connect()) as api, serving(api) as served:
        yield served


def test_health_answers_without_an_api_server_and_ready_says_why_not(alone: Served) -> None:
    wait_for(lambda: "does not answer" in alone.get("/ready").json()["certificate"]["error"])
    assert alone.get("/ready").status_code == 503
    health = alone.get("/health")
    assert health.status_code == 200
    assert health.json()["status"] == "degraded"
    assert health.json()["profiles"] == {"ids": ["cribl"], "error": ""}
    assert "telemock_certificate_days_left" in alone.get("/metrics").text


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics"])
def test_only_names_that_are_ours_are_answered(alone: Served, path: str) -> None:
    for host, known in (("evil.test", False), ("10.1.2.3:8443", True), ("x.ns.svc", True)):
        status = alone.client.get(path, headers={"host": host}).status_code
        assert (status != 421) is known


def test_pods_are_admitted_without_an_api_server(alone: Served) -> None:
    answer = alone.client.post("/mutate", content=review(pod()))
    response = answer.json()["response"]
    assert response["allowed"] is True
    assert "patch" in response
    metrics = alone.injector.metrics.registry
    assert metrics.get_sample_value("telemock_injector_review_duration_seconds_count") == 1


def test_metrics_are_exported_at_the_end_at_the_latest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with collector() as endpoint, api_server({}) as (url, _):
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, url)))
        with (
            contextlib.closing(kube.connect()) as api,
            serving(api, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint.url) as served,
        ):
            served.client.post("/mutate", content=review(pod()))
    expected = {row.name for row in METRICS if "injector" in row.of} - {"telemock.otlp.dropped"}
    assert expected <= set(endpoint.metrics())
    assert b"telemock-injector" in endpoint.requests[-1].body


def test_other_bodies_are_refused_and_counted(alone: Served) -> None:
    answer = alone.client.post("/mutate", content=b"no")
    assert (answer.status_code, answer.headers["connection"]) == (400, "close")
    assert "AdmissionReview" in answer.json()["error"]
    large = review(pod(annotations={"a": "x" * BODY_CAP}))
    assert alone.client.post("/mutate", content=large).status_code == 413
    assert alone.get("/mutate").status_code == 405
    counted = alone.injector.metrics.registry.get_sample_value
    for reason in ("not_a_review", "too_large"):
        name = "telemock_injector_reviews_refused_total"
        assert counted(name, {"telemock_reason": reason}) == 1


def test_callers_go_elsewhere_while_it_drains(alone: Served) -> None:
    assert "connection" not in alone.client.post("/mutate", content=review(pod())).headers
    alone.injector.draining = True
    answer = alone.client.post("/mutate", content=review(pod()))
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")
    assert alone.get("/ready").status_code == 503


def damage(api: KubeApi, ns: str, name: str, data: dict[str, bytes]) -> None:
    encoded = {k: base64.b64encode(v).decode() for k, v in data.items()}
    place = f"{of(ns, 'secrets')}/{name}-tls"
    api.request("PATCH", place, {"data": encoded}, content_type=MERGE_PATCH)


@needs_cluster
def test_certificates_rotate_under_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two replicas, a leaf that has ended and then a new authority: no pod is refused."""
    monkeypatch.setattr(certificates, "LOOK_S", 0.5)
    with (
        cluster() as api,
        namespace(api, "i2-rotate") as ns,
        release(api, ns) as name,
        serving(api, name, ns) as one,
        serving(api, name, ns) as two,
    ):
        both = (one, two)
        wait_for(lambda: all(s.get("/ready").status_code == 200 for s in both), 30)
        first = secret(api, ns, name)
        for number, each in enumerate(both):
            endpoint(api, ns, name, str(number), each.port)
        eventually_injected(api, ns)

        def all_show(key: str) -> bool:
            leaf = x509.load_pem_x509_certificate(secret(api, ns, name)[key])
            return all(x509.load_der_x509_certificate(s.shown()) == leaf for s in both)

        with Load(api, ns) as load_:
            load_.more(20)
            authority = Pair(first["ca.crt"], first["ca.key"])
            names = [f"{name}-injector.{ns}.svc"]
            old = pki.make_leaf(authority, names, now() - 91 * DAY)
            damage(api, ns, name, {"injector.crt": old.certificate, "injector.key": old.key})
            wait_for(
                lambda: (
                    secret(api, ns, name)["injector.crt"]
                    not in (first["injector.crt"], old.certificate)
                    and all_show("injector.crt")
                ),
                20,
            )
            load_.more(30)
            second = secret(api, ns, name)
            assert second["ca.crt"] == first["ca.crt"]
            damage(api, ns, name, {"ca.key": b""})
            wait_for(
                lambda: (
                    secret(api, ns, name)["injector.crt"] != second["injector.crt"]
                    and all_show("injector.crt")
                ),
                30,
            )
            load_.more(50)
        assert load_.refused == []
        assert load_.made >= 100
        third = secret(api, ns, name)
        assert pki.still_valid(third["ca.crt"])[1:] == [first["ca.crt"]]
        pods = eventually_injected(api, ns)
        env = {e["name"]: e.get("value") for e in pods["spec"]["initContainers"][0]["env"]}
        assert str(env["TELEMOCK_API_CA_PEM"]).encode() == third["ca.crt"]


@needs_cluster
def test_api_server_away_changes_nothing_that_was_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "LOOK_S", 0.2)
    with (
        cluster() as api,
        namespace(api, "i2-away") as ns,
        release(api, ns) as name,
        contextlib.closing(kube.connect()) as own,
        serving(own, name, ns) as served,
    ):
        wait_for(lambda: served.get("/ready").status_code == 200, 30)
        before = served.shown()
        own.client.configuration.host = "https://127.0.0.1:9"
        wait_for(lambda: "does not answer" in json.dumps(served.get("/health").json()))
        assert served.get("/ready").status_code == 200
        assert served.shown() == before
        answer: Any = served.client.post("/mutate", content=review(pod(), namespace=ns)).json()
        assert "patch" in answer["response"]
