"""The app as a process with two ports, in front of a real API server."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.cluster.kube import KubeApi, path
from app.contract.record import Workload, decode, encode
from tests import accounts
from tests.cluster import cluster, namespace, needs_cluster
from tests.records import exchange
from tests.released import NAME, Released, objects, released
from tests.waiting import wait_for

pytestmark = needs_cluster

PROFILE = Path(__file__).parents[1] / "profile.yaml"


@pytest.fixture(scope="module")
def api() -> Iterator[KubeApi]:
    with cluster() as api:
        yield api


@pytest.fixture(scope="module")
def place(api: KubeApi) -> Iterator[str]:
    with namespace(api, "a1-release") as name:
        objects(api, name)
        yield name


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("profiles") / "acme.yaml"
    file.write_text(PROFILE.read_text())
    return file


@pytest.fixture(scope="module")
def app(
    api: KubeApi, place: str, profile: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Released]:
    folder = tmp_path_factory.mktemp("release")
    with released(folder, api, place, TELEMOCK_PROFILES=f"cribl,{profile}") as app:
        yield app


@pytest.fixture(scope="module")
def reader(api: KubeApi, place: str) -> Iterator[str]:
    name = f"{place}-viewer"
    accounts.allow(api, name, accounts.account(api, place, "reader"), ["get", "list", "watch"])
    yield accounts.token(api, place, "reader")
    accounts.forbid(api, name)


@pytest.fixture(scope="module")
def pod(api: KubeApi, place: str) -> dict[str, Any]:
    return accounts.unscheduled_pod(api, place, "leader-0")


@pytest.fixture(scope="module")
def sidecar(api: KubeApi, place: str, pod: dict[str, Any]) -> str:
    return accounts.token(api, place, "default", "telemock", pod)


def test_without_tls_there_is_the_mock_and_health_only(app: Released, reader: str) -> None:
    assert app.plain.get("/telemetry/?v=1").text == "cribl /// living the stream!\n"
    assert app.plain.get("/", headers={"host": "cdn.cribl.io"}).status_code == 404
    health = app.plain.get("/health").json()
    assert health["status"] == "ok"
    assert health["tls"]["ok"] and health["tls"]["days_left"] > 80
    assert app.plain.get("/metrics").status_code == 200
    token = {"authorization": f"Bearer {reader}"}
    for url in ("/api/v1/captures", "/api/v1/profiles", "/api/v1/x", "/openapi.json", "/x"):
        for headers in ({}, token, {**token, "x-forwarded-proto": "https"}):
            answer = app.plain.get(url, headers=headers)
            assert answer.status_code == 404, url
            assert "without TLS" in answer.json()["error"]
    assert app.plain.post("/api/v1/captures", headers=token, content=b"{}").status_code == 404


def test_over_tls_there_is_the_api_only(app: Released, reader: str) -> None:
    with app.client(reader) as client:
        assert client.get("/health").status_code == 200
        # What profiles answer for, by host or path, stays on the other port.
        assert client.get("/telemetry/?v=1").status_code == 404
        hosted = client.get("/api/v1/captures", headers={"host": "cdn.cribl.io"})
        assert "items" in hosted.json()


def test_the_certificate_is_the_releases(app: Released, place: str) -> None:
    with (
        httpx.Client(base_url=app.api_url, trust_env=False) as client,
        pytest.raises(httpx.ConnectError, match=r"(?i)certificate"),
    ):
        client.get("/health")
    for name in (f"{NAME}.{place}.svc", "localhost"):
        with (
            socket.create_connection(("127.0.0.1", app.tls_port)) as raw,
            app.trust.wrap_socket(raw, server_hostname=name) as wrapped,
        ):
            assert wrapped.version() == "TLSv1.3"


def test_who_gets_in(app: Released, api: KubeApi, place: str, reader: str, sidecar: str) -> None:
    accounts.account(api, place, "stranger")
    stranger = accounts.token(api, place, "stranger")
    for token, status in (("", 401), ("x", 401), (sidecar, 401), (stranger, 403), (reader, 200)):
        with app.client(token) as client:
            for url in ("/api/v1/captures", "/api/v1/report", "/api/v1/fields"):
                answer = client.get(url)
                assert answer.status_code == status, answer.text
            if status != 200:
                assert set(answer.json()) == {"error", "hint"}
            assert ("www-authenticate" in answer.headers) == (status == 401)
            sent = client.post("/api/v1/captures", content=encode(exchange()))
            assert sent.status_code == (200 if token == sidecar else 401)


def test_records_are_of_the_pod_that_sent_them(
    app: Released, place: str, pod: dict[str, Any], reader: str, sidecar: str
) -> None:
    uid = pod["metadata"]["uid"]
    mine = exchange(workload=Workload(namespace=place, pod="leader-0", uid=uid, node="n1"))
    forged = exchange(workload=Workload(namespace="kube-system", pod="etcd", uid="1", node="n2"))
    bare = exchange(workload=Workload())
    another = exchange()
    newer = encode(another)[:-1] + b',"from_the_future":[1]}'
    lines = [encode(mine), encode(forged), encode(bare), newer]
    before = _rebound(app)
    with app.client(sidecar) as client:
        answer = client.post("/api/v1/captures", content=b"\n".join(lines))
        assert answer.json()["stored"] == 4, answer.text
    with app.client(reader) as client:
        found = {r.id: r for r in _items(client, f"{place}/leader-0")}
        for sent in (mine, forged, bare):
            at = found[sent.id].workload
            assert (at.namespace, at.pod, at.uid) == (place, "leader-0", uid)
        assert found[forged.id].workload.node == "n2"
        assert _items(client, "kube-system/") == []
        kept = client.get(f"/api/v1/captures/{another.id}").json()
        assert kept["from_the_future"] == [1]
        assert kept["workload"]["pod"] == "leader-0"
    assert _rebound(app) == before + 3


def _rebound(app: Released) -> float:
    (line,) = re.findall(
        r"^telemock_ingest_rebound_total (.+)", app.plain.get("/metrics").text, re.M
    )
    return float(line)


def _items(client: httpx.Client, workload: str) -> list[Any]:
    answer = client.get("/api/v1/captures", params={"workload": workload})
    return [decode(json.dumps(item).encode()) for item in answer.json()["items"]]


def test_the_masks_key_is_for_sidecars(app: Released, reader: str, sidecar: str) -> None:
    with app.client(sidecar) as client:
        answer = client.get("/api/v1/profiles")
        assert answer.json()["mask_key"]
        again = client.get("/api/v1/profiles", headers={"if-none-match": answer.headers["etag"]})
        assert again.status_code == 304
    with app.client(reader) as client:
        without = client.get("/api/v1/profiles")
        assert without.json().get("mask_key") is None
        assert without.json()["rules"] == answer.json()["rules"]
        assert without.headers["etag"] != answer.headers["etag"]


def test_profile_that_does_not_parse_is_an_event(
    app: Released, api: KubeApi, place: str, profile: Path, reader: str
) -> None:
    def event() -> list[Any]:
        events = api.items(path("api", "v1", "namespaces", place, "events"))
        return [e for e in events if e["reason"] == "TelemockProfileRefused"]

    with app.client(reader) as client:
        before = client.get("/api/v1/profiles").headers["etag"]
        try:
            profile.write_text("id: [")
            wait_for(lambda: bool(event()), 20)
            (found,) = event()
            assert found["type"] == "Warning"
            assert "acme.yaml" in found["message"] and "last good" in found["message"]
            about = found["involvedObject"]
            place_of = path("apis", "apps", "v1", "namespaces", place, "deployments", NAME)
            assert about["uid"] == api.get(place_of)["metadata"]["uid"]
            assert (about["kind"], about["name"]) == ("Deployment", NAME)
            health = app.plain.get("/health").json()
            assert health["status"] == "degraded" and "acme.yaml" in health["profiles"]["error"]
            assert app.plain.get("/ready").status_code == 200
            assert client.get("/api/v1/profiles").headers["etag"] == before
        finally:
            profile.write_text(PROFILE.read_text())
        wait_for(lambda: app.plain.get("/health").json()["status"] == "ok", 20)
        assert len(event()) == 1
