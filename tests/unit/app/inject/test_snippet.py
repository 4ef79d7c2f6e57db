"""The values make, by the official charts' templates, a pod like an injected one."""

from typing import Any

import pytest

from app.contract import names
from app.inject import inject
from app.inject.kube_yaml import read
from app.inject.settings import Redirect
from app.inject.snippet import Chart, values
from tests.unit.app.inject.test_pod import pod, settings

CHARTS: list[Chart] = ["leader", "workergroup", "edge"]
ALIASES = [("192.0.2.1", "cdn.cribl.io"), ("100::1", "cdn.cribl.io")]


def made(chart: Chart, redirect: Redirect = "hosts") -> dict[str, Any]:
    found: dict[str, Any] = read(values(chart, settings(mode="observe"), redirect))
    return found


@pytest.mark.parametrize("chart", CHARTS)
def test_the_sidecar_is_that_of_an_injected_pod_but_for_its_mounts(chart: Chart) -> None:
    injected = inject(pod(), settings(mode="observe")).pod["spec"]["initContainers"]
    found = made(chart)["extraInitContainers"]
    for ours, theirs in zip(found, injected, strict=False):
        for key in theirs.keys() - {"volumeMounts", "env"}:
            assert ours[key] == theirs[key]
        names_of = [{v["name"] for v in c["env"]} for c in (ours, theirs)]
        assert names_of[0] == names_of[1]
    places = [{m["mountPath"] for m in c["volumeMounts"]} for c in (found[0], injected[0])]
    assert places[0] == places[1]


@pytest.mark.parametrize("chart", CHARTS)
def test_the_key_is_in_a_folder_that_cribl_does_not_mount(chart: Chart) -> None:
    found = made(chart)
    sidecar = found["extraInitContainers"][0]
    (key,) = [m for m in sidecar["volumeMounts"] if m["mountPath"] == names.MOUNT_CA]
    theirs = [m for m in found["extraVolumeMounts"] if m["name"] == key["name"]]
    assert [(m["subPath"], m["readOnly"]) for m in theirs] == [("trust", True)]
    assert key["subPath"] == "ca"


@pytest.mark.parametrize("chart", CHARTS)
def test_no_container_of_ours_gets_the_application_s_api_token(chart: Chart) -> None:
    found = made(chart)
    theirs = [m.get("subPath") for m in found["extraVolumeMounts"]]
    for container in found["extraInitContainers"]:
        (over,) = [m for m in container["volumeMounts"] if m["mountPath"] == names.MOUNT_API_TOKEN]
        assert over["readOnly"] is True
        assert over["subPath"] not in theirs


@pytest.mark.parametrize("chart", CHARTS)
def test_every_volume_is_made_once_and_by_the_chart(chart: Chart) -> None:
    found = made(chart)
    volumes = [m["name"] for m in (*found["extraVolumeMounts"], *found["extraSecretMounts"])]
    assert len(set(volumes)) == len(volumes)
    for container in found["extraInitContainers"]:
        assert {m["name"] for m in container.get("volumeMounts", [])} <= set(volumes)


@pytest.mark.parametrize("chart", CHARTS)
def test_hosts_are_in_the_file_that_cribl_reads(chart: Chart) -> None:
    found = made(chart)
    if chart == "workergroup":
        aliases = found["extraPodConfigs"]["hostAliases"]
        assert [(a["ip"], *a["hostnames"]) for a in aliases] == ALIASES
        return
    writer = found["extraInitContainers"][-1]
    assert writer["command"][-2:] == [" ".join(a) for a in ALIASES]
    (mount,) = [m for m in found["extraVolumeMounts"] if m["mountPath"] == "/etc/hosts"]
    assert mount["name"] == writer["volumeMounts"][0]["name"]


def test_the_writer_adds_to_the_pod_s_own_file(tmp_path: Any) -> None:
    import subprocess
    import sys
    from pathlib import Path

    command = made("leader")["extraInitContainers"][-1]["command"]
    target = tmp_path / "hosts"
    at = command.index("/hosts/hosts")
    subprocess.run([sys.executable, *command[1:at], str(target), *command[at + 1 :]], check=True)
    own = Path("/etc/hosts").read_text()
    assert target.read_text() == f"{own}192.0.2.1 cdn.cribl.io\n100::1 cdn.cribl.io\n"


def test_edge_keeps_the_mount_that_its_chart_has_by_default() -> None:
    found = made("edge")
    assert {
        "name": "host-root",
        "mountPath": "/hostfs",
        "hostPath": "/",
        "readonly": True,
    } in found["extraVolumeMounts"]
    assert found["extraEnv"] == {"NODE_EXTRA_CA_CERTS": "/etc/telemock/trust/ca.pem"}
    assert "env" not in found


def test_all_is_passed_on() -> None:
    assert made("workergroup", "all")["extraInitContainers"][1]["args"][0] == "--mode=all"


def test_what_the_chart_cannot_do_is_said() -> None:
    assert "deployment: statefulset" in values("workergroup", settings(), "hosts")
    assert "deployment: statefulset" not in values("leader", settings(), "hosts")
