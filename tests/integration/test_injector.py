"""`telemock injector` as processes that a real API server calls."""

import base64
import os
import select
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.cluster import cluster, namespace, needs_cluster
from tests.waiting import wait_for
from tests.webhooks import (
    CONFIGURATIONS,
    Load,
    create,
    endpoint,
    eventually_injected,
    injected,
    of,
    release,
    secret,
)

ROOT = Path(__file__).parents[2]


class Replica:
    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port

    def get(self, what: str) -> httpx.Response:
        unknown = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # the first certificate is of nobody
        unknown.check_hostname, unknown.verify_mode = False, ssl.CERT_NONE
        with httpx.Client(verify=unknown, trust_env=False) as client:
            return client.get(f"https://127.0.0.1:{self.port}/{what}")

    def ready(self) -> bool:
        return self.get("ready").status_code == 200


@contextmanager
def replica(ns: str, name: str, folder: Path, **environ: str) -> Iterator[Replica]:
    log = folder / f"injector-{time.monotonic_ns()}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "injector"],
            stdout=subprocess.PIPE,
            stderr=file,
            bufsize=0,
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "PYTHONUNBUFFERED": "1",
                "TELEMOCK_SIDECAR_IMAGE": "telemock-sidecar:i2",
                "TELEMOCK_FULLNAME": name,
                "TELEMOCK_INJECTOR_PORT": "0",
                "POD_NAMESPACE": ns,
                **environ,
            },
        )
    try:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 30)[0], log.read_text()
        line = process.stdout.readline().decode()
        assert "the webhook is on port" in line, log.read_text()
        yield Replica(process, int(line.split("port ")[1].split(",")[0]))
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        sys.stderr.write(log.read_text())


@needs_cluster
def test_two_replicas_from_nothing_to_a_pod_with_a_sidecar(tmp_path: Path) -> None:
    """Started at once on an empty Secret; then one of them ends in the middle of the load."""
    with (
        cluster() as api,
        namespace(api, "i2-two") as ns,
        release(api, ns) as name,
        replica(ns, name, tmp_path) as one,
        replica(ns, name, tmp_path) as two,
    ):
        wait_for(lambda: one.ready() and two.ready(), 30)
        held = secret(api, ns, name)
        configured = api.get(f"{CONFIGURATIONS}/{name}-injector")
        bundles = [w["clientConfig"]["caBundle"] for w in configured["webhooks"]]
        assert [base64.b64decode(b) for b in bundles] == [held["ca.crt"]]
        trusting = ssl.create_default_context(cadata=held["ca.crt"].decode())
        trusting.check_hostname = False  # it is for the Service
        for each in (one, two):
            with httpx.Client(verify=trusting, trust_env=False) as client:
                assert client.get(f"https://127.0.0.1:{each.port}/health").json()["status"] == "ok"
        first = endpoint(api, ns, name, "one", one.port)
        endpoint(api, ns, name, "two", two.port)
        pod = eventually_injected(api, ns)
        sidecar = pod["spec"]["initContainers"][0]
        assert sidecar["image"] == "telemock-sidecar:i2"
        env = {e["name"]: e.get("value", "") for e in sidecar["env"]}
        assert env["TELEMOCK_API_CA_PEM"].encode() == held["ca.crt"]
        with Load(api, ns) as load:
            load.more(20)
            one.process.send_signal(signal.SIGTERM)
            # What the endpoint controller does when the pod is told to end.
            api.request("DELETE", first)
            assert one.process.wait(20) == 0
            load.more(20)
        assert load.refused == []
        assert two.get("health").json()["certificate"]["days_left"] > 80


@needs_cluster
def test_owner_is_told_and_dry_runs_tell_nobody(tmp_path: Path) -> None:
    with (
        cluster() as api,
        namespace(api, "i2-told") as ns,
        release(api, ns) as name,
        replica(ns, name, tmp_path) as one,
    ):
        wait_for(one.ready, 30)
        endpoint(api, ns, name, "one", one.port)
        eventually_injected(api, ns)
        wrong = {"annotations": {"telemock.io/profiles": "nobody"}}
        assert not injected(create(api, ns, "dry", **wrong))
        pod = {
            "metadata": {"labels": {"app": "a"}, **wrong},
            "spec": {
                "nodeSelector": {"telemock.test/no": "node"},
                "containers": [{"name": "a", "image": "a:1"}],
            },
        }
        deployment = {
            "metadata": {"name": "a"},
            "spec": {"selector": {"matchLabels": {"app": "a"}}, "template": pod},
        }
        api.request("POST", f"/apis/apps/v1/namespaces/{ns}/deployments", deployment)

        def told() -> list[dict[str, Any]]:
            found = api.items(of(ns, "events"))
            return [e for e in found if e["reason"].startswith("Telemock")]

        wait_for(lambda: bool(told()), 30)
        (event,) = told()
        assert event["reason"] == "TelemockSkipped"
        assert event["involvedObject"]["kind"] == "ReplicaSet"
        assert "'nobody', known are: cribl" in event["message"]
        text = one.get("metrics").text
        assert 'telemock_injector_pods_total{telemock_reason="unknown_profile"} 2.0' in text
        assert "telemock_injector_review_duration_seconds_count" in text


@needs_cluster
def test_profiles_are_read_again(tmp_path: Path) -> None:
    file = tmp_path / "profile.yaml"
    text = (ROOT / "tests/profile.yaml").read_text()
    file.write_text(text)

    def health() -> Any:
        return one.get("health").json()["profiles"]

    with (
        cluster() as api,
        namespace(api, "i2-profiles") as ns,
        release(api, ns) as name,
        replica(ns, name, tmp_path, TELEMOCK_PROFILES=str(file)) as one,
    ):
        (known,) = health()["ids"]
        file.write_text("id: [")
        wait_for(lambda: bool(health()["error"]), 20)
        assert health()["ids"] == [known]
        file.write_text(text.replace(f"id: {known}", "id: another", 1))
        wait_for(lambda: health() == {"ids": ["another"], "error": ""}, 20)


def test_wrong_settings_are_usage(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", "injector"],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "POD_NAMESPACE": "ns"},
        cwd=tmp_path,
        timeout=60,
    )
    assert done.returncode == 2
    assert b"TELEMOCK_SIDECAR_IMAGE is empty" in done.stderr
    assert b"hint: " in done.stderr
