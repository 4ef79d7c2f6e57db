"""The sidecar's containers: settings that exist, and no more rights than needed."""

from typing import Any

import pytest

from addon import ready
from addon.options import SETTINGS, load
from addon.redirect.__main__ import parse
from app.contract import dummies, names
from app.contract.canary import setting as canary
from app.inject import hosts, inject
from app.inject.settings import Redirect, SecretKey
from app.inject.sidecar import Plan, api_url, containers, environment, volumes
from tests.unit.app.inject.test_pod import CRIBL, settings

_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"  # as Kubernetes' admission has it


def plan(redirect: Redirect = "hosts", **more: Any) -> Plan:
    chosen = hosts.chosen(CRIBL.profiles, {}, redirect)
    return Plan(
        settings(**more), redirect, "observe", chosen.named, chosen.addresses, "2h", "app", "app:$1"
    )


def variables(given: Plan) -> dict[str, str]:
    return {v["name"]: v.get("value", "") for v in environment(given)}


def test_every_variable_is_a_setting_of_the_sidecar() -> None:
    known = {s.name for s in SETTINGS} | {"POD_IP"}
    for redirect in ("hosts", "loopback", "all"):
        given = plan(redirect, egress_proxy="http://proxy:3128")  # type: ignore[arg-type]
        assert variables(given).keys() <= known


def test_the_sidecar_takes_its_settings() -> None:
    for redirect in ("hosts", "loopback", "all"):
        found = variables(plan(redirect, api_ca=""))  # type: ignore[arg-type]
        found |= {"POD_IP": "10.0.0.1", "TELEMOCK_HEALTH_HOST": "10.0.0.1"}
        chosen = load(found)
        assert chosen.app_url == "http://telemock.telemock.svc:8000"
        assert str(chosen.token_file) == "/var/run/secrets/telemock/token"
        assert bool(chosen.transparent) is (redirect != "loopback")
        assert chosen.mode == "observe"


def test_what_is_looked_for_is_what_the_sidecar_reads() -> None:
    given = plan(api_ca="")._replace(canary_images=("app:$1", "side:2", "app:$1"))
    assert [v for v in environment(given) if v["name"] == canary.ENV_ACCOUNT] == [
        {
            "name": canary.ENV_ACCOUNT,
            "valueFrom": {"fieldRef": {"fieldPath": "spec.serviceAccountName"}},
        }
    ]
    environ = variables(given) | {"POD_IP": "10.0.0.1", "TELEMOCK_HEALTH_HOST": "10.0.0.1"}
    environ |= {canary.ENV_ACCOUNT: "shop"}
    found = load(environ).canary
    assert found is not None
    told = {(c.source, c.values) for c in found.canaries}
    assert {
        ("service account", ("shop",)),
        ("image", ("side:2",)),
        ("pod IP", ("10.0.0.1",)),
    } <= told
    assert load(variables(plan(api_ca="")) | {"TELEMOCK_HEALTH_HOST": "10.0.0.1"}).canary is None


def test_redirects_take_their_addresses() -> None:
    (_, redirect) = containers(plan("all"))
    assert redirect["args"] == ["--mode=all", "--wait"]
    assert [d.host for d in parse(redirect["env"][0]["value"])] == ["cdn.cribl.io"] * 2
    own = plan("all", dummy_ranges=dummies.parse("10.9.0.0/24,fd09::/64"))
    given = {v["name"]: v.get("value") for v in containers(own)[1]["env"]}
    assert given[dummies.SETTING] == "10.9.0.0/24,fd09::/64"
    assert dummies.SETTING not in {v["name"] for v in redirect["env"]}
    found = variables(plan("loopback"))
    assert found["TELEMOCK_LOOPBACK"] == "127.0.0.2=cdn.cribl.io"
    assert "TELEMOCK_HOSTS" not in found


def test_the_end_is_for_all_only() -> None:
    assert "TELEMOCK_ALL_UNTIL" not in variables(plan("hosts"))
    assert variables(plan("all"))["TELEMOCK_ALL_UNTIL"] == "2h"


def test_a_rehearsal_is_the_sidecars() -> None:
    assert "TELEMOCK_REHEARSE" not in variables(plan())
    rehearsed = plan()._replace(rehearse="500 until 2h")
    assert variables(rehearsed)["TELEMOCK_REHEARSE"] == "500 until 2h"


def test_an_address_is_known_before_it_is_named() -> None:
    order = [v["name"] for v in environment(plan())]
    assert order.index("POD_IP") < order.index("TELEMOCK_HEALTH_HOST")


def test_kubernetes_does_not_read_variables_into_values() -> None:
    found = variables(plan(egress_proxy="http://u:$(HOME)@p:1"))
    assert found["TELEMOCK_WORKLOAD_IMAGE"] == "app:$$1"
    assert found["TELEMOCK_EGRESS_PROXY"] == "http://u:$$(HOME)@p:1"


def test_more_environment_does_not_replace_ours() -> None:
    more = {"OTEL_SERVICE_NAME": "x", "TELEMOCK_MODE": "block"}
    found = [(v["name"], v.get("value")) for v in environment(plan(env=more))]
    assert ("OTEL_SERVICE_NAME", "x") in found
    assert [value for name, value in found if name == "TELEMOCK_MODE"] == ["observe"]


def test_only_the_redirect_has_a_capability() -> None:
    sidecar, redirect = containers(plan())
    assert sidecar["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert redirect["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["NET_ADMIN"]}
    for container in (sidecar, redirect):
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert [m["mountPath"] for m in redirect["volumeMounts"]] == [names.MOUNT_API_TOKEN]
    assert [c["name"] for c in containers(plan("loopback"))] == [names.CONTAINER_SIDECAR]


def test_nothing_else_starts_before_the_sidecar_is_ready() -> None:
    """A startup probe would delay each pod by seconds."""
    sidecar, redirect = containers(plan())
    assert "lifecycle" not in sidecar
    assert "--wait" in redirect["args"]
    assert [e["name"] for e in redirect["env"]] == ["TELEMOCK_HOSTS", "TELEMOCK_HEALTH_HOST"]
    (alone,) = containers(plan("loopback"))
    hook = alone["lifecycle"]["postStart"]["exec"]["command"]
    assert hook == ["python", "-m", ready.__name__]
    for container in (sidecar, redirect, alone):
        assert "startupProbe" not in container


@pytest.mark.parametrize("redirect", ["hosts", "loopback", "all"])
def test_no_probe_touches_the_pod(redirect: Redirect) -> None:
    """Readiness counts for the pod; liveness ends the container, and that counts too."""
    for container in containers(plan(redirect)):
        assert not [key for key in container if key.endswith("Probe")]


@pytest.mark.parametrize("redirect", ["hosts", "loopback", "all"])
def test_something_empty_lies_where_kubernetes_mounts_the_application_s_token(
    redirect: Redirect,
) -> None:
    empty = {v["name"] for v in volumes() if v.get("emptyDir", {}).get("medium") == "Memory"}
    for container in containers(plan(redirect)):
        (mount,) = [m for m in container["volumeMounts"] if m["mountPath"] == _TOKEN]
        assert mount["name"] in empty
        assert mount["readOnly"] is True
        # Nobody writes there.
        others = [m for m in container["volumeMounts"] if m["name"] == mount["name"]]
        assert others == [mount]


@pytest.mark.parametrize(
    ("given", "limit"),
    [({}, "160Mi"), ({"TELEMOCK_SPOOL_SIZE": "1GiB"}, "1120Mi"),
     ({"TELEMOCK_SPOOL_SIZE": "much"}, "160Mi")],
)  # fmt: skip
def test_the_spool_s_volume_is_larger_than_the_spool(given: dict[str, str], limit: str) -> None:
    """A pod whose volume exceeds its limit is evicted."""
    (volume,) = [v for v in volumes(given) if v["name"] == names.VOLUME_SPOOL]
    assert volume["emptyDir"] == {"sizeLimit": limit}
    pod = {"metadata": {}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
    made = inject(pod, settings(env=given)).pod["spec"]["volumes"]
    assert volume in made


def test_every_mount_has_its_volume() -> None:
    mounted = {m["name"] for c in containers(plan()) for m in c["volumeMounts"]}
    assert mounted == {v["name"] for v in volumes()}


def test_the_pull_policy_is_kubernetes_own_unless_it_is_set() -> None:
    assert "imagePullPolicy" not in containers(plan())[0]
    assert {c["imagePullPolicy"] for c in containers(plan(pull_policy="Never"))} == {"Never"}


def test_api_url() -> None:
    assert api_url("http://telemock.ns.svc:8000") == "https://telemock.ns.svc:8443"
    assert api_url("http://[fd00::1]:8000") == "https://[fd00::1]:8443"


def test_headers_come_from_a_secret_unless_they_are_set() -> None:
    """It may be missing: a pod of another namespace must start all the same."""
    secret = SecretKey("collector", "headers")
    given = plan(otel_headers=secret)
    (found,) = [v for v in environment(given) if v["name"] == "OTEL_EXPORTER_OTLP_HEADERS"]
    assert found["valueFrom"] == {
        "secretKeyRef": {"name": "collector", "key": "headers", "optional": True}
    }
    own = plan(otel_headers=secret, env={"OTEL_EXPORTER_OTLP_HEADERS": "a=b"})
    named = [v["name"] for v in environment(own)]
    assert named.count("OTEL_EXPORTER_OTLP_HEADERS") == 1
    assert variables(own)["OTEL_EXPORTER_OTLP_HEADERS"] == "a=b"


def test_the_port_that_is_scraped_has_a_name_of_its_own() -> None:
    ports = containers(plan())[0]["ports"]
    assert ports == [{"name": names.PORT_NAME_SIDECAR, "containerPort": names.PORT_SIDECAR_HEALTH}]


def test_ports_of_hosts_reach_the_sidecar_and_the_redirect() -> None:
    for redirect in ("hosts", "loopback", "all"):
        given = plan(redirect)._replace(ports={"cdn.cribl.io": (61833, 4319)})  # type: ignore[arg-type]
        for container in containers(given):
            found = {v["name"]: v.get("value") for v in container["env"]}
            assert found[dummies.PORTS_SETTING] == "cdn.cribl.io:61833,cdn.cribl.io:4319"
        assert dummies.PORTS_SETTING not in variables(plan(redirect))  # type: ignore[arg-type]
