"""The profiles' ConfigMap: changed ones are used, broken ones are not."""

import base64
import subprocess
from itertools import count
from typing import Any

import pytest

from tests.e2e.cluster import Cluster, until
from tests.e2e.conftest import Cribl
from tests.e2e.release import TELEMOCK, Release

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

PROFILE = """\
id: e2e
title: A vendor of the tests
licence: {class: none, note: made up}
hosts: [telemetry.e2e.test]
evidence: [{claim: made up, source: tests, verified: 2026-11-24}]
rules:
  - id: all
    match: {path: {prefix: /}}
    action: mock
    answer: {body: "%s\\n"}
"""
BROKEN = "id: e2e\nhosts: [telemetry.e2e.test\n"


def put(cluster: Cluster, release: Release, text: str) -> None:
    name = f"{release.name}-profiles"
    found = cluster.get("v1", "ConfigMap", name, release.namespace)
    cluster.core.patch_namespaced_config_map(
        name, release.namespace, {"data": {**(found.get("data") or {}), "e2e.yaml": text}}
    )
    # The kubelet looks once a minute by itself, and at once when the pod changes.
    for pod in (release.app_pod(), *release.injector_pods()):
        cluster.core.patch_namespaced_pod(
            pod["metadata"]["name"],
            release.namespace,
            {"metadata": {"annotations": {"telemock.test/poke": str(hash(text))}}},
        )


def health(cluster: Cluster, release: Release) -> dict[str, Any]:
    found: dict[str, Any] = cluster.ask(release.app_pod(), 8000, "/health")["profiles"]
    return found


def test_a_new_profile_reaches_new_pods(cluster: Cluster, release: Release, cribl: Cribl) -> None:
    before = health(cluster, release)["etag"]
    put(cluster, release, PROFILE % "first")
    until(lambda: health(cluster, release)["etag"] != before, "the app has the profile", 120)
    for pod in release.injector_pods():
        until(lambda pod=pod: "e2e" in injector_profiles(cluster, pod), "an injector has it", 120)
    node = cribl.start("two-vendors", annotations={"profiles": "cribl,e2e"})
    answer = until(
        lambda: [a for a in [cribl.call(node, "https://telemetry.e2e.test/x")] if "body" in a],
        "the sidecar has the profile",
    )[0]
    assert base64.b64decode(answer["body"]) == b"first\n"


def injector_profiles(cluster: Cluster, pod: dict[str, Any]) -> list[str]:
    found: list[str] = cluster.ask(pod, 9443, "/health", scheme="https")["profiles"]["ids"]
    return found


def test_a_broken_one_is_told_and_the_last_good_one_stays(
    cluster: Cluster, release: Release, cribl: Cribl
) -> None:
    put(cluster, release, BROKEN)
    error = until(lambda: health(cluster, release)["error"], "/health says it", 120)
    assert "e2e.yaml" in error
    until(
        lambda: [
            e
            for e in cluster.events(release.namespace)
            if "e2e.yaml" in (e.get("message") or "") and e["type"] == "Warning"
        ],
        "an Event says it",
    )
    (node,) = cluster.ready_pods(cribl.namespace, "app.kubernetes.io/name=two-vendors")
    answer = cribl.call(node, "https://telemetry.e2e.test/x")
    assert base64.b64decode(answer["body"]) == b"first\n"
    assert cribl.telemetry(node, "with-broken-profile")["status"] == 200


def test_a_broken_one_stops_no_restart(cluster: Cluster, release: Release, cribl: Cribl) -> None:
    """App and injectors are started anew beside the broken file: its last good version is used, and
    all others are."""
    old = [release.app_pod(), *release.injector_pods()]
    for pod in old:
        cluster.core.delete_namespaced_pod(pod["metadata"]["name"], release.namespace)
    gone = {pod["metadata"]["uid"] for pod in old}
    until(
        lambda: (
            not gone & {p["metadata"]["uid"] for p in cluster.find("v1", "Pod", release.namespace)}
        ),
        "the former pods are gone",
        90,
    )
    release.rolled_out()
    assert "e2e.yaml stays as it was last good" in health(cluster, release)["error"]
    assert "telemock_profiles_reload_failed 1.0" in cluster.ask(release.app_pod(), 8000, "/metrics")
    for pod in release.injector_pods():
        assert injector_profiles(cluster, pod) == ["cribl", "e2e"]
    node = cribl.start("after-restart", annotations={"profiles": "cribl,e2e"})
    answer = until(
        lambda: [a for a in [cribl.call(node, "https://telemetry.e2e.test/x")] if "body" in a],
        "the sidecar has the profile",
    )[0]
    assert base64.b64decode(answer["body"]) == b"first\n"
    assert cribl.telemetry(node, "after-restart")["status"] == 200
    said = subprocess.run(
        [TELEMOCK, "status", "-n", cribl.namespace], capture_output=True, text=True, timeout=60
    )
    assert "the app: a profile is refused: " in said.stderr and "e2e.yaml" in said.stderr


LINE = "<14>version=3.9.1;hostname=web-7;api_key=SECRET-OF-E2E"
SEND = f"""
const tls = require('tls'), fs = require('fs');
const ca = fs.readFileSync(process.env.NODE_EXTRA_CA_CERTS);
const host = 'telemetry.e2e.test';
const s = tls.connect({{host, servername: host, port: 61833, ca}});
s.on('secureConnect', () => s.end('{LINE}\\n'));
s.on('error', (e) => {{ console.log(e.code); process.exit(0); }});
s.on('close', () => console.log('sent'));
"""


def test_a_profile_s_own_ports_are_redirected_and_their_lines_recorded(
    cluster: Cluster, release: Release, cribl: Cribl
) -> None:
    """A pod keeps the ports that it started with, and is told to be restarted for new ones."""
    profiles = {"profiles": "cribl,e2e"}
    old = cribl.start("before-ports", annotations=profiles)
    before = health(cluster, release)["etag"]
    ports = PROFILE.replace(
        "[telemetry.e2e.test]", "[{name: telemetry.e2e.test, ports: [4319, 61833]}]"
    )
    put(cluster, release, ports.replace("match: {path: {prefix: /}}", "match: {}") % "by port")
    until(lambda: health(cluster, release)["etag"] != before, "the app has the profile", 120)
    numbers = count()

    def with_ports(redirect: str) -> list[dict[str, Any]]:
        """A node that an injector made which has the profile."""
        name = f"ports-{redirect}-{next(numbers)}"
        node = cribl.start(name, annotations={**profiles, "redirect": redirect})
        return [node] if "TELEMOCK_PORTS" in str(node["spec"]["initContainers"]) else []

    for redirect in ("hosts", "loopback"):
        node = until(lambda redirect=redirect: with_ports(redirect), "an injector has it", 120)[0]
        answer = until(
            lambda node=node: [
                a for a in [cribl.call(node, "https://telemetry.e2e.test:4319/x")] if "body" in a
            ],
            "the sidecar has the profile",
        )[0]
        assert base64.b64decode(answer["body"]) == b"by port\n"
        assert cluster.run(node, "cribl", "node", "-e", SEND).strip() == "sent"
        workload = f"{cribl.namespace}/{node['metadata']['name']}"
        (line,) = until(
            lambda workload=workload: release.captures(kind="message", workload=workload),
            "the line is recorded",
        )
        assert (line["profile"], line["rule"], line["action"]) == ("e2e", "all", "mock")
        assert line["message"]["body"]["text"] == f"{LINE.partition('SECRET')[0]}***\n"
    assert cluster.run(old, "cribl", "node", "-e", SEND).strip() == "ECONNREFUSED"
    said = subprocess.run(
        [TELEMOCK, "status", "-n", cribl.namespace], capture_output=True, text=True, timeout=60
    )
    assert "telemetry.e2e.test:4319, telemetry.e2e.test:61833" in said.stdout + said.stderr


def test_helm_refuses_a_broken_one_before_it_changes_anything(
    release: Release, values: dict[str, Any]
) -> None:
    broken = {**values, "mode": "block", "profiles": {"extra": {"bad": BROKEN}}}
    before = release.helm("history", release.name, "--max", "1", "-o", "yaml")
    assert "deployed" in before
    name = f"{release.name}-profiles-check"
    try:
        with pytest.raises(AssertionError) as refused:
            release.upgrade(broken)
        assert "pre-upgrade hooks failed" in str(refused.value)
        app = release.app_pod()["spec"]["containers"][0]
        assert {"name": "TELEMOCK_MODE", "value": "block"} not in app["env"]
        # The failed pod stays, for its log.
        pod = release.cluster.get("v1", "Pod", name, release.namespace)
        assert "is not valid YAML" in release.cluster.logs(pod)
    finally:
        release.cluster.delete("v1", "Pod", name, release.namespace)
        release.cluster.delete("v1", "ConfigMap", name, release.namespace)
        release.upgrade(values)  # the last revision is a good one again


def test_a_mended_one_is_used(cluster: Cluster, release: Release, cribl: Cribl) -> None:
    put(cluster, release, PROFILE % "second")
    until(lambda: not health(cluster, release)["error"], "/health is well again", 120)
    (node,) = cluster.ready_pods(cribl.namespace, "app.kubernetes.io/name=two-vendors")
    until(
        lambda: (
            base64.b64decode(cribl.call(node, "https://telemetry.e2e.test/x").get("body", ""))
            == b"second\n"
        ),
        "the sidecar got the new profile",
        90,
    )
