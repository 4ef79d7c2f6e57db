"""A node reports home: it gets the documented answer, and the report is where it should be."""

import base64
import json
from typing import Any

import pytest

from tests.e2e.cluster import Cluster, restarts, until
from tests.e2e.conftest import Cribl
from tests.e2e.release import Release

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

LINE = b"cribl /// living the stream!\n"
# Nobody else has it, so that finding it anywhere means that it was written unmasked.
LICENCE = "bGljZW5jZS10aGF0LW11c3Qtbm90LWJlLXdyaXR0ZW4="


def test_the_client_gets_the_documented_bytes(cribl: Cribl) -> None:
    answer = cribl.telemetry(cribl.leader, "bytes-leader")
    assert answer["status"] == 200, answer
    assert base64.b64decode(answer["body"]) == LINE
    assert answer["headers"]["content-type"].startswith("text/html")
    assert answer["issuer"] not in ("vendor-ca", "leader-ca")


def test_the_record_names_namespace_pod_and_node(release: Release, cribl: Cribl) -> None:
    for pod in (cribl.leader, *cribl.workers):
        tag = f"who-{pod['metadata']['name']}"
        assert cribl.telemetry(pod, tag)["status"] == 200
        record = release.capture(tag)
        workload = record["workload"]
        assert workload["namespace"] == cribl.namespace
        assert workload["pod"] == pod["metadata"]["name"]
        assert workload["uid"] == pod["metadata"]["uid"]
        assert workload["node"] == pod["spec"]["nodeName"]
        assert workload["container"] == pod["spec"]["containers"][0]["name"]
        assert (record["profile"], record["rule"], record["action"]) == (
            "cribl", "telemetry", "mock",
        )  # fmt: skip
        assert record["product_version"] == "4.19.2-e2e00001"


def test_without_the_slash_it_is_sent_on(cribl: Cribl) -> None:
    answer = cribl.call(cribl.leader, "https://cdn.cribl.io/telemetry")
    assert (answer["status"], answer["headers"]["location"]) == (302, "/telemetry/")


def test_plain_http_is_answered_too(cribl: Cribl) -> None:
    answer = cribl.call(cribl.leader, "http://cdn.cribl.io/telemetry/")
    assert base64.b64decode(answer["body"]) == LINE


def test_kubectl_logs_shows_the_capture(cluster: Cluster, cribl: Cribl) -> None:
    leader = cribl.leader
    assert cribl.telemetry(leader, "on-stdout")["status"] == 200
    line = until(
        lambda: [x for x in cluster.logs(leader, "telemock").splitlines() if "on-stdout" in x],
        "the sidecar's standard output shows the capture",
    )[0]
    record = json.loads(line)
    assert record["request"]["path"] == "/telemetry/index.html"


def test_the_volume_holds_the_log_files(cluster: Cluster, release: Release, cribl: Cribl) -> None:
    assert cribl.telemetry(cribl.leader, "on-disk")["status"] == 200
    release.capture("on-disk")
    app = release.app_pod()
    claims = [
        v["persistentVolumeClaim"]["claimName"]
        for v in app["spec"]["volumes"]
        if "persistentVolumeClaim" in v
    ]
    assert claims == [release.name]
    read = "import pathlib; print(pathlib.Path('/logs/telemetry_requests.log').read_text())"
    lines = until(
        lambda: [
            x for x in cluster.run(app, "app", "python", "-c", read).splitlines() if "on-disk" in x
        ],
        "telemetry_requests.log has the request",
    )
    assert "/telemetry/index.html" in json.loads(lines[0])["url"]


def test_the_licence_is_written_nowhere(cluster: Cluster, release: Release, cribl: Cribl) -> None:
    leader = cribl.leader
    assert cribl.telemetry(leader, "masked", lic=LICENCE)["status"] == 200
    record = release.capture("masked")
    assert LICENCE not in json.dumps(record)
    assert LICENCE not in cluster.logs(leader, "telemock")
    assert LICENCE not in cluster.logs(release.app_pod(), "app")
    search = (
        "import pathlib, sys\n"
        "for root in ('/data', '/logs'):\n"
        "    for p in pathlib.Path(root).rglob('*'):\n"
        "        if p.is_file() and sys.argv[1].encode() in p.read_bytes(): print(p)\n"
    )
    assert cluster.run(release.app_pod(), "app", "python", "-c", search, LICENCE).strip() == ""


def test_the_sidecar_stays_within_its_resources(cluster: Cluster, cribl: Cribl) -> None:
    node = cribl.start("busy")
    sidecar = node["spec"]["initContainers"][0]
    assert sidecar["resources"] == {
        "requests": {"cpu": "20m", "memory": "64Mi"},
        "limits": {"memory": "192Mi"},
    }
    count = 2000
    assert (
        cluster.ask(node, 9000, "/test/burst", count=str(count), tag="burst")["answered"] == count
    )
    until(lambda: stored(cluster, node) >= count, "all of them are in the store", 60)
    read = "import re; print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/1/status').read())[1])"
    peak = int(cluster.run(node, "telemock", "python", "-c", read)) / 1024
    assert peak < 160, f"{peak:.0f} MiB of 192 at the most"
    (node,) = cluster.ready_pods(cribl.namespace, "app.kubernetes.io/name=busy")
    assert restarts(node, "telemock") == 0


def stored(cluster: Cluster, node: dict[str, Any]) -> int:
    """Records that the app has taken from this node's sidecar."""
    return int(cluster.ask(node, 17490, "/health")["shipper"]["stored"])
