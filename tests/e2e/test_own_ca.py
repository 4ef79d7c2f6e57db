"""Applications with a list of certificates of their own: named, and mended by an annotation."""

import json
from typing import Any

import pytest
import trustme

from tests.e2e import pods
from tests.e2e.cluster import Cluster, status_of, until
from tests.e2e.conftest import Cribl
from tests.e2e.release import Release
from tests.e2e.test_status import run

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

FILE = "/etc/company/ca.pem"


def company(namespace: str) -> dict[str, Any]:
    pem = trustme.CA().cert_pem.bytes().decode()
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "company", "namespace": namespace},
        "data": {"ca.pem": pem},
    }


def with_list(name: str, namespace: str, file: str = FILE, **annotations: str) -> dict[str, Any]:
    """A node that knows its company's authorities by NODE_EXTRA_CA_CERTS."""
    pod = pods.node(
        name, namespace, env={"NODE_EXTRA_CA_CERTS": file}, annotations=annotations,
        spec={"volumes": [{"name": "company", "configMap": {"name": "company"}}]},
    )  # fmt: skip
    pod["spec"]["containers"][0]["volumeMounts"] = [
        {"name": "company", "mountPath": "/etc/company", "readOnly": True}
    ]
    return pod


def started(cluster: Cluster, pod: dict[str, Any]) -> dict[str, Any]:
    cluster.apply(pod)
    meta = pod["metadata"]
    (found,) = cluster.ready_pods(meta["namespace"], f"app.kubernetes.io/name={meta['name']}")
    return found


def problems(namespace: str, name: str) -> list[str]:
    rows = map(json.loads, run("status", "-n", namespace, "--json").splitlines())
    return [said for row in rows if row["pod"] == name for said in row["problems"]]


def test_without_it_the_client_refuses_and_status_says_what_helps(
    cluster: Cluster, release: Release, cribl: Cribl
) -> None:
    cluster.apply(company(cribl.namespace))
    pod = started(cluster, with_list("own-ca", cribl.namespace))
    assert status_of(pod)["reasons"] == ["own_ca"]
    cribl.telemetry(pod, "own-ca")
    until(
        lambda: [
            one for one in release.captures(kind="tls_rejected")
            if one.get("workload", {}).get("pod") == "own-ca"
        ],
        "the refusal is a capture",
        40,
    )  # fmt: skip
    said = problems(cribl.namespace, "own-ca")
    assert any("the annotation telemock.io/own-ca: append adds it to a copy" in s for s in said)
    assert release.tagged("own-ca") == []


def test_with_it_the_client_trusts_both(cluster: Cluster, release: Release, cribl: Cribl) -> None:
    pod = started(
        cluster, pods.restricted(with_list("own-ca-both", cribl.namespace, **{"own-ca": "append"}))
    )
    assert status_of(pod)["reasons"] == ["own_ca_appended"]
    (ours,) = [c for c in pod["spec"]["initContainers"] if c["name"] == "telemock-own-ca"]
    assert "NET_ADMIN" not in json.dumps(ours)
    (variable,) = [
        v["value"] for v in pod["spec"]["containers"][0]["env"]
        if v["name"] == "NODE_EXTRA_CA_CERTS"
    ]  # fmt: skip
    both = cluster.run(pod, "cribl", "cat", variable)
    assert cluster.run(pod, "cribl", "cat", FILE).strip() in both
    assert both.count("BEGIN CERTIFICATE") == 2
    cribl.telemetry(pod, "own-both")
    release.capture("own-both")
    assert problems(cribl.namespace, "own-ca-both") == []


def test_a_file_that_is_not_there_keeps_no_pod_from_starting(
    cluster: Cluster, cribl: Cribl
) -> None:
    pod = started(
        cluster, with_list("own-ca-none", cribl.namespace, "/etc/company/none.pem",
                           **{"own-ca": "append"})
    )  # fmt: skip
    assert cluster.run(pod, "cribl", "readlink", "/etc/telemock/trust/own/0.pem").strip() == (
        "/etc/company/none.pem"
    )
