"""One install for all tests: the release, and a namespace with Cribl's nodes that has opted in.

The tests run in the order of `ORDER`: what breaks things comes late, what removes them last. Needs
a cluster (KUBECONFIG) that has the images, helm and kubectl. Run by `make e2e`.
"""

import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests import backends
from tests.e2e import pods
from tests.e2e.cluster import Cluster
from tests.e2e.release import (
    ADMIN,
    DECIDES,
    LOCAL,
    LOGIN_HEADER,
    LOGIN_SECRET,
    READS,
    RELEASE,
    VIEWER,
    Release,
)

ORDER = (
    "test_install",
    "test_injection",
    "test_telemetry",
    "test_observability",
    "test_data",
    "test_access",
    "test_page",
    "test_login_proxy",
    "test_status",
    "test_redirects",
    "test_jobs",
    "test_without_webhook",
    "test_own_ca",
    "test_rehearsal",
    "test_canary",
    "test_refusals",
    "test_bounds",
    "test_profiles",
    "test_certificates",
    "test_rollouts",
    "test_outages",
    "test_upgrade",
    "test_lost_secret",
    "test_uninstall",
)
SELECTED = "e2e-selected"  # app.kubernetes.io/name that injector.podSelector names


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        return ORDER.index(item.path.stem) if item.path.stem in ORDER else -1

    items.sort(key=place)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """A failure says what is wrong in the cluster, as somebody would look at it first."""
    report = yield
    cluster = getattr(item, "funcargs", {}).get("cluster")
    if report.failed and isinstance(cluster, Cluster):
        report.sections.append(("the cluster", cluster.wrong()))
    return report


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    cluster = Cluster()
    yield cluster
    if not os.environ.get("KEEP"):
        cluster.remove_namespaces(wait=False)
    cluster.close()


@pytest.fixture(scope="module", autouse=True)
def room(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a file's tests start ends with them; the release and Cribl's nodes stay."""
    if not {"cluster", "release"} & set(request.fixturenames):
        yield
        return
    with request.getfixturevalue("cluster").room():
        yield


@pytest.fixture(scope="session")
def collector(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[backends.Jaeger | None]:
    """Jaeger on an address of this machine that pods reach, the node's, where that is this machine
    and the program is there."""
    found = cluster.core.list_node().items[0].status.addresses
    address = next(a.address for a in found if a.type == "InternalIP")
    try:
        socket.create_server((address, 0)).close()
        backends.program("jaeger")
    except (OSError, pytest.skip.Exception):
        yield None
        return
    with backends.jaeger(tmp_path_factory.mktemp("jaeger"), address) as server:
        yield server


@pytest.fixture(scope="session")
def values(collector: backends.Jaeger | None) -> dict[str, Any]:
    """What the release is installed with."""
    found: dict[str, Any] = {
        # With a paid licence: the stand-in has one.
        "mode": "mock",
        "persistence": {"size": "1Gi"},
        "admissionPolicy": {"enabled": True},
        "rbac": {
            "viewers": [_account(VIEWER), _person(READS)],
            "admins": [_account(ADMIN), _person(DECIDES)],
            "tunnel": [_account(LOCAL)],
        },
        "ingress": {"login": {"header": LOGIN_HEADER, "secret": {"name": LOGIN_SECRET}}},
        "injector": {"podSelector": {"matchLabels": {"app.kubernetes.io/name": SELECTED}}},
    }
    if collector:
        found["otel"] = {"endpoint": collector.otlp, "metrics": {"intervalSeconds": 2}}
        found["otel"]["resourceAttributes"] = {"deployment.environment.name": "e2e"}
        found["traceUrl"] = collector.query + "/trace/{trace_id}"
    if tag := os.environ.get("TAG"):
        found["image"] = {"app": {"tag": tag}, "sidecar": {"tag": tag}}
    return found


def _account(name: str) -> dict[str, str]:
    return {"kind": "ServiceAccount", "name": name, "namespace": RELEASE}


def _person(name: str) -> dict[str, str]:
    return {"kind": "User", "name": name}


@pytest.fixture(scope="session")
def release(cluster: Cluster, values: dict[str, Any]) -> Iterator[Release]:
    """Installed, with its accounts; the notes of the installation are in `notes`."""
    release = Release(cluster, RELEASE)
    release.helm("uninstall", release.name, "--wait", check=False)  # of an interrupted run
    cluster.remove_namespaces(wait=True)
    cluster.make_namespace(release.namespace, enforce="restricted")
    release.make_login_secret()
    try:
        release.notes = release.upgrade(values)
        release.rolled_out()
        release.make_accounts()
        yield release
    finally:
        release.close()
        if not os.environ.get("KEEP"):
            release.helm("uninstall", release.name, "--wait", check=False)


class ClientAnswer(dict[str, Any]):
    """What a client saw. A test that asks for what is not there fails with all of it."""

    def __missing__(self, key: str) -> Any:
        raise AssertionError(f"no {key} in {dict(self)}")


class Cribl:
    """A namespace that has opted in: the leader, its workers, and the vendor they call."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster, self.namespace = cluster, namespace

    @property
    def leader(self) -> dict[str, Any]:
        return self.cluster.ready_pods(self.namespace, pods.LEADER)[0]

    @property
    def workers(self) -> list[dict[str, Any]]:
        return self.cluster.ready_pods(self.namespace, pods.WORKERS, 2)

    def telemetry(self, pod: dict[str, Any], tag: str, **changes: str) -> dict[str, Any]:
        """One report of that node, with a mark to find it by. What the client saw."""
        return ClientAnswer(
            self.cluster.ask(pod, 9000, "/test/telemetry", **{"fc.tag": tag, **changes})
        )

    def call(self, pod: dict[str, Any], url: str, **options: str) -> dict[str, Any]:
        return ClientAnswer(self.cluster.ask(pod, 9000, "/test/call", url=url, **options))

    def start(self, name: str, **more: Any) -> dict[str, Any]:
        """One more node, when it is ready."""
        self.cluster.apply(pods.node(name, self.namespace, **more))
        selector = f"app.kubernetes.io/name={name}"
        return self.cluster.ready_pods(self.namespace, selector)[0]

    @property
    def vendor(self) -> dict[str, Any]:
        return self.cluster.ready_pods(self.namespace, "app.kubernetes.io/name=vendor")[0]

    def through_vendor(self) -> dict[str, Any]:
        """Pod spec fields of a node whose DNS knows the vendor's host as that pod."""
        return pods.resolve_by(self.vendor, self.namespace)


@pytest.fixture(scope="session")
def cribl(cluster: Cluster, release: Release) -> Cribl:
    namespace = cluster.make_namespace(f"{release.name}-cribl", inject="enabled")
    lasting = (pods.vendor(namespace), *pods.leader(namespace), *pods.workergroup(namespace))
    cluster.apply(*lasting, lasting=True)
    return Cribl(cluster, namespace)
