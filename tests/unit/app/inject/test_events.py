import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from app.cluster import kube
from app.cluster.kube import KubeApi, path
from app.inject import events
from app.inject.events import AGAIN_S, Event, Events, about
from app.otel.metrics import Metrics
from tests.cluster import cluster, namespace, needs_cluster
from tests.unit.app.cluster.test_kube import api_server, kubeconfig

CREATED = (201, {"kind": "Event"})


@asynccontextmanager
async def running(told: Events) -> AsyncIterator[None]:
    task = asyncio.create_task(told.running())
    await asyncio.sleep(0)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def connected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    @contextlib.contextmanager
    def connect(url: str) -> Any:
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, url)))
        api = kube.connect()
        yield api
        api.close()

    return connect


def event(name: str = "a", message: str = "m", ns: str = "ns") -> Event:
    return Event(
        about({"metadata": {"ownerReferences": [owner(name)]}}, ns), "R", message, "Normal"
    )


def owner(name: str = "a") -> dict[str, Any]:
    reference = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name, "uid": "u-" + name}
    return {**reference, "controller": True, "blockOwnerDeletion": True}


def test_about_the_controller_else_the_namespace() -> None:
    other = {**owner("x"), "controller": False}
    found = about({"metadata": {"ownerReferences": [other, owner()]}}, "ns")
    assert found == {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": "a",
        "uid": "u-a",
        "namespace": "ns",
    }
    for pod in ({}, {"metadata": {"ownerReferences": [other]}}, {"metadata": {}}):
        assert about(pod, "ns")["kind"] == "Namespace"


async def test_what_was_told_is_not_written_again_for_a_while(connected: Any) -> None:
    now = 0.0
    with (
        api_server({"/api/v1/namespaces/ns/events": CREATED}) as (url, seen),
        connected(url) as api,
    ):
        told = Events(api, Metrics("injector"), "pod-1", lambda: now)
        async with running(told):
            for given in (event(), event(), event("b"), event(message="other")):
                told.tell(given)
        now = AGAIN_S - 1
        async with running(told):
            told.tell(event())
        assert len(seen.asked) == 3
        now = AGAIN_S + 1
        async with running(told):
            told.tell(event())
        assert len(seen.asked) == 4


async def test_telling_never_waits_and_what_is_lost_is_counted(connected: Any) -> None:
    metrics = Metrics("injector")
    with (
        api_server({"/api/v1/namespaces/ns/events": CREATED}) as (url, seen),
        connected(url) as api,
    ):
        told = Events(api, metrics, "pod-1")
        for n in range(events._QUEUE_CAP + 5):
            told.tell(event(str(n)))
        async with running(told):
            pass
    text = metrics.render().decode()
    assert 'events_lost_total{telemock_reason="queue_full"} 5.0' in text
    assert len(seen.asked) == events._QUEUE_CAP


async def test_refused_and_unreachable_are_counted_and_the_task_goes_on(connected: Any) -> None:
    metrics = Metrics("injector")
    with (
        api_server({"/api/v1/namespaces/ns/events": CREATED}) as (url, seen),
        connected(url) as api,
    ):
        told = Events(api, metrics, "pod-1")
        async with running(told):
            told.tell(event(ns="gone"))
            told.tell(event())
        assert len(seen.asked) == 2
    told = Events(api, metrics, "pod-1")
    async with running(told):
        told.tell(event())
    text = metrics.render().decode()
    assert 'events_lost_total{telemock_reason="refused"} 1.0' in text
    assert 'events_lost_total{telemock_reason="api_away"} 1.0' in text


def listed(api: KubeApi, ns: str) -> list[dict[str, Any]]:
    return list(api.items(path("api", "v1", "namespaces", ns, "events")))


@needs_cluster
async def test_real_api_server_takes_both_kinds() -> None:
    with cluster() as api, namespace(api, "i2-events") as ns:
        metrics = Metrics("injector")
        told = Events(api, metrics, "pod-1")
        async with running(told):
            told.tell(event(ns=ns, message="x" * 5000))
            told.tell(Event(about({}, ns), "TelemockSkipped", "why", "Warning"))
        found = {e["involvedObject"]["kind"]: e for e in listed(api, ns)}
        assert found["Namespace"]["type"] == "Warning"
        assert found["Namespace"]["message"] == "why"
        assert found["ReplicaSet"]["involvedObject"]["uid"] == "u-a"
        assert len(found["ReplicaSet"]["message"]) == 1024
        assert metrics.total("telemock.injector.events_lost") == 0
