"""What rules a sidecar out, and what does not."""

from typing import Any

import pytest

from app.contract import names
from app.inject import NamespaceFacts
from app.inject.conflicts import impossible, impossible_with, label_value, untouched

PRIVILEGED, BASELINE = NamespaceFacts(), NamespaceFacts("n", {}, "baseline")


def spec(*ports: Any, **fields: Any) -> dict[str, Any]:
    container = {"name": "app", "ports": [{"containerPort": p} for p in ports], **fields}
    return {"containers": [container]}


def ids(found: Any) -> list[str]:
    return [r.id for r in found]


@pytest.mark.parametrize("port", [17443, 17490])
def test_our_ports(port: int) -> None:
    assert ids(impossible(spec(port))) == ["port_taken"]
    assert ids(impossible({"initContainers": spec(port)["containers"]})) == ["port_taken"]


@pytest.mark.parametrize("port", [15001, 15006, 15090, 8000, 443, 80])
def test_other_ports(port: int) -> None:
    assert impossible(spec(port)) == []


def test_udp_is_another_port() -> None:
    given = spec()
    given["containers"][0]["ports"] = [{"containerPort": 17443, "protocol": "UDP"}]
    assert impossible(given) == []


def test_web_ports_matter_for_loopback_only() -> None:
    assert ids(impossible_with("loopback", spec(443, 80), PRIVILEGED)) == [
        "loopback_port_taken", "loopback_port_taken",
    ]  # fmt: skip
    assert impossible_with("hosts", spec(443, 80), PRIVILEGED) == []


def test_linux_selected_is_no_conflict() -> None:
    given = {**spec(), "os": {"name": "linux"}, "nodeSelector": {"kubernetes.io/os": "linux"}}
    assert impossible(given) == []


@pytest.mark.parametrize("redirect", ["hosts", "all"])
def test_net_admin(redirect: Any) -> None:
    assert ids(impossible_with(redirect, spec(), BASELINE)) == ["net_admin_forbidden"]
    assert impossible_with("loopback", spec(), BASELINE) == []


@pytest.mark.parametrize(
    ("of_pod", "of_container", "clash"),
    [(2931, None, True), (None, 2931, True), (2931, 1000, False), (1000, None, False)],
)
def test_our_user(of_pod: int | None, of_container: int | None, clash: bool) -> None:
    own = {} if of_container is None else {"securityContext": {"runAsUser": of_container}}
    given = {**spec(**own), "securityContext": {"runAsUser": of_pod}}
    assert bool(impossible_with("all", given, PRIVILEGED)) is clash
    assert impossible_with("hosts", given, PRIVILEGED) == []


@pytest.mark.parametrize(
    ("value", "clash"), [("0", False), ("80", False), ("81", True), ("x", True)]
)
def test_the_sysctl(value: str, clash: bool) -> None:
    own = {"name": "net.ipv4.ip_unprivileged_port_start", "value": value}
    given = {**spec(), "securityContext": {"sysctls": [own]}}
    assert bool(impossible_with("loopback", given, PRIVILEGED)) is clash


def test_a_container_of_our_name_that_is_no_sidecar_is_a_conflict() -> None:
    own = {"initContainers": [{"name": names.CONTAINER_SIDECAR}]}
    assert untouched({"spec": own}, PRIVILEGED) is None
    assert ids(impossible(own)) == ["name_taken"]


def test_the_pod_s_label_wins_over_the_namespace_s() -> None:
    disabled = NamespaceFacts("n", {names.LABEL_INJECT: names.INJECT_DISABLED})
    enabled = {"metadata": {"labels": {names.LABEL_INJECT: names.INJECT_ENABLED}}}
    assert untouched(enabled, disabled) is None
    assert label_value(enabled) is None
    assert label_value({}) is None


def test_ports_of_hosts_matter_for_loopback_only() -> None:
    given = spec(ports=[{"containerPort": 4319}])
    assert ids(impossible_with("loopback", given, PRIVILEGED)) == []
    more = {"a.example": (4319,)}
    assert ids(impossible_with("loopback", given, PRIVILEGED, more)) == ["loopback_port_taken"]
    assert impossible_with("hosts", given, PRIVILEGED, more) == []
