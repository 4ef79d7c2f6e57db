"""The rest of the pod's traffic: it never meets the sidecar, or leaves it as it came."""

import base64
import re

import pytest
import yaml

from tests.e2e import pods
from tests.e2e.cluster import Cluster, documents, until
from tests.e2e.conftest import Cribl
from tests.e2e.release import Release

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

CORPORATE = "telemock-sidecar-corporate:e2e"  # made by `make e2e` with LOAD


def test_a_data_connection_keeps_its_server_s_certificate(cluster: Cluster, cribl: Cribl) -> None:
    """And the sidecar has no trace of it: heartbeats run to another pod all the while."""
    own = cluster.run(
        cribl.leader, "logstream-leader", "openssl", "x509", "-in", "/opt/pki/leader.crt",
        "-noout", "-fingerprint", "-sha256",
    )  # fmt: skip
    for worker in cribl.workers:
        beats = until(
            lambda worker=worker: [
                b for b in [cluster.ask(worker, 9000, "/test/beats")] if b["echoed"] > 20
            ],
            "heartbeats come back",
        )[0]
        assert beats["issuer"] == "leader-ca"
        assert beats["fingerprint"] in own
        assert beats["reconnects"] == 0
        assert "4200" not in cluster.logs(worker, "telemock")
        assert "leader" not in cluster.logs(worker, "telemock")


def test_https_to_another_pod_keeps_its_certificate_too(cluster: Cluster, cribl: Cribl) -> None:
    """On port 443, which is the telemetry's port; by name and by address."""
    node = cribl.start("quiet", spec=cribl.through_vendor())
    for options in ({}, {"connect": cribl.vendor["status"]["podIP"]}):
        answer = cribl.call(node, "https://elsewhere.test/", **options)
        assert answer["error"] == "UNABLE_TO_VERIFY_LEAF_SIGNATURE"  # the vendor's own, not ours
    assert connections(cluster, node) == 0


def test_a_download_from_the_telemetry_host_passes_byte_for_byte(
    cluster: Cluster, release: Release, cribl: Cribl
) -> None:
    node = cribl.start("downloader", spec=cribl.through_vendor())
    url = "http://cdn.cribl.io/dl/4.19.2/cribl.tgz?a=%2F&b=1"
    through = cribl.call(node, url)
    direct = cribl.call(cribl.leader, url, connect=cribl.vendor["status"]["podIP"])
    assert through["status"] == direct["status"] == 200
    assert through["size"] == direct["size"] > 1_000_000
    assert through["body"] == direct["body"]
    seen = [s for s in cluster.ask(cribl.vendor, 80, "/seen") if s["url"].startswith("/dl/")]
    assert seen[0] == seen[1]  # what the server saw of both
    passed = metric(cluster, node, "telemock_passed_total")
    assert passed == 1
    (outline,) = until(
        lambda: [c for c in release.captures(action="pass") if c["route"].startswith("/dl/")],
        "its outline is recorded",
    )
    assert not {"query", "headers", "body"} & outline["request"].keys(), outline["request"]


def test_over_tls_it_passes_too(cluster: Cluster, release: Release, cribl: Cribl) -> None:
    """With a sidecar whose image trusts the vendor's authority, put in without the webhook."""
    pod = pods.node("tls-downloader", cribl.namespace, spec=cribl.through_vendor())
    manifest = release.inject("-f", "-", text=yaml.safe_dump(pod), image=CORPORATE)
    cluster.apply(*documents(manifest))
    (node,) = cluster.ready_pods(cribl.namespace, "app.kubernetes.io/name=tls-downloader")
    answer = cribl.call(node, "https://cdn.cribl.io/dl/4.19.2/over-tls.tgz")
    assert answer["status"] == 200, answer
    assert answer["size"] > 1_000_000
    assert answer["issuer"] != "vendor-ca"  # opened, because only the path tells what it is
    assert "over-tls" in str(cluster.ask(cribl.vendor, 80, "/seen"))
    # And the vendor's certificate was checked: without its authority nothing is forwarded.
    refused = cribl.call(
        cluster.ready_pods(cribl.namespace, "app.kubernetes.io/name=downloader")[0],
        "https://cdn.cribl.io/dl/4.19.2/unchecked.tgz",
    )
    assert refused.get("status") == 502 or "error" in refused, refused
    assert "unchecked" not in str(cluster.ask(cribl.vendor, 80, "/seen"))


def test_observe_forwards_the_request_and_gives_the_vendor_s_answer(
    cluster: Cluster, release: Release, cribl: Cribl
) -> None:
    node = cribl.start("observed", annotations={"mode": "observe"}, spec=cribl.through_vendor())
    answer = cribl.call(node, "http://cdn.cribl.io/telemetry/index.html?v=1&fc.tag=seen-by-vendor")
    assert base64.b64decode(answer["body"]) == b"cribl /// living the stream!\n"
    seen = [s for s in cluster.ask(cribl.vendor, 80, "/seen") if "seen-by-vendor" in s["url"]]
    assert [s["url"] for s in seen] == ["/telemetry/index.html?v=1&fc.tag=seen-by-vendor"]
    assert not re.search("telemock|traceparent", str(seen[0]["headers"]), re.IGNORECASE)
    record = release.capture("seen-by-vendor")
    assert (record["action"], record["answered_by"]) == ("observe", "upstream")


def metric(cluster: Cluster, pod: dict[str, object], name: str) -> float:
    """Sum over the labels of one of the sidecar's metrics; its own log lines do not count."""
    text = cluster.ask(pod, 17490, "/metrics")
    found = re.findall(rf"^{name}({{.*}})? (\S+)$", text, re.MULTILINE)
    return sum(float(value) for labels, value in found if 'kind="log"' not in labels)


def connections(cluster: Cluster, pod: dict[str, object]) -> float:
    """Everything that the sidecar has made a record or a count of."""
    names = ("captures", "passed", "tls_client_rejected")
    return sum(metric(cluster, pod, f"telemock_{name}_total") for name in names)
