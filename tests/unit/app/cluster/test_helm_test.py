"""What the pod of `helm test` does, against the real app over TLS."""

import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trustme

from app.cluster.helm_test import VERSION, TrialError, find, main, send, trial
from app.contract.names import CONTENT_TYPE_RECORDS, FILE_TOKEN, PATH_CAPTURES
from app.contract.record import encode
from tests.records import exchange
from tests.serving import Served, serving

POD = {"POD_NAMESPACE": "observe", "POD_NAME": "telemock-test"}


class Release:
    """The app, which stands for the sidecar too: it answers telemetry itself."""

    def __init__(self, served: Served, folder: Path) -> None:
        self.url = f"https://localhost:{served.port}"
        self.trust = str(folder / "ca.pem")
        self.token = folder / "data" / FILE_TOKEN
        self.environ = {
            **POD,
            "NODE_EXTRA_CA_CERTS": self.trust,
            "TELEMOCK_API_URL": self.url,
            "TELEMOCK_API_CA": self.trust,
        }
        self.api = httpx.Client(
            base_url=self.url,
            headers={"authorization": f"Bearer {self.token.read_text()}"},
            verify=ssl.create_default_context(cafile=self.trust),
            trust_env=False,
        )

    def record(self, seq: int, **given: object) -> None:
        """As the sidecar sends it."""
        record = exchange(
            seq, namespace=POD["POD_NAMESPACE"], pod=POD["POD_NAME"], product_version=VERSION,
            **{"time_ns": time.time_ns() + 10**9, **given},
        )  # fmt: skip
        self.api.post(
            PATH_CAPTURES, content=encode(record), headers={"content-type": CONTENT_TYPE_RECORDS}
        ).raise_for_status()


@pytest.fixture
def release(tmp_path: Path) -> Iterator[Release]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with serving(tmp_path, context) as served:
        found = Release(served, tmp_path)
        yield found
        found.api.close()


def test_the_answer_and_the_capture_are_told(release: Release) -> None:
    release.record(7)
    said = trial(release.environ, release.token, f"{release.url}/telemetry/")
    assert "observe/telemock-test asked" in said
    assert "cribl /// living the stream!" in said
    assert f"the capture is {'ab' * 16}:7 at {release.url}" in said


def test_an_older_capture_is_not_taken_for_this_one(release: Release) -> None:
    release.record(1, time_ns=time.time_ns() - 60 * 10**9)
    with pytest.raises(TrialError, match=r"does not have the capture.*no record of this pod"):
        find(release.api, "observe/telemock-test", time.time_ns(), wait_s=0)
    release.record(2)
    found = find(release.api, "observe/telemock-test", time.time_ns(), wait_s=0)
    assert found["seq"] == 2


def test_a_refusal_of_the_api_is_told(release: Release) -> None:
    release.api.headers["authorization"] = "Bearer wrong"
    with pytest.raises(TrialError, match="401"):
        find(release.api, "observe/telemock-test", time.time_ns(), wait_s=0)


def test_a_pod_without_a_sidecar_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NODE_EXTRA_CA_CERTS", raising=False)
    assert main() == 1
    said = capsys.readouterr().err
    assert said.startswith("error: this pod has no sidecar")
    assert "\n\nhint: the annotation telemock.io/status" in said


def test_an_answer_that_is_none_is_told(release: Release) -> None:
    with pytest.raises(TrialError, match="answered with 404, expected 200"):
        trial(release.environ, release.token, f"{release.url}/nowhere")


def test_who_refuses_and_what_is_no_certificate_is_told(release: Release, tmp_path: Path) -> None:
    with pytest.raises(TrialError, match="was not answered"):
        send(release.trust, "https://localhost:1/telemetry/")
    with pytest.raises(TrialError, match="is no certificate"):
        send(str(tmp_path / "missing.pem"), release.url)
    (tmp_path / "bad.pem").write_text("no certificate\n")
    with pytest.raises(TrialError, match="is no certificate"):
        send(str(tmp_path / "bad.pem"), release.url)
