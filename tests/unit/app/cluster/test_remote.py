"""From a kubeconfig to the app: a real API server and kubelet, and a pod that leads to the app."""

import base64
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from app.client.source import ClientError, connect
from app.cluster import remote
from app.cluster.kube import MERGE_PATCH, KubeApi, KubeError, path
from app.cluster.pki import make_authority
from app.cluster.remote import RemoteError
from app.contract.record import decode, encode
from app.settings import load
from app.store import CaptureQuery, Scope
from tests import accounts
from tests.cluster import cluster, kubeconfig, namespace, needs_cluster
from tests.records import exchange
from tests.relay import needs_image, relay
from tests.released import LABELS, NAME, Released, objects, released, service, webhook
from tests.serving import serving
from tests.unit.app.cluster.test_tunnel import connected, stand_in

SETTINGS = load({"TELEMOCK_FULLNAME": NAME, "TELEMOCK_DATA": "/nonexistent"})


@pytest.fixture(scope="module")
def api() -> Iterator[KubeApi]:
    with cluster() as api:
        yield api


class Place:
    """A release in a namespace, reached through a pod that relays to the app's process here."""

    def __init__(self, namespace: str, app: Released, configuration: str) -> None:
        self.namespace = namespace
        self.app = app
        self.configuration = configuration


@pytest.fixture(scope="module")
def place(api: KubeApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with namespace(api, "a1-remote") as name:
        objects(api, name)
        service(api, name)
        folder = tmp_path_factory.mktemp("remote")
        with (
            released(folder, api, name, HOST="0.0.0.0") as app,
            webhook(api, name, app.ca) as configuration,
        ):
            relay(api, name, "app", LABELS, {8443: app.tls_port})
            pod = accounts.unscheduled_pod(api, name, "leader-0")
            with app.client(accounts.token(api, name, "default", "telemock", pod)) as sidecar:
                lines = b"\n".join(encode(exchange()) for _ in range(3))
                assert sidecar.post("/api/v1/captures", content=lines).json()["stored"] == 3
            yield Place(name, app, configuration)


@pytest.fixture
def viewer(api: KubeApi, place: Place) -> Iterator[str]:
    """The account that the chart makes for people with client certificates."""
    name = f"{NAME}-captures-viewer"
    accounts.allow(
        api, name, accounts.account(api, place.namespace, name), ["get", "list", "watch"]
    )
    yield name
    accounts.forbid(api, name)
    api.request("DELETE", path("api", "v1", "namespaces", place.namespace, "serviceaccounts", name))


Login = Callable[[str], None]


@pytest.fixture
def login(api: KubeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Login:
    """Makes the kubeconfig one of that bearer token."""
    ca = Path(api.client.configuration.ssl_ca_cert).read_bytes()

    def write(token: str) -> None:
        kubeconfig(tmp_path, monkeypatch, api.server, token=token, ca=ca)

    return write


def may_reach(api: KubeApi, namespace: str, account: str) -> str:
    """Gives a ServiceAccount the rights to find the app and to open a tunnel; a token of it."""
    name = f"{namespace}-{account}-reach"
    user = accounts.account(api, namespace, account)
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}
    webhooks = {
        "apiGroups": ["admissionregistration.k8s.io"],
        "resources": ["mutatingwebhookconfigurations"],
        "verbs": ["list"],
    }
    inside = [
        {"apiGroups": [""], "resources": ["services"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"]},
    ]
    local = f"{accounts.RBAC}/namespaces/{namespace}"
    for where, kind, rules in (
        (f"{accounts.RBAC}/cluster", "ClusterRole", [webhooks]),
        (f"{local}/", "Role", inside),
    ):
        api.request("POST", f"{where}roles", {"metadata": {"name": name}, "rules": rules})
        ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}
        binding = {"metadata": {"name": name}, "roleRef": ref, "subjects": [subject]}
        api.request("POST", f"{where}rolebindings", binding)
    return accounts.token(api, namespace, account)


@needs_image
@pytest.mark.usefixtures("viewer")
def test_client_certificate_gets_a_readers_token(place: Place) -> None:
    with connect(SETTINGS, "cluster") as source:
        found = [decode(line) for line in source.page(CaptureQuery()).items]
        assert {r.workload.pod for r in found} == {"leader-0"}
        assert {r.workload.namespace for r in found} == {place.namespace}
        assert decode(source.capture(found[0].id) or b"") == found[0]
        assert source.report(Scope()).count == 3
        assert source.profiles().profiles[0].id == "cribl"
        assert source.capture("ab-1") is None


@needs_image
def test_without_that_account_the_remedy_is_said(place: Place) -> None:
    with (
        pytest.raises(ClientError, match=rf"client certificate.*{NAME}-captures-viewer"),
        connect(SETTINGS, "cluster"),
    ):
        pass


@needs_image
def test_the_users_own_token_arrives(api: KubeApi, place: Place, login: Login) -> None:
    role = f"{place.namespace}-own"
    reader = may_reach(api, place.namespace, "own")
    accounts.allow(api, role, f"system:serviceaccount:{place.namespace}:own", ["list"])
    stranger = may_reach(api, place.namespace, "strange")
    try:
        login(reader)
        with connect(SETTINGS, "cluster:here") as source:
            assert len(source.page(CaptureQuery()).items) == 3
        login(stranger)
        with (
            connect(SETTINGS, "cluster") as source,
            pytest.raises(
                ClientError,
                match=r":strange may not list captures.telemock.io(.|\n)*"
                rf"hint: bind the ClusterRole {NAME}-captures-viewer",
            ),
        ):
            source.page(CaptureQuery())
    finally:
        accounts.forbid(api, role)
        for account in ("own", "strange"):
            name = f"{place.namespace}-{account}-reach"
            api.request("DELETE", f"{accounts.RBAC}/clusterrolebindings/{name}")
            api.request("DELETE", f"{accounts.RBAC}/clusterroles/{name}")


@needs_image
@pytest.mark.usefixtures("viewer")
def test_a_pod_without_the_releases_certificate_gets_no_token(api: KubeApi, place: Place) -> None:
    other = base64.b64encode(make_authority().certificate).decode()
    patch = [{"op": "replace", "path": "/webhooks/0/clientConfig/caBundle", "value": other}]
    own = base64.b64encode(place.app.ca.encode()).decode()
    try:
        api.request("PATCH", place.configuration, patch, content_type="application/json-patch+json")
        with (
            connect(SETTINGS, "cluster") as source,
            pytest.raises(ClientError, match=r"(?s)no app answers.*certificate verify failed"),
        ):
            source.page(CaptureQuery())
    finally:
        patch[0]["value"] = own
        api.request("PATCH", place.configuration, patch, content_type="application/json-patch+json")


@needs_image
def test_the_release_is_found_by_its_webhook(api: KubeApi, place: Place) -> None:
    assert remote.find(api, NAME) == remote.RemoteRelease(place.namespace, NAME, place.app.ca)


class Listed:
    """An Api of which only lists are asked."""

    server = "https://x:6443"

    def __init__(self, *items: Any) -> None:
        self._items = items

    def items(self, path: str, **query: Any) -> Iterator[Any]:
        yield from self._items


def configuration(name: str, ca: str = "QQ==", hook: str = "pods.telemock.io") -> dict[str, Any]:
    called = {"name": f"{name}-injector", "namespace": f"ns-{name}"}
    return {"webhooks": [{"name": hook, "clientConfig": {"service": called, "caBundle": ca}}]}


def test_which_release() -> None:
    others = [
        {"webhooks": [{"name": "x.istio.io", "clientConfig": {"url": "https://x"}}]},
        {"webhooks": None},
        configuration("b", hook="pods.nottelemock.io"),
    ]
    a, b = configuration("a"), configuration("b")

    def find(*items: Any, name: str = "") -> remote.RemoteRelease:
        return remote.find(Listed(*items), name)  # type: ignore[arg-type]

    assert find(*others, a) == ("ns-a", "a", "A")
    assert find(a, name="b").name == "a"
    assert find(a, b, name="b") == ("ns-b", "b", "A")
    with pytest.raises(
        RemoteError, match=r"several releases: a \(namespace ns-a\), b(.|\n)*hint: "
    ):
        find(a, b)
    with pytest.raises(RemoteError, match=r"no telemock in the cluster at https://x(.|\n)*hint: "):
        find(*others)
    for ca in ("", "%%", "gIA="):
        with pytest.raises(RemoteError, match=r"has not told its certificate(.|\n)*hint: "):
            find(configuration("a", ca))


def issued(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


@pytest.mark.parametrize(
    ("ours", "name", "error"),
    [
        (True, "tm.place.svc", ""),
        (False, "tm.place.svc", "CERTIFICATE_VERIFY_FAILED"),
        (True, "other.place.svc", "CERTIFICATE_VERIFY_FAILED"),
    ],
)
def test_the_token_goes_to_the_release_and_nobody_else(
    tmp_path: Path, ours: bool, name: str, error: str
) -> None:
    """Without a cluster: a stand-in of the API server, and the app behind it."""
    authority, other = trustme.CA(), trustme.CA()
    release = remote.RemoteRelease("place", "tm", authority.cert_pem.bytes().decode())
    context = issued(authority if ours else other, name)
    with serving(tmp_path, context) as served, stand_in({8443: served.port}) as server:
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        leaving = {"name": "left", "deletionTimestamp": "2026-01-01T00:00:00Z"}
        server.objects = {
            "/api/v1/namespaces/place/services/tm": {
                "spec": {"selector": {"app": "tm"}, "ports": [{"port": 8443, "targetPort": 8443}]}
            },
            "/api/v1/namespaces/place/pods": {
                "items": [
                    {"metadata": leaving, "status": ready},
                    {"metadata": {"name": "new"}, "status": {}},
                    {"metadata": {"name": "echo"}, "status": ready},
                ]
            },
        }
        api = connected(tmp_path, f"https://127.0.0.1:{server.port}", server.ca)
        with remote.client(api, release) as (client, tunnel):
            if error:
                with pytest.raises(httpx.ConnectError, match=error):
                    client.get("/api/v1/report")
            else:
                assert client.get("/health").json()["status"] == "ok"
                # The kubeconfig's token, which this app does not know.
                assert client.headers["authorization"] == "Bearer secret"
                assert client.get("/api/v1/report").status_code == 401
            assert tunnel.error == ""
        api.close()


@needs_cluster
def test_no_ready_pod_is_said(api: KubeApi) -> None:
    with namespace(api, "a1-nopod") as name:
        service(api, name)
        accounts.unscheduled_pod(api, name, "app")
        patch = {"metadata": {"labels": LABELS}}
        pod = path("api", "v1", "namespaces", name, "pods", "app")
        api.request("PATCH", pod, patch, content_type=MERGE_PATCH)
        release = remote.RemoteRelease(name, NAME, make_authority().certificate.decode())
        with pytest.raises(KubeError, match="404"):
            remote._pod(api, release._replace(name="x"))
        sentence = r"client certificate(.|\n)*hint: ask for the right"
        with pytest.raises(RemoteError, match=sentence), remote.client(api, release):
            pass
        with pytest.raises(RemoteError, match=r"no pod of .* is ready(.|\n)*hint: kubectl"):
            remote._pod(api, release)
        broken = release._replace(ca="-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----")
        with pytest.raises(RemoteError, match="caBundle of"), remote.client(api, broken):
            pass
