"""What an API server says of the chart: strict about fields, about Pod Security, about rights.

Needs a cluster (KUBECONFIG), helm and kubectl. What is made carries a name of this test only, and
is removed at its end.
"""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from app.cluster.kube import KubeApi, KubeError, path
from app.contract.names import API_GROUP, LABEL_INJECT, RESOURCE_CAPTURES
from charts.generate import CASES, render
from tests.chart.helm import Object, case, needs_helm, objects, one
from tests.cluster import cluster, namespace, needs_cluster
from tests.waiting import wait_for

pytestmark = [
    needs_cluster,
    needs_helm,
    pytest.mark.skipif(not shutil.which("kubectl"), reason="needs kubectl in PATH"),
]

RIGHTS = Path(__file__).parent / "rights"
LEVELS = {f"pod-security.kubernetes.io/{m}": "restricted" for m in ("enforce", "warn")}
# Of what a cluster has only where somebody installed it.
FOREIGN = ("cert-manager.io/", "monitoring.coreos.com/")


@pytest.fixture(scope="module")
def api() -> Iterator[KubeApi]:
    with cluster() as found:
        yield found


@pytest.fixture(scope="module")
def space(api: KubeApi) -> Iterator[str]:
    with namespace(api, "chart", LEVELS) as name:
        yield name


def kubectl(*arguments: str, given: str = "") -> str:
    done = subprocess.run(
        ["kubectl", *arguments], input=given, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def manifests(values: Path, space: str, *more: str) -> list[Object]:
    here = f"fullnameOverride={space},monitoring.dashboards.namespace={space}"
    text = render(values, "--namespace", space, "--set", here, *more)
    return [o for o in objects(text) if not o["apiVersion"].startswith(FOREIGN)]


@pytest.mark.parametrize("name", sorted(c.name for c in CASES.iterdir()))
def test_the_api_server_takes_every_object(name: str, space: str) -> None:
    """Without a warning: Pod Security's come so for what a Deployment would make."""
    found = manifests(case(name), space)
    for pod in (o for o in found if o["kind"] == "Pod"):
        pod["spec"]["serviceAccountName"] = "default"  # its own is not there in a dry run
        del pod["metadata"]["labels"][LABEL_INJECT]  # of a release that is installed here
    said = kubectl(
        "apply", "--dry-run=server", "--validate=strict", "--filename=-",
        given=yaml.safe_dump_all(found),
    )  # fmt: skip
    assert said.count("(server dry run)") == len(found)
    assert "Warning" not in said, said


@pytest.fixture(scope="module")
def rights(space: str) -> Iterator[str]:
    """The accounts and roles of a release, made for real. Their name."""
    kinds = ("ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
    found = [o for o in manifests(case("default"), space) if o["kind"] in kinds]
    found = [o for o in found if "helm.sh/hook" not in o["metadata"].get("annotations", {})]
    text = yaml.safe_dump_all(found)
    kubectl("apply", "--filename=-", given=text)
    yield space
    kubectl("delete", "--wait=false", "--filename=-", given=text)


@pytest.mark.parametrize("account", ["app", "injector", "captures-viewer"])
def test_no_account_may_do_more_than_its_list(account: str, rights: str, space: str) -> None:
    """The list is what `kubectl auth can-i --list` shows beyond any account's."""
    name = rights if account == "app" else f"{rights}-{account}"

    def listed(who: str) -> set[str]:
        said = kubectl(
            "auth", "can-i", "--list", "--namespace", space,
            f"--as=system:serviceaccount:{space}:{who}",
        )  # fmt: skip
        return {" ".join(line.split()) for line in said.splitlines()[1:]}

    own = sorted(line.replace(rights, "NAME") for line in listed(name) - listed("default"))
    file = RIGHTS / f"{account}.txt"
    assert own == file.read_text("utf-8").splitlines(), "\n".join(own)


def test_only_who_was_named_reads_captures(api: KubeApi, rights: str, space: str) -> None:
    def may(verb: str, who: str) -> bool:
        attributes = {"group": API_GROUP, "resource": RESOURCE_CAPTURES, "verb": verb}
        spec = {
            "user": f"system:serviceaccount:{space}:{who}", "resourceAttributes": attributes,
        }  # fmt: skip
        kind = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview"}
        asked = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        return bool(api.request("POST", asked, {**kind, "spec": spec})["status"]["allowed"])

    viewer = f"{rights}-captures-viewer"
    assert [may(v, viewer) for v in ("get", "list", "watch", "delete")] == [True, True, True, False]
    assert not any(may("list", who) for who in ("default", rights, f"{rights}-injector"))


@pytest.fixture
def policy(space: str) -> Iterator[None]:
    """The admission policy, for real, but for pods of this test's namespace only."""
    found = [
        o for o in manifests(case("strict"), space) if o["kind"].startswith("ValidatingAdmission")
    ]
    (binding,) = [o for o in found if o["kind"].endswith("Binding")]
    binding["spec"]["matchResources"] = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": space}}
    }
    text = yaml.safe_dump_all(found)
    kubectl("apply", "--filename=-", given=text)
    yield
    kubectl("delete", "--wait=false", "--filename=-", given=text)


def test_the_policy_refuses_a_labelled_pod_without_a_sidecar(
    api: KubeApi, policy: None, space: str
) -> None:
    pod = one(manifests(case("strict"), space), "Pod")
    pod["spec"]["serviceAccountName"] = "default"
    # No injector knows this mode: the pod gets no sidecar where one is installed either.
    pod["metadata"]["annotations"] = {"telemock.io/mode": "nonsense"}

    def refusal() -> str:
        try:
            api.request("POST", path("api", "v1", "namespaces", space, "pods") + "?dryRun=All", pod)
        except KubeError as e:
            return str(e)
        return ""

    wait_for(lambda: "asks for a sidecar, and this pod has none" in refusal(), 30)
    sidecar = {**pod["spec"]["containers"][0], "name": "telemock", "restartPolicy": "Always"}
    pod["spec"]["initContainers"] = [sidecar]
    assert refusal() == ""
    del pod["spec"]["initContainers"]
    pod["metadata"]["labels"][LABEL_INJECT] = "disabled"
    assert refusal() == ""
