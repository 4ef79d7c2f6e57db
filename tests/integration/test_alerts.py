"""Each alert fires once its condition is there, caused in the real processes and seen by a real
Prometheus. Only the time that a condition has to last is taken out of the rules."""

import asyncio
import base64
import contextlib
import shutil
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import trustme
import yaml

from app.cluster import certificates, kube
from app.cluster.certificates import Material, ServerCertificate
from app.contract.account import Account
from app.ingest import sidecars
from app.report import ledger
from app.run.processes import free_port
from app.store import Told
from charts import alerts
from tests.backends import Prometheus, prometheus
from tests.integration.test_full_disk import serving as on_volume
from tests.serving import Served, serving
from tests.sidecar import Sidecar, bundle_of, rule, sidecar
from tests.unit.app.cluster.test_certificates import pair, shown
from tests.unit.app.cluster.test_kube import api_server, kubeconfig
from tests.unit.app.inject.test_server import Served as Injecting
from tests.unit.app.inject.test_server import serving as injecting
from tests.unit.app.inject.test_webhook import review
from tests.volume import volume
from tests.waiting import wait_for
from tests.webhooks import CONFIGURATIONS

HOST = "t.acme.test"  # of tests/profile.yaml
POD = "web-7c9d8b6f4-x2x4z"
TESTS = Path(__file__).parents[1]


class Lab:
    def __init__(self, folder: Path, app: Served, sidecar: Sidecar, injector: Injecting) -> None:
        self.folder = folder
        self.app = app
        self.sidecar = sidecar
        self.injector = injector
        self.prometheus: Prometheus

    def targets(self) -> dict[str, list[str]]:
        return {
            "telemock-app": [f"127.0.0.1:{self.app.port}"],
            "telemock-sidecar": [f"127.0.0.1:{self.sidecar.health_port}"],
            "telemock-injector": [f"https://127.0.0.1:{self.injector.port}"],
        }

    def also(self, job: str, port: int) -> None:
        """Scrapes this too, until the next one."""
        self.prometheus.scrape({**self.targets(), job: [f"127.0.0.1:{port}"]})
        self.prometheus.series(f'up{{job="{job}"}} == 1')

    def quiet(self, alert: str) -> bool:
        return not self.prometheus.query(f'ALERTS{{alertname="{alert}",alertstate="firing"}}')


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("alerts")
    shutil.copy(TESTS / "profile.yaml", folder)
    with contextlib.ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(sidecars, "LATELY_S", 8.0)  # a sidecar asks every 5 s
        app = stack.enter_context(
            serving(folder, TELEMOCK_PROFILES=str(folder / "profile.yaml"))
        )  # fmt: skip
        (folder / "token").write_text(app.runtime.token)
        of_pod = {"POD_NAME": POD, "TELEMOCK_CANARY": "pod"}
        running = stack.enter_context(telling(folder / "one", app, **of_pod))
        wait_for(lambda: running.health()["profiles"]["source"] == "app")
        injector = stack.enter_context(short_lived(folder, patch))
        found = Lab(folder, app, running, injector)
        found.prometheus = stack.enter_context(
            prometheus(folder, found.targets(), rules=at_once(folder / "rules"))
        )
        found.prometheus.series("sum(up) == 3")
        yield found


@contextlib.contextmanager
def short_lived(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Injecting]:
    """An injector whose certificate, which somebody else should renew, ends in three days."""
    ca = trustme.CA()
    ends = datetime.now(UTC) + timedelta(days=3)
    leaf = ca.issue_cert("telemock-injector.ns.svc", not_after=ends)
    held = {
        "ca.crt": ca.cert_pem.bytes(),
        "tls.crt": leaf.cert_chain_pems[0].bytes(),
        "tls.key": leaf.private_key_pem.bytes(),
    }
    secret = {"data": {name: base64.b64encode(pem).decode() for name, pem in held.items()}}
    answers = {
        "/api/v1/namespaces/ns/secrets/own": (200, secret),
        f"{CONFIGURATIONS}/telemock-injector": (200, {"webhooks": []}),
        "/api/v1/namespaces": (200, {"items": []}),
        "/api/v1/pods": (200, {"items": [{"metadata": {"name": "older", "namespace": "ns"}}]}),
    }
    with api_server(answers) as (url, _):
        patch.setenv("KUBECONFIG", str(kubeconfig(folder, url)))
        with (
            contextlib.closing(kube.connect()) as api,
            injecting(api, TELEMOCK_TLS_SECRET="own") as injector,
        ):
            yield injector


def at_once(folder: Path) -> list[Path]:
    """The rules, which fire as soon as they hold."""
    folder.mkdir()
    for file in alerts.files():
        read = yaml.safe_load(file.read_text("utf-8"))
        for group in read["groups"]:
            for each in group["rules"]:
                each.pop("for", None)
        (folder / file.name).write_text(yaml.safe_dump(read), "utf-8")
    return sorted(folder.iterdir())


def telling(
    folder: Path, app: Served, **environ: str
) -> contextlib.AbstractContextManager[Sidecar]:
    return sidecar(
        folder,
        bundle_of(),  # the rules come from the app
        TELEMOCK_APP_URL=app.url,
        TELEMOCK_TOKEN_FILE=str(folder.parent / "token"),
        **environ,
    )


def new_host(lab: Lab) -> None:
    lab.sidecar.ask("/page", host=HOST)


def new_field(lab: Lab) -> None:
    lab.sidecar.ask("/page?v=1&never=seen", host=HOST)


def new_sensitive_field(lab: Lab) -> None:
    lab.sidecar.ask("/page?user_email=ada%40planted.example", host=HOST)


def objected_again(lab: Lab) -> None:
    wait_for(lambda: lab.app.runtime.store.inbox().open > 0)
    body = {"state": "objected", "until": 10_000}
    assert lab.app.client.post("/api/v1/changes", json=body).json()["decided"]
    lab.sidecar.ask("/page", host=HOST)


def certificate_refused(lab: Lab) -> None:
    with contextlib.suppress(OSError), lab.sidecar.connect(HOST, tls=False) as connection:
        ssl.create_default_context().wrap_socket(connection, server_hostname=HOST)


def canary_found(lab: Lab) -> None:
    lab.sidecar.ask(f"/page?id={POD}", host=HOST)


def profiles_broken(lab: Lab) -> None:
    (lab.folder / "profile.yaml").write_text("id: [")


def review_fails(lab: Lab) -> None:
    answer = lab.injector.client.post("/mutate", content=review({"metadata": [], "spec": 1}))
    assert answer.json()["response"]["warnings"]


CAUSES: dict[str, Callable[[Lab], None]] = {
    "TelemockNewHost": new_host,
    "TelemockNewField": new_field,
    "TelemockNewSensitiveField": new_sensitive_field,
    "TelemockObjected": objected_again,
    "TelemockCertificateRefused": certificate_refused,
    "TelemockCanaryFound": canary_found,
    "TelemockWebhookFailing": review_fails,
    "TelemockProfilesReloadFailed": profiles_broken,
}


@pytest.mark.parametrize("alert", CAUSES)
def test_fires_when_it_happens(alert: str, lab: Lab) -> None:
    if alert != "TelemockNewField":  # the first host came with fields
        assert lab.quiet(alert)
    CAUSES[alert](lab)
    assert lab.prometheus.firing(alert, 30)[0]["annotations"]["summary"]


def test_a_sidecar_that_is_killed_is_missed(lab: Lab) -> None:
    with telling(lab.folder / "killed", lab.app) as killed:
        wait_for(lambda: lab.app.runtime.sidecars.counts().seen == 2)
        assert lab.quiet("TelemockSidecarSilent")
        killed.process.kill()
        killed.process.wait()
        (alert,) = lab.prometheus.firing("TelemockSidecarSilent", 40)
    assert alert["annotations"]["summary"].startswith("1 of the sidecars")


def test_a_redirect_that_brings_nothing_is_told(lab: Lab) -> None:
    with telling(
        lab.folder / "unproven", lab.app, TELEMOCK_TRANSPARENT=f"127.0.0.1:{free_port()}"
    ) as unproven:
        lab.also("unproven", unproven.health_port)
        assert lab.prometheus.firing("TelemockRedirectNotProven", 30)


def test_what_cannot_be_shipped_or_exported_is_told(lab: Lab) -> None:
    """Nobody answers, neither the app nor the Collector, and the spool is small."""
    with sidecar(
        lab.folder / "lonely",
        bundle_of(rule("here", "/here")),
        TELEMOCK_SPOOL_SIZE="8000",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
        OTEL_EXPORTER_OTLP_TIMEOUT="500",
        OTEL_BSP_SCHEDULE_DELAY="100",
    ) as lonely:
        lab.also("lonely", lonely.health_port)
        for _ in range(20):
            lonely.ask("/here")
        reasons = {a["labels"]["telemock_reason"] for a in lab.prometheus.firing(
            "TelemockRecordsLost", 30)}  # fmt: skip
        assert reasons == {"spool_full"}
        (away,) = lab.prometheus.firing("TelemockAppTakesNothing", 30)
        assert away["labels"]["telemock_outcome"] == "unreachable"
        found = lab.prometheus.firing("TelemockExportFailing", 40)
        assert {a["labels"]["job"] for a in found} == {"lonely"}


def test_a_sidecar_whose_process_dies_again_and_again_is_told(lab: Lab) -> None:
    port = free_port()
    for times in range(4):  # as `addon.supervisor` starts it
        restarted = {"TELEMOCK_RESTARTED": f"{times} was killed"} if times else {}
        with telling(
            lab.folder / "dying", lab.app, TELEMOCK_HEALTH_PORT=str(port), **restarted
        ):  # fmt: skip
            if not times:
                lab.also("dying", port)
                assert lab.quiet("TelemockSidecarDying")
            assert lab.prometheus.series(
                f'telemock_sidecar_restarts_total{{job="dying"}} == {times}'
            )
    (alert,) = lab.prometheus.firing("TelemockSidecarDying", 30)
    assert "dies again and again" in alert["annotations"]["summary"]


def test_a_store_near_its_limit_is_told(lab: Lab, tmp_path: Path) -> None:
    with serving(tmp_path, TELEMOCK_RETENTION_SIZE="64KiB") as app:  # an empty one takes more
        lab.also("near", app.port)
        assert lab.prometheus.firing("TelemockStoreNearLimit", 30)


def test_a_store_that_cannot_be_written_is_told(lab: Lab, tmp_path: Path) -> None:
    with volume(tmp_path / "volume", 24 << 20) as disk, on_volume(disk, tmp_path) as app:
        lab.also("full", app.port)
        assert lab.quiet("TelemockStoreFailing")
        disk.fill()

        def failing() -> bool:
            app.http.get("/telemetry/index.html", headers={"host": "cdn.cribl.io"})
            return not lab.quiet("TelemockStoreFailing")

        wait_for(failing, 40)


def test_a_certificate_that_ends_soon_is_told(lab: Lab) -> None:
    assert lab.prometheus.firing("TelemockWebhookCertificateExpiring", 30)


def test_a_pod_that_no_injector_saw_is_told(lab: Lab) -> None:
    (alert,) = lab.prometheus.firing("TelemockNotInjected", 30)
    assert alert["annotations"]["summary"].startswith("1 pods opted in")


def test_records_of_a_sidecar_that_fell_silent_are_told(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lab.quiet("TelemockRecordsStuck")
    monkeypatch.setattr(ledger, "SILENT_NS", 10**9)
    lab.app.runtime.store.write([], [Told(Account(boot="cd" * 16, numbered=4), "ns", "gone")])

    def stuck() -> bool:
        asyncio.run(lab.app.runtime.count_records())  # as once a minute
        return not lab.quiet("TelemockRecordsStuck")

    wait_for(stuck, 40)


def test_clients_that_know_another_authority_are_told(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The certificate of a release, without the cluster that it would be kept in."""
    names = {"app": ["a.svc"]}
    held, other = certificates.renewed({}, names), certificates.renewed({}, names)
    certificate = ServerCertificate("app")
    certificate.use(Material(held["ca.crt"], {"app": pair(held, "app")}))
    monkeypatch.setattr(lab.app.runtime, "release", SimpleNamespace(certificate=certificate))
    assert lab.quiet("TelemockAppDistrusted")

    async def distrusted() -> None:
        server = await asyncio.start_server(
            lambda reader, writer: writer.close(), "127.0.0.1", 0, ssl=certificate.context
        )
        async with server:
            with contextlib.suppress(ssl.SSLCertVerificationError):
                await asyncio.to_thread(
                    shown, server.sockets[0].getsockname(), other["ca.crt"], "a.svc"
                )
            await asyncio.to_thread(wait_for, lambda: certificate.distrusted() == 1)

    asyncio.run(distrusted())
    assert lab.prometheus.firing("TelemockAppDistrusted", 30)


def test_every_alert_was_caused() -> None:
    text = Path(__file__).read_text("utf-8")
    assert [a["alert"] for a in alerts.rules() if a["alert"] not in text] == []
