"""Who may read captures, and who may send them, decided by the cluster's API server."""

import json
import ssl
from typing import Any

import httpx
import pytest

from tests.e2e import pods
from tests.e2e.cluster import Cluster, Forward, until
from tests.e2e.conftest import Cribl
from tests.e2e.release import LOCAL, NOBODY, VIEWER, Release

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

CAPTURES = "/api/v1/captures"


def test_without_a_token_nobody_reads(release: Release) -> None:
    assert release.api(CAPTURES, account="").status_code == 401
    assert release.api_with("made-up", CAPTURES).status_code == 401


def test_a_known_account_without_the_role_reads_nothing(release: Release) -> None:
    answer = release.api(CAPTURES, account=NOBODY)
    assert answer.status_code == 403
    assert "captures.telemock.io" in answer.text


def test_the_role_is_enough(release: Release) -> None:
    assert release.api(CAPTURES, account=VIEWER).status_code == 200


def test_a_sidecar_s_token_does_not_read(cluster: Cluster, cribl: Cribl) -> None:
    for path in (CAPTURES, "/api/v1/report"):
        assert in_sidecar(cluster, cribl.leader, path)[0] in (401, 403)


def in_sidecar(
    cluster: Cluster, pod: dict[str, Any], path: str, content: str = ""
) -> tuple[int, str]:
    """GET, or POST of the content, with what the sidecar in `pod` has."""
    ask = (
        "import os, ssl, sys, urllib.request as u, urllib.error\n"
        "c = ssl.create_default_context(cadata=os.environ['TELEMOCK_API_CA_PEM'])\n"
        "t = open(os.environ['TELEMOCK_TOKEN_FILE']).read().strip()\n"
        "url, body = os.environ['TELEMOCK_API_URL'] + sys.argv[1], sys.argv[2].encode() or None\n"
        "r = u.Request(url, body,\n"
        "  {'authorization': 'Bearer ' + t, 'content-type': 'application/x-ndjson'})\n"
        "try: a = u.urlopen(r, context=c, timeout=10)\n"
        "except urllib.error.HTTPError as e: a = e\n"
        "print(a.status, a.read().decode())\n"
    )
    status, _, body = cluster.run(pod, "telemock", "python", "-c", ask, path, content).partition(
        " "
    )
    return int(status), body


def test_a_viewer_s_token_does_not_send(release: Release) -> None:
    token = release.cluster.token(VIEWER, release.namespace)
    assert release.api_with(token, CAPTURES, "POST").status_code in (401, 403)


def test_the_plain_port_has_no_api(cluster: Cluster, release: Release) -> None:
    token = cluster.token(VIEWER, release.namespace)
    with Forward(release.namespace, f"service/{release.app}", 8000) as port:
        answer = httpx.get(
            f"http://127.0.0.1:{port}{CAPTURES}",
            headers={"authorization": f"Bearer {token}"},
            trust_env=False,
        )
        assert answer.status_code in (403, 404)
        assert httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).status_code == 200


def test_a_record_is_its_sender_s_whatever_it_says(
    cluster: Cluster, release: Release, cribl: Cribl
) -> None:
    """The sidecar's own token, used from inside the pod to speak for another one."""
    leader = cribl.leader
    record = {
        "schema": 1, "boot": "f0" * 8, "seq": 1, "kind": "exchange", "time_ns": 1,
        "workload": {"namespace": "kube-system", "pod": "somebody-else", "uid": "x"},
        "product_version": "forged",
    }  # fmt: skip
    status, said = in_sidecar(cluster, leader, CAPTURES, json.dumps(record))
    assert (status, json.loads(said)["stored"]) == (200, 1)
    stored = release.captures(version="forged")
    assert [c["workload"]["pod"] for c in stored] == [leader["metadata"]["name"]]
    assert [c["workload"]["namespace"] for c in stored] == [cribl.namespace]


def test_the_certificate_is_the_release_s(release: Release) -> None:
    with Forward(release.namespace, f"service/{release.app}", 8443) as port:
        system = ssl.create_default_context()
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"https://localhost:{port}/health", verify=system, trust_env=False)
    until(lambda: release.api("/api/v1/captures").status_code == 200, "the release's CA fits")


def test_a_role_in_a_namespace_opens_its_captures_and_nothing_else(
    cluster: Cluster, release: Release, cribl: Cribl
) -> None:
    other = cluster.make_namespace(f"{release.name}-other", inject="enabled")
    cluster.apply(pods.node("elsewhere", other))
    (elsewhere,) = cluster.ready_pods(other, "app.kubernetes.io/name=elsewhere")
    for pod, tag in ((cribl.leader, "mine"), (elsewhere, "not-mine")):
        assert cribl.telemetry(pod, f"bounded-{tag}")["status"] == 200
        release.capture(f"bounded-{tag}")
    release.let_read(cribl.namespace)

    def ask(path: str, **parameters: str) -> httpx.Response:
        return release.api(path, account=LOCAL, **parameters)

    answer = until(
        lambda: (found := ask(CAPTURES, limit="1000")).status_code == 200 and found,
        "the role is known",
    )
    spaces = {item["workload"]["namespace"] for item in answer.json()["items"]}
    assert spaces == {cribl.namespace}
    assert ask(CAPTURES, workload=f"{other}/").status_code == 403
    report = ask("/api/v1/report")
    assert report.status_code == 200 and report.json()["count"] >= 1
    assert other not in report.text and "elsewhere" not in report.text
    for path in ("/api/v1/profiles", "/api/v1/explain?url=https://cdn.cribl.io/"):
        assert ask(path).status_code == 403
    foreign = release.capture("bounded-not-mine")["id"]
    assert ask(f"{CAPTURES}/{foreign}").status_code == 404
    own = release.capture("bounded-mine")["id"]
    assert ask(f"{CAPTURES}/{own}").status_code == 200


def test_metrics_with_names_need_tls_and_a_token(cluster: Cluster, release: Release) -> None:
    plain = cluster.ask(release.app_pod(), 8000, "/metrics")
    assert "telemock_store_records" in plain
    assert "telemock_workload_captures" not in plain and "cdn.cribl.io" not in plain
    assert "telemock_workload_captures" not in release.api("/metrics", account="").text
    assert release.api("/metrics", account=NOBODY).status_code == 403
    assert "telemock_workload_captures_total" in release.api("/metrics").text
