"""What the app does in its release when the API server is away or has gaps; the rest is in
tests/integration/test_release.py."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import kube
from app.contract.settings import SettingError
from app.main import create_app
from app.release import Release
from app.settings import load
from tests.cluster import AWAY, cluster, kubeconfig, namespace, needs_cluster
from tests.released import NAME, objects
from tests.serving import environment, serving, until


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


@pytest.fixture(scope="module")
def api() -> Iterator[kube.Api]:
    with cluster() as api:
        yield api


@needs_cluster
async def test_certificate_comes_once_the_secret_is_there(
    api: kube.Api, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.release._SOON_S", 0.05)
    with namespace(api, "a1-secret") as place:
        release = Release(api, place, NAME)
        task = asyncio.create_task(release.renewing())
        error = "there is no Secret"
        await asyncio.to_thread(until, lambda: error in str(release.health()["error"]))
        assert not release.health()["ok"]
        await asyncio.to_thread(objects, api, place)
        await asyncio.to_thread(until, lambda: bool(release.health()["ok"]))
        assert release.health() == {"ok": True, "error": "", "days_left": 90.0}
        assert caplog.text.count(error) == 1
        task.cancel()
        release.authority.close()


@needs_cluster
async def test_event_is_cut_and_written_without_the_deployment(api: kube.Api) -> None:
    with namespace(api, "a1-event") as place:
        release = Release(api, place, NAME)
        await release.warn("TelemockTest", "é" * 5000)
        (event,) = api.items(kube.path("api", "v1", "namespaces", place, "events"))
        assert (event["reason"], len(event["message"])) == ("TelemockTest", 1024)
        assert event["involvedObject"]["name"] == NAME
        release.authority.close()
