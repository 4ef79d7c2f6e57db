"""Pods without a sidecar are counted, as a real API server lists them."""

import asyncio
from typing import Any

import pytest

from app.cluster.kube import MERGE_PATCH, path
from app.inject import census
from app.inject.census import Census
from app.otel.metrics import Metrics
from tests.cluster import cluster, namespace, needs_cluster
from tests.unit.app.inject.test_status import made

POD: dict[str, Any] = {"containers": [{"name": "a", "image": "a:1"}], "nodeSelector": {"no": "x"}}
TOLD = {"telemock.io/status": '{"reasons": ["host_network"]}'}


@needs_cluster
def test_unseen_and_left_ones() -> None:
    """Counted as differences: others use this cluster too."""
    with (
        cluster() as api,
        namespace(api, "census-in", {"telemock.io/inject": "enabled"}) as inside,
        namespace(api, "census-out") as outside,
    ):
        # Without a webhook of a release in this cluster.
        release = {"metadata": {"labels": {"telemock.io/inject": None}}}
        label = {"metadata": {"labels": {"telemock.io/inject": "enabled"}}}
        spaces = {ns: path("api", "v1", "namespaces", ns) for ns in (inside, outside)}
        api.request("PATCH", spaces[inside], release, content_type=MERGE_PATCH)
        counting = Census(api, Metrics("injector"))
        before = counting.count()

        def add(ns: str, name: str, **meta: Any) -> None:
            pod = {"metadata": {"name": name, **meta}, "spec": POD}
            api.request("POST", f"{spaces[ns]}/pods", pod)

        injected = made()
        injected["metadata"]["namespace"] = inside
        injected["spec"]["nodeSelector"] = POD["nodeSelector"]
        add(inside, "unseen")
        add(inside, "left", annotations=TOLD)
        add(inside, "out", labels={"telemock.io/inject": "disabled"})
        api.request("POST", f"{spaces[inside]}/pods", injected)
        add(outside, "nobody-asked")
        assert counting.count() == before
        api.request("PATCH", spaces[inside], label, content_type=MERGE_PATCH)
        found = counting.count()
        assert {k: found[k] - before[k] for k in found} == {"unseen": 1, "left": 1}


async def test_the_figures_become_a_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(census, "LOOK_S", 0.0)
    metrics = Metrics("injector")
    counting = Census(None, metrics)  # type: ignore[arg-type]
    looks = iter([{"unseen": 2, "left": 1}, ZeroDivisionError("secret")])

    def count() -> dict[str, int]:
        found = next(looks)
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(counting, "count", count)
    task = asyncio.create_task(counting.running())
    await asyncio.sleep(0.2)
    assert not task.done()  # one bad look ends nothing
    task.cancel()
    value = metrics.registry.get_sample_value
    assert value("telemock_injector_not_injected", {"telemock_reason": "unseen"}) == 2
    assert value("telemock_injector_not_injected", {"telemock_reason": "left"}) == 1
