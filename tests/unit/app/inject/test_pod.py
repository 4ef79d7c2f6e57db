"""Golden triples: golden/CASE/input.yaml becomes output.yaml for the reasons in reasons.txt.

TELEMOCK_UPDATE_GOLDEN=1 rewrites the last two. Comments of the input choose what the annotations do
not: `security: LEVEL`, `mode: MODE`, `extra: HOST` (of a second profile, with the hosts below it).
"""

import copy
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from app.contract import names
from app.contract.rules import Host, Profile, RuleSet
from app.inject import Injection, InjectSettings, NamespaceFacts, inject
from app.inject.manifest import ManifestOutcome, injected
from app.inject.reasons import reason
from app.profiles import load_profiles

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(p.name for p in GOLDEN.iterdir())
CRIBL = load_profiles(["cribl"])
AUTHORITY = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def settings(**more: Any) -> InjectSettings:
    fixed = {
        "image": "registry.example/telemock-sidecar:1",
        "app_url": "http://telemock.telemock.svc:8000",
        "api_url": "https://telemock.telemock.svc:8443",
        "api_ca": AUTHORITY,
        "rules": CRIBL,
        "version": "1",
    }
    return InjectSettings(**(fixed | more))


def extra(host: str) -> RuleSet:
    """Cribl's profile, and one of `host` and what is below it."""
    other = Profile("extra", "Extra", (Host(host), Host(host, suffix=True)), ())
    return RuleSet((*CRIBL.profiles, other), "etag")


def run(text: str) -> tuple[str, list[ManifestOutcome]]:
    """As the comments at the top of the case say."""
    found = dict(re.findall(r"(security|mode|extra): ([\w.]+)", text.split("\napi")[0]))
    chosen = settings(
        mode=found.get("mode", ""), rules=extra(found["extra"]) if "extra" in found else CRIBL
    )
    level = found.get("security", "")
    return injected(text, lambda pod, name: inject(pod, chosen, NamespaceFacts(name, {}, level)))


def told(outcomes: list[ManifestOutcome]) -> str:
    lines = []
    for outcome in outcomes:
        where, *_ = outcome.lines
        lines += [where, *(f"  {r.id}: {r.sentence}" for r in outcome.injection.reasons)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("case", CASES)
def test_golden(case: str) -> None:
    folder = GOLDEN / case
    output, outcomes = run((folder / "input.yaml").read_text())
    found = {"output.yaml": output, "reasons.txt": told(outcomes)}
    if os.environ.get("TELEMOCK_UPDATE_GOLDEN"):
        for name, text in found.items():
            (folder / name).write_text(text)
    for name, text in found.items():
        assert text == (folder / name).read_text()


@pytest.mark.parametrize(
    ("kind", "own"),
    [
        ("StatefulSet", "  replicas: 2\n  serviceName: workers\n"),
        ("DaemonSet", "  updateStrategy:\n    type: RollingUpdate\n"),
    ],
)
def test_what_cribls_chart_makes_instead_of_a_deployment_is_changed_alike(
    kind: str, own: str
) -> None:
    def instead(name: str) -> str:
        text = (GOLDEN / "workergroup-deployment" / name).read_text()
        return text.replace("Deployment", kind).replace("  replicas: 2\n", own)

    output, outcomes = run(instead("input.yaml"))
    assert (output, told(outcomes)) == (instead("output.yaml"), instead("reasons.txt"))


@pytest.mark.parametrize("case", CASES)
def test_injecting_twice_is_injecting_once(case: str) -> None:
    text = (GOLDEN / case / "input.yaml").read_text()
    once, outcomes = run(text)
    again, repeated = run("\n".join(re.findall(r"^# .*", text)) + "\n" + once)
    assert again.endswith(once)
    for first, second in zip(outcomes, repeated, strict=True):
        assert second.injection.pod == first.injection.pod


def pod(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "app"}], **spec}}


def with_meta(**metadata: Any) -> dict[str, Any]:
    return {**pod(), "metadata": metadata}


def ids(done: Injection) -> list[str]:
    return [r.id for r in done.reasons]


def status(done: Injection) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.pod["metadata"]["annotations"][names.ANNOTATION_STATUS])
    return found


def test_the_input_stays_as_it_is() -> None:
    given = pod(volumes=[{"name": "v", "emptyDir": {}}], securityContext={})
    before = copy.deepcopy(given)
    inject(given, settings(redirect="loopback"))
    assert given == before


def test_the_sidecar_is_first_and_what_is_not_known_stays() -> None:
    done = inject(pod(initContainers=[{"name": "own"}], newField=[{"x": 1}]), settings())
    assert done.injected
    assert [c["name"] for c in done.pod["spec"]["initContainers"]] == [
        names.CONTAINER_SIDECAR, names.CONTAINER_REDIRECT, "own",
    ]  # fmt: skip
    assert done.pod["spec"]["newField"] == [{"x": 1}]


def test_status_says_what_was_done() -> None:
    done = inject(pod(), settings(mode="observe", redirect="all"))
    assert status(done) == {
        "injected": True, "reasons": ["all_without_end"], "redirect": "all", "mode": "observe",
        "version": "1",
        "said": [
            "redirect all takes every connection to ports 80 and 443 and costs throughput; set "
            "telemock.io/all-until to a time at which it ends"
        ],
    }  # fmt: skip


def test_pods_with_a_sidecar_can_be_selected() -> None:
    done = inject(with_meta(labels={"app": "a"}), settings())
    assert done.pod["metadata"]["labels"] == {"app": "a", names.LABEL_INJECTED: "true"}
    left = inject(pod(hostNetwork=True), settings())
    assert "labels" not in left.pod["metadata"]


def test_status_of_a_pod_that_was_left_alone_is_replaced() -> None:
    before = inject(pod(hostNetwork=True), settings()).pod
    assert json.loads(before["metadata"]["annotations"][names.ANNOTATION_STATUS]) == {
        "injected": False, "reasons": ["host_network"], "redirect": "", "mode": "", "version": "1",
        "said": [reason("host_network").sentence],
    }  # fmt: skip
    del before["spec"]["hostNetwork"]
    assert status(inject(before, settings()))["injected"] is True


def test_a_status_without_a_sidecar_is_no_proof() -> None:
    forged = with_meta(annotations={names.ANNOTATION_STATUS: '{"injected":true}'})
    assert inject(forged, settings()).injected


def test_annotations_win_over_the_release() -> None:
    given = with_meta(
        annotations={names.ANNOTATION_MODE: "block", names.ANNOTATION_REDIRECT: "loopback"}
    )
    done = inject(given, settings(mode="observe", redirect="hosts"))
    assert (done.mode, done.redirect) == ("block", "loopback")


@pytest.mark.parametrize(
    ("level", "redirect"),
    [("", "hosts"), ("privileged", "hosts"), ("baseline", "loopback"), ("restricted", "loopback")],
)
def test_auto_goes_by_the_namespace_s_level(level: str, redirect: str) -> None:
    assert inject(pod(), settings(), NamespaceFacts("n", {}, level)).redirect == redirect


def test_the_namespace_s_label_counts_where_the_pod_has_none() -> None:
    facts = NamespaceFacts("n", {names.LABEL_INJECT: names.INJECT_DISABLED})
    left = inject(pod(), settings(), facts)
    assert ids(left) == ["namespace_opted_out"]
    assert left.pod == pod()
    enabled = with_meta(labels={names.LABEL_INJECT: names.INJECT_ENABLED})
    assert inject(enabled, settings(), facts).injected


def test_every_reason_to_leave_a_pod_alone_is_told_at_once() -> None:
    given = pod(hostNetwork=True, os={"name": "windows"})
    given["metadata"] = {
        "labels": {names.LABEL_INJECT: "yes"}, "annotations": {names.ANNOTATION_MODE: "x"},
    }  # fmt: skip
    assert ids(inject(given, settings())) == [
        "label_value", "mode_value", "windows", "host_network",
    ]  # fmt: skip


def test_without_a_host_there_is_nothing_to_redirect_but_in_all() -> None:
    none = settings(rules=RuleSet((), ""))
    assert ids(inject(pod(), none)) == ["no_hosts"]
    done = inject(pod(), settings(rules=RuleSet((), ""), redirect="all"))
    assert done.injected and "hostAliases" not in done.pod["spec"]


def test_loopback_keeps_a_sysctl_that_is_low_enough() -> None:
    own = {"name": "net.ipv4.ip_unprivileged_port_start", "value": "80"}
    done = inject(pod(securityContext={"sysctls": [own]}), settings(redirect="loopback"))
    assert done.pod["spec"]["securityContext"] == {"sysctls": [own]}


def test_a_restricted_pod_stays_restricted() -> None:
    """What the Pod Security Standard asks of every container."""
    done = inject(pod(), settings(), NamespaceFacts("n", {}, "restricted"))
    (sidecar,) = done.pod["spec"]["initContainers"]
    context = sidecar["securityContext"]
    assert context["runAsNonRoot"] and context["runAsUser"] > 0
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}


def test_null_in_place_of_lists_and_maps() -> None:
    given = {
        "metadata": {"annotations": None, "labels": None},
        "spec": {
            "containers": [{"name": "app", "env": None, "volumeMounts": None, "ports": None}],
            "initContainers": None, "volumes": None, "hostAliases": None, "securityContext": None,
            "nodeSelector": None, "os": None,
        },
    }  # fmt: skip
    for redirect in ("hosts", "loopback", "all"):
        assert inject(given, settings(redirect=redirect)).injected
