"""The other ways to the sidecar: `loopback` needs no privilege, `all` shows what else leaves."""

import base64
import socket

import pytest

from tests.e2e import pods
from tests.e2e.cluster import Cluster, status_of, until
from tests.e2e.conftest import Cribl
from tests.e2e.release import Release

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

LINE = b"cribl /// living the stream!\n"


def test_a_restricted_namespace_gets_loopback_by_itself(
    cluster: Cluster, release: Release, cribl: Cribl
) -> None:
    namespace = cluster.make_namespace(
        f"{release.name}-restricted", inject="enabled", enforce="restricted"
    )
    cluster.apply(pods.restricted(pods.node("strict", namespace)))
    (pod,) = cluster.ready_pods(namespace, "app.kubernetes.io/name=strict")
    assert status_of(pod)["redirect"] == "loopback"
    assert [c["name"] for c in pod["spec"]["initContainers"]] == ["telemock"]
    answer = cribl.telemetry(pod, "by-loopback")
    assert base64.b64decode(answer["body"]) == LINE, answer
    assert release.capture("by-loopback")["workload"]["namespace"] == namespace
    plain = cribl.call(pod, "http://cdn.cribl.io/telemetry/")
    assert base64.b64decode(plain["body"]) == LINE


def test_loopback_leaves_data_alone_and_passes_downloads(
    cluster: Cluster, release: Release, cribl: Cribl
) -> None:
    node = cribl.start(
        "loopback", annotations={"redirect": "loopback"}, spec=cribl.through_vendor()
    )
    answer = cribl.call(node, "https://elsewhere.test/")
    assert answer["error"] == "UNABLE_TO_VERIFY_LEAF_SIGNATURE"
    assert cribl.call(node, "http://cdn.cribl.io/dl/x.tgz")["size"] > 1_000_000


def test_all_splices_what_no_profile_names_and_lists_it(
    cluster: Cluster, release: Release, cribl: Cribl
) -> None:
    node = cribl.start("everything", annotations={"redirect": "all"}, spec=cribl.through_vendor())
    assert status_of(node)["redirect"] == "all"
    # Spliced: the vendor's own certificate arrives, which this client does not trust.
    answer = cribl.call(node, "https://elsewhere.test/")
    assert answer["error"] == "UNABLE_TO_VERIFY_LEAF_SIGNATURE", answer
    name = node["metadata"]["name"]
    (spliced,) = until(
        lambda: [c for c in release.captures(kind="spliced", workload=f"{cribl.namespace}/{name}")],
        "the spliced connection is listed",
    )
    assert spliced["tls"]["sni"] == "elsewhere.test"
    assert spliced["received"] > 0
    told = cribl.telemetry(node, "in-all")
    assert base64.b64decode(told["body"]) == LINE, told
    release.capture("in-all")


def test_after_its_time_all_opens_nothing(cribl: Cribl) -> None:
    """A duration from the pod's creation that is over when the first connection comes."""
    node = cribl.start(
        "over", annotations={"redirect": "all", "all-until": "1s"}, spec=cribl.through_vendor()
    )
    answer = cribl.telemetry(node, "unread")
    assert answer["error"] == "UNABLE_TO_VERIFY_LEAF_SIGNATURE", answer  # the vendor's own


@pytest.mark.parametrize("redirect", ["hosts", "loopback"])
def test_over_ipv6(cluster: Cluster, cribl: Cribl, redirect: str) -> None:
    addresses = [i["ip"] for i in cribl.leader["status"]["podIPs"]]
    if not any(":" in a for a in addresses):
        pytest.skip("pods have no IPv6 here; tests/unit/addon proves it in network namespaces")
    node = cribl.start(f"six-{redirect}", annotations={"redirect": redirect})
    answer = cribl.call(node, "https://cdn.cribl.io/telemetry/", family=str(int(socket.AF_INET6)))
    assert base64.b64decode(answer["body"]) == LINE
