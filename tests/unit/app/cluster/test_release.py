"""What the app does in its release when the API server is away or has gaps, and by the word of a
stand-in of it; the rest is in tests/integration/test_release.py."""

import asyncio
import base64
import contextlib
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import trustme

from app.cluster import kube
from app.cluster.release import Release
from app.contract import rules
from app.contract.record import Workload, encode
from app.contract.settings import SettingError
from app.main import create_app
from app.settings import load
from tests.cluster import AWAY, cluster, kubeconfig, namespace, needs_cluster
from tests.records import exchange
from tests.released import NAME, objects
from tests.reviewer import PERSON, POD, SIDECAR, reviewing
from tests.serving import Served, environment, serving
from tests.waiting import until


@pytest.fixture
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An API server that does not answer."""
    kubeconfig(tmp_path, monkeypatch, AWAY)


@pytest.mark.usefixtures("away")
def test_without_the_api_server_the_mock_answers_and_nobody_gets_in(tmp_path: Path) -> None:
    values = {"TELEMOCK_CLUSTER": "1", "POD_NAMESPACE": "telemock"}
    with serving(tmp_path, **values) as served:
        assert served.bare.get("/telemetry/?v=1").text == "cribl /// living the stream!\n"
        health = served.bare.get("/health").json()
        assert health["status"] == "degraded"
        assert not health["tls"]["ok"]
        assert served.bare.get("/ready").status_code == 503
        assert served.bare.get("/api/v1/captures").status_code == 404
        # No token opens anything, so none is made.
        assert not (served.runtime.settings.data / "token").exists()
        assert served.runtime.token == ""


@pytest.mark.usefixtures("away")
def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(environment(tmp_path, TELEMOCK_CLUSTER="1"))
    with pytest.raises(SettingError, match=r"POD_NAMESPACE is empty\n\nhint: "):
        Release.join(settings)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(SettingError, match=r"TELEMOCK_CLUSTER is 1, but (.|\n)*hint: "):
        Release.join(settings)
    app = create_app(settings)

    async def start() -> None:
        async with app.state.runtime.running():
            pass

    with pytest.raises(SettingError, match="TELEMOCK_CLUSTER"):
        asyncio.run(start())


@pytest.mark.usefixtures("away")
async def test_an_event_that_cannot_be_written_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    api = kube.connect()
    await Release(api, "telemock", NAME).warn("TelemockTest", "x")
    api.close()
    assert "the Event TelemockTest cannot be written" in caplog.text


@contextlib.contextmanager
def released(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Served, Callable[[str], httpx.Client]]]:
    """The app over TLS, and a client for each of the tokens `pod`, `eve` and `bob`: a sidecar's,
    one of a person who may read, one of a person who may not."""
    bob = {"authenticated": True, "user": {"username": "bob"}, "allowed": False}
    tokens = {"pod": SIDECAR, "eve": {**PERSON, "allowed": True}, "bob": bob}
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trust = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    values = {"TELEMOCK_CLUSTER": "1", "POD_NAMESPACE": "telemock"}
    with (
        reviewing(folder, monkeypatch, {"authenticated": False}, tokens=tokens),
        serving(folder, context, **values) as served,
        contextlib.ExitStack() as open_,
    ):

        def client(token: str) -> httpx.Client:
            url = f"https://127.0.0.1:{served.port}/api/v1"
            headers = {"authorization": f"Bearer {token}"}
            made = httpx.Client(base_url=url, headers=headers, verify=trust, trust_env=False)
            return open_.enter_context(made)

        yield served, client


def test_only_sidecars_get_the_key_of_the_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with released(tmp_path, monkeypatch) as (served, client):
        key = served.runtime.mask_key
        assert key is not None
        given = client("pod").get("/profiles")
        assert rules.load(given.content).mask_key == key
        for name, status in (("eve", 200), ("bob", 403), ("none", 401)):
            answer = client(name).get("/profiles")
            assert answer.status_code == status
            for written in (base64.b64encode(key), key.hex().encode(), key):
                assert written not in answer.content
        shown = client("eve").get("/profiles")
        assert rules.load(shown.content).mask_key is None
        assert shown.headers["etag"] != given.headers["etag"]
        # Not by the ETag of the other either.
        again = client("eve").get("/profiles", headers={"if-none-match": given.headers["etag"]})
        assert again.status_code == 200


def test_a_sidecar_sends_for_its_pod_and_reads_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with released(tmp_path, monkeypatch) as (served, client):
        forged = exchange(1, workload=Workload(namespace="kube-system", pod="etcd", uid="1"))
        body = encode(forged) + b"\n" + encode(exchange(2, workload=Workload()))
        assert client("pod").post("/captures", content=body).json()["stored"] == 2
        kept = client("eve").get("/captures").json()["items"]
        workload = {"namespace": "shop", "pod": POD["name"], "uid": POD["uid"]}
        assert [found["workload"] for found in kept] == [workload] * 2
        assert served.runtime.metrics.total("telemock.ingest.rebound") == 2
        one = f"/captures/{kept[0]['boot']}-1"
        for url in ("/captures", one, "/report", "/fields"):
            statuses = [client(t).get(url).status_code for t in ("eve", "pod", "bob", "none")]
            assert statuses == [200, 401, 403, 401], url
        for token, status in (("eve", 401), ("bob", 401), ("none", 401)):
            assert client(token).post("/captures", content=body).status_code == status


@pytest.fixture(scope="module")
def api() -> Iterator[kube.KubeApi]:
    with cluster() as api:
        yield api


@needs_cluster
async def test_certificate_comes_once_the_secret_is_there(
    api: kube.KubeApi, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.cluster.certificates.SOON_S", 0.05)
    with namespace(api, "a1-secret") as place:
        release = Release(api, place, NAME)
        task = asyncio.create_task(release.certificate.kept(release.look))
        error = "there is no Secret"
        await until(lambda: error in str(release.certificate.health()["error"]))
        assert not release.certificate.health()["ok"]
        await asyncio.to_thread(objects, api, place)
        await until(lambda: bool(release.certificate.health()["ok"]))
        assert release.certificate.health() == {
            "ok": True, "error": "", "days_left": 90.0, "distrusted": 0,
        }  # fmt: skip
        assert caplog.text.count(error) == 1
        task.cancel()
        release.authority.close()


@needs_cluster
async def test_event_is_cut_and_written_without_the_deployment(api: kube.KubeApi) -> None:
    with namespace(api, "a1-event") as place:
        release = Release(api, place, NAME)
        await release.warn("TelemockTest", "é" * 5000)
        (event,) = api.items(kube.path("api", "v1", "namespaces", place, "events"))
        assert (event["reason"], len(event["message"])) == ("TelemockTest", 1024)
        assert event["involvedObject"]["name"] == NAME
        release.authority.close()
