"""What breaks, and what does not break with it."""

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from kubernetes.dynamic.exceptions import DynamicApiError

from tests.e2e import pods
from tests.e2e.cluster import Cluster, restarts, status_of, until
from tests.e2e.conftest import Cribl
from tests.e2e.release import TELEMOCK, Release
from tests.e2e.watching import watching

SIDECAR = "-m addon"  # how its command ends

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


def test_without_the_app_clients_are_answered_and_nothing_is_lost(
    cluster: Cluster, release: Release, cribl: Cribl
) -> None:
    leader, worker = cribl.leader, cribl.workers[0]
    sent = []

    def report(pod: dict[str, object], part: str, count: int) -> None:
        for n in range(count):
            tag = f"outage-{part}-{n}"
            answer = cribl.telemetry(pod, tag)
            assert answer["status"] == 200, answer
            sent.append(tag)

    report(leader, "before", 10)
    cluster.scale(release.app, release.namespace, 0)
    try:
        report(leader, "leader", 30)
        report(worker, "worker", 30)
    finally:
        cluster.scale(release.app, release.namespace, 1)
    report(leader, "after", 10)

    def all_there() -> bool:
        return {t for t, _ in release.tagged("outage-")} >= set(sent)

    until(all_there, "every report is in the store", 90)
    assert sorted(t for t, _ in release.tagged("outage-")) == sorted(sent)  # and none twice


def test_clients_that_keep_their_connections_are_answered_through_an_outage(
    cluster: Cluster, release: Release, cribl: Cribl
) -> None:
    """At 25 requests a second over two connections, each meets the second in which the app that
    failed is not asked again with requests behind it."""
    leader, count = cribl.leader, 500
    paced = {"count": str(count), "pace": "40", "sockets": "2", "tag": "kept"}
    with ThreadPoolExecutor(1) as one:
        asking = one.submit(cluster.ask, leader, 9000, "/test/burst", **paced)
        try:
            cluster.scale(release.app, release.namespace, 0)
        finally:
            cluster.scale(release.app, release.namespace, 1)
        seen = asking.result(120)
    assert seen["answered"] == count
    assert seen["slowestMs"] < 10_000  # TELEMOCK_ANSWER_SECONDS
    sidecar = cluster.ask(leader, 17490, "/health")["shipper"]
    assert sidecar["dropped"] == {}
    fell_back = {"app_unreachable", "app_error", "circuit_open"}
    found = until(
        lambda: len(f := release.tagged("kept-")) >= count and f, "all are in the store", 90
    )
    assert len(found) == len({tag for tag, _ in found}) == count
    assert fell_back & {record.get("reason") for _, record in found}, "the app was never away"
    missing = release.api("/api/v1/report").json()["missing"]
    assert [m for m in missing if m["pod"] == leader["metadata"]["name"]] == []


KILLS = 5  # of one container: by the second one the kubelet would wait before it starts it again


def test_a_killed_sidecar_stops_telemetry_and_nothing_else(
    cluster: Cluster, release: Release, cribl: Cribl
) -> None:
    node = cribl.start(
        "victim",
        spec={"shareProcessNamespace": True},
        env={"CRIBL_DIST_MASTER_URL": "tcp://token@leader:4200"},
    )
    cluster.apply(pods.service("victim", cribl.namespace, 9000))
    until(lambda: cluster.ask(node, 9000, "/test/beats")["echoed"] > 5, "heartbeats run")
    assert cribl.telemetry(node, "before-kill")["status"] == 200
    release.capture("before-kill")
    cluster.ask(node, 9000, "/test/beats", reset="1")
    failed = 0
    with watching(cluster, node, "victim") as seen:
        for n in range(KILLS):
            until(
                lambda: cluster.ask(node, 9000, "/test/kill", command=SIDECAR)["killed"],
                "there is a sidecar to kill",
            )
            failed += cribl.telemetry(node, "while-dead").get("status") != 200
            until(
                lambda n=n: cluster.ask(node, 17490, "/health")["restarts"] == n + 1,
                "the sidecar is up again",
            )
        until(
            lambda: cribl.telemetry(node, "after-kill").get("status") == 200,
            "telemetry is answered again",
        )
    beats = cluster.ask(node, 9000, "/test/beats")
    assert seen.pod and set(seen.pod) == {True}, "the pod was not Ready all along"
    assert seen.endpoint and set(seen.endpoint) == {True}, "the pod left its Service"
    assert beats["reconnects"] == 0
    assert beats["longestGapMs"] < 1000
    assert beats["echoed"] >= beats["sent"] - 2
    assert failed, "the sidecar was never away: this test shows nothing"
    (node,) = cluster.ready_pods(cribl.namespace, "app.kubernetes.io/name=victim")
    assert restarts(node, "telemock") == restarts(node, "cribl") == 0
    assert "was killed by signal 9" in cluster.logs(node, "telemock")
    for tag in ("before-kill", "after-kill"):
        until(lambda tag=tag: release.tagged(tag), f"the capture {tag} is in the store")


def test_what_a_killed_sidecar_had_accepted_arrives(
    cluster: Cluster, release: Release, cribl: Cribl
) -> None:
    """Killed while the app is away, so that all of it waits in the pod's spool."""
    node = cribl.start("survivor", spec={"shareProcessNamespace": True})
    cluster.scale(release.app, release.namespace, 0)
    try:
        sent = [f"spooled-{n}" for n in range(20)]
        for tag in sent:
            assert cribl.telemetry(node, tag)["status"] == 200
        until(
            lambda: cluster.ask(node, 17490, "/health")["shipper"]["spool_records"] >= len(sent),
            "all of them are on disk",
        )
        assert cluster.ask(node, 9000, "/test/kill", command=SIDECAR)["killed"]
        until(
            lambda: cluster.ask(node, 17490, "/health")["restarts"] == 1,
            "the sidecar is started again",
        )
    finally:
        cluster.scale(release.app, release.namespace, 1)
    until(lambda: len(release.tagged("spooled-")) >= len(sent), "they are in the store", 90)
    assert sorted(t for t, _ in release.tagged("spooled-")) == sorted(sent)


def test_without_the_injector_a_namespace_s_pods_start_and_a_pod_s_own_wish_is_refused(
    cluster: Cluster, release: Release, cribl: Cribl
) -> None:
    release.scale_injectors(0)
    try:
        (made,) = until(
            lambda: cluster.apply(pods.node("unserved", cribl.namespace), dry_run=True),
            "the API server lets the pod in",
        )
        assert status_of(made) == {}
        asked = pods.node(
            "insists", f"{release.name}-plain", labels={"telemock.io/inject": "enabled"}
        )
        with pytest.raises(DynamicApiError) as refused:
            cluster.apply(asked, dry_run=True)
        assert "telemock" in str(refused.value)
    finally:
        release.scale_injectors(1)

    def served() -> bool:
        (made,) = cluster.apply(pods.node("served-again", cribl.namespace), dry_run=True)
        return bool(status_of(made).get("injected"))

    until(served, "pods are injected again", 30)


def telemock(*arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [TELEMOCK, *arguments], capture_output=True, text=True, timeout=90, stdin=subprocess.DEVNULL
    )
    return done.returncode, done.stdout + done.stderr


def test_pods_that_were_rolled_out_without_an_injector_are_found_and_restarted(
    cluster: Cluster, release: Release, cribl: Cribl
) -> None:
    """Nothing stops the roll-out; afterwards metric, `status --check` and `restart` know of it."""
    namespace = cluster.make_namespace(f"{release.name}-missed", inject="enabled")
    web = pods.workload("Deployment", "web", namespace, "web", pods.node("web", namespace)["spec"])
    selector = "app.kubernetes.io/name=web"
    cluster.apply(web)
    (first,) = cluster.ready_pods(namespace, selector)
    assert status_of(first)["injected"] is True
    assert telemock("status", "-n", namespace, "--check")[0] == 0
    release.scale_injectors(0)
    try:
        web["spec"]["template"]["metadata"]["annotations"] = {"telemock.test/roll": "1"}
        cluster.apply(web)
        cluster.rolled_out("Deployment", "web", namespace)
        (missed,) = cluster.ready_pods(namespace, selector)
        assert status_of(missed) == {}
    finally:
        release.scale_injectors(1)
    code, said = telemock("status", "-n", namespace, "--check")
    restart = f"restart it: kubectl -n {namespace} rollout restart deployment/web"
    assert code == 1 and "no injector saw this pod" in said and restart in said

    def counted() -> bool:
        text = cluster.ask(release.injector_pods()[0], 9443, "/metrics", scheme="https")
        found = re.search(r'not_injected\{telemock_reason="unseen"\} ([0-9.]+)', text)
        return bool(found and float(found[1]) >= 1)

    until(counted, "the injector counts it", 90)
    code, said = telemock("restart", "-n", namespace)  # asks, and nobody answers
    assert code == 1 and "deployment/web: its pods have no sidecar" in said
    code, said = telemock("restart", "-n", namespace, "--yes")
    assert code == 0 and f"restarted {namespace} deployment/web" in said
    cluster.rolled_out("Deployment", "web", namespace)
    (mended,) = cluster.ready_pods(namespace, selector)
    assert status_of(mended)["injected"] is True
    assert telemock("status", "-n", namespace, "--check")[0] == 0
    assert "nothing to restart" in telemock("restart", "-n", namespace, "--yes")[1]
