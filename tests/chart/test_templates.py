"""What the release is made of: names, settings, rights and volumes fit the code."""

from pathlib import Path
from typing import Any

import pytest

from app.cluster.certificates import host_names
from app.contract.names import LABEL_INJECT, PORT_APP, PORT_APP_TLS, PORT_INJECTOR
from app.inject import process_settings as injector_environment
from app.profiles import load_profiles
from app.settings import SETTINGS, load
from charts.generate import CASES, NAMESPACE
from tests.chart.helm import Object, environment, needs_helm, of_case, one, rendered

NAMES = sorted(case.name for case in CASES.iterdir())


# Read by what every process tells of itself, besides OTEL_*.
POD = {"POD_NAMESPACE", "POD_NAME", "POD_UID", "NODE_NAME"}


def container(deployment: Object) -> Object:
    (found,) = deployment["spec"]["template"]["spec"]["containers"]
    return dict(found)


@pytest.mark.parametrize("case", NAMES)
def test_every_variable_is_a_setting(case: str) -> None:
    fullname = {"everything": "watch"}.get(case, "telemock")
    found = of_case(case)
    app = environment(one(found, "Deployment", fullname))
    known = {row.name for row in SETTINGS} | POD
    assert {n for n in app if not n.startswith("OTEL_")} <= known
    injector = environment(one(found, "Deployment", f"{fullname}-injector"))
    known = {row.name for row in injector_environment.SETTINGS} | POD
    assert {n for n in injector if not n.startswith("OTEL_")} <= known


@pytest.mark.parametrize("case", NAMES)
def test_app_and_injector_can_read_their_settings(case: str, tmp_path: Path) -> None:
    fullname = {"everything": "watch"}.get(case, "telemock")
    pod = {"POD_NAMESPACE": NAMESPACE, "POD_NAME": "x", "TELEMOCK_PROFILES": "cribl"}
    found = of_case(case)
    given = {
        k: v
        for name in (fullname, f"{fullname}-injector")
        for k, v in environment(one(found, "Deployment", name)).items()
        if isinstance(v, str)
    }
    settings = load(given | pod)
    assert settings.cluster and settings.fullname == fullname
    injector = injector_environment.load(given | pod)
    assert injector.fullname == fullname
    assert injector.inject.image.startswith(("telemock-sidecar:", "registry.example/"))


def test_defaults_stand_in_the_code_only() -> None:
    found = of_case("default")
    assert set(environment(one(found, "Deployment", "telemock"))) == {
        "TELEMOCK_CLUSTER", "TELEMOCK_FULLNAME", "TELEMOCK_PROFILES", "LOG_FORMAT", *POD,
    }  # fmt: skip
    assert set(environment(one(found, "Deployment", "telemock-injector"))) == {
        "TELEMOCK_FULLNAME", "TELEMOCK_INJECTOR_PORT", "TELEMOCK_PROFILES",
        "TELEMOCK_SIDECAR_IMAGE", "TELEMOCK_INJECT_PULL_POLICY", "TELEMOCK_INJECT_ENV",
        "LOG_FORMAT", *POD,
    }  # fmt: skip


def test_services_lead_to_the_ports() -> None:
    found = of_case("default")
    for name, ports in (
        ("telemock", {PORT_APP: PORT_APP, PORT_APP_TLS: PORT_APP_TLS}),
        ("telemock-injector", {443: PORT_INJECTOR}),
    ):
        service = one(found, "Service", name)
        deployment = one(found, "Deployment", name)
        named = {p["name"]: p["containerPort"] for p in container(deployment)["ports"]}
        assert {p["port"]: named[p["targetPort"]] for p in service["spec"]["ports"]} == ports
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert service["spec"]["selector"].items() <= labels.items()
        assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]


def test_cert_manager_signs_for_the_names_that_are_checked() -> None:
    certificate = one(of_case("cert-manager"), "Certificate")
    wanted = [n for names in host_names("telemock", NAMESPACE).values() for n in names]
    assert set(certificate["spec"]["dnsNames"]) == set(wanted)
    app = environment(one(of_case("cert-manager"), "Deployment", "telemock"))
    assert app["TELEMOCK_TLS_SECRET"] == certificate["spec"]["secretName"]


def test_our_own_secret_is_rendered_empty_and_only_where_it_is_ours() -> None:
    secret = one(of_case("default"), "Secret")
    assert secret["metadata"]["name"] == "telemock-tls"
    assert "data" not in secret and "stringData" not in secret
    for case in ("minimal", "cert-manager"):
        assert not [o for o in of_case(case) if o["kind"] == "Secret"]


def test_rights_to_the_secret_are_no_more_than_needed() -> None:
    for case, verbs in (("default", ["get", "update"]), ("cert-manager", ["get"])):
        for name in ("telemock", "telemock-injector"):
            role = one(of_case(case), "Role", name)
            (rule,) = [r for r in role["rules"] if r["resources"] == ["secrets"]]
            assert rule["verbs"] == verbs and len(rule["resourceNames"]) == 1


def test_no_right_is_a_wildcard_and_no_secret_is_read_elsewhere() -> None:
    for found in of_case("everything"):
        for rule in found.get("rules") or ():
            if found["kind"] in ("Role", "ClusterRole"):
                assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
                assert found["kind"] == "Role" or "secrets" not in rule["resources"]


def test_our_own_pods_get_no_sidecar() -> None:
    for found in of_case("everything"):
        if found["kind"] == "Deployment":
            labels = found["spec"]["template"]["metadata"]["labels"]
            assert labels[LABEL_INJECT] == "disabled"


@pytest.mark.parametrize("case", NAMES)
def test_every_pod_has_what_the_level_restricted_asks_for(case: str) -> None:
    pods = [
        o["spec"]["template"]["spec"] if o["kind"] == "Deployment" else o["spec"]
        for o in of_case(case)
        if o["kind"] in ("Deployment", "Pod")
    ]
    assert len(pods) == {"minimal": 2, "everything": 5}.get(case, 4)
    for spec in pods:
        context: dict[str, Any] = spec["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        for each in spec["containers"]:
            assert each["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert each["resources"]["requests"]["memory"]


def test_the_profiles_can_be_used(tmp_path: Path) -> None:
    """Whatever a value went through on its way into the ConfigMap."""
    files = one(of_case("everything"), "ConfigMap", "watch-profiles")["data"]
    assert set(files) == {"acme.yaml", "text.yaml"}
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert {p.id for p in load_profiles([tmp_path]).profiles} == {"acme", "text"}
    for name in ("watch", "watch-injector"):
        deployment = one(of_case("everything"), "Deployment", name)
        folder = environment(deployment)["TELEMOCK_PROFILES"].split(",")[-1]
        mounts = {m["mountPath"] for m in container(deployment)["volumeMounts"]}
        assert folder in mounts


def test_the_claim_outlives_the_release() -> None:
    claim = one(of_case("default"), "PersistentVolumeClaim")
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


@pytest.mark.parametrize("case", ["default", "strict"])
def test_the_authority_that_sidecars_trust_outlives_the_release(case: str) -> None:
    """It is rendered empty, so that the next release takes over what is there."""
    secret = one(of_case(case), "Secret", "telemock-tls")
    assert secret["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert not secret.keys() & {"data", "stringData"}
    assert not [o for o in of_case("minimal") if o["kind"] == "PersistentVolumeClaim"]


@needs_helm
def test_a_long_name_stays_a_name(tmp_path: Path) -> None:
    """Service names are labels of DNS: 63 characters."""
    found = rendered({"fullnameOverride": "x" * 50}, tmp_path)
    assert all(len(o["metadata"]["name"]) <= 63 for o in found if o["kind"] == "Service")


def test_profiles_are_checked_before_an_upgrade_uses_them() -> None:
    found = of_case("everything")
    pod = one(found, "Pod", "watch-profiles-check")
    checked = one(found, "ConfigMap", "watch-profiles-check")
    assert checked["data"] == one(found, "ConfigMap", "watch-profiles")["data"]
    for each in (pod, checked):
        assert each["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
        policy = each["metadata"]["annotations"]["helm.sh/hook-delete-policy"]
        assert policy == "before-hook-creation,hook-succeeded"
    assert pod["metadata"]["labels"][LABEL_INJECT] == "disabled"
    assert pod["spec"]["automountServiceAccountToken"] is False
    (check,) = pod["spec"]["containers"]
    assert check["args"][:3] == ["telemock", "rules", "check"]
    assert check["args"][-1] == check["volumeMounts"][0]["mountPath"]
    assert not [o for o in of_case("default") if o["metadata"]["name"].endswith("-check")]
