import asyncio
import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.cluster import kube
from app.cluster.kube import KubeApi
from app.inject import namespaces
from app.inject.namespaces import Namespaces
from tests.cluster import cluster, namespace, needs_cluster
from tests.unit.app.cluster.test_kube import ApiServer, api_server, kubeconfig


def answer(level: str = "baseline") -> tuple[int, Any]:
    labels = {"a": "b", "pod-security.kubernetes.io/enforce": level}
    return 200, {"kind": "Namespace", "metadata": {"labels": labels}}


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    @contextmanager
    def serve(answers: dict[str, tuple[int, Any]]) -> Iterator[tuple[KubeApi, type[ApiServer]]]:
        with api_server(answers) as (url, seen):
            monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, url)))
            with contextlib.closing(kube.connect()) as api:
                yield api, seen

    return serve


async def test_labels_are_read_once_for_reviews_at_the_same_time(served: Any) -> None:
    with served({"/api/v1/namespaces/ns": answer()}) as (api, seen):
        known = Namespaces(api)
        found = await asyncio.gather(*(known.facts("ns") for _ in range(20)))
        assert len(seen.asked) == 1
        assert {f.security_level for f in found} == {"baseline"}
        assert found[0].name == "ns" and found[0].labels["a"] == "b"
        assert await known.facts("ns") is found[0]
        assert len(seen.asked) == 1


async def test_labels_are_read_again(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespaces, "KEEP_S", 0.0)
    answers = {"/api/v1/namespaces/ns": answer()}
    with served(answers) as (api, _):
        known = Namespaces(api)
        assert (await known.facts("ns")).security_level == "baseline"
        answers["/api/v1/namespaces/ns"] = 200, {"metadata": {}}
        assert (await known.facts("ns")).security_level == ""


async def test_last_known_labels_stay_while_the_api_server_is_away(
    served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(namespaces, "KEEP_S", 0.0)
    with served({"/api/v1/namespaces/ns": answer()}) as (api, _):
        known = Namespaces(api)
        before = await known.facts("ns")
    assert await known.facts("ns") == before
    # Nothing was ever known of this one: what the strictest level allows does no harm.
    other = await known.facts("other")
    assert (other.labels, other.security_level, other.allows_net_admin) == ({}, "restricted", False)


async def test_what_is_kept_is_bounded(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespaces, "_NAMESPACES_CAP", 3)
    with served({}) as (api, seen):
        known = Namespaces(api)
        for n in range(5):
            await known.facts(f"ns{n}")
        assert len(known._held) == 3
        await known.facts("ns4")
        assert len(seen.asked) == 5


async def test_a_caller_that_gives_up_leaves_the_others_their_answer(served: Any) -> None:
    with served({"/api/v1/namespaces/ns": answer()}) as (api, seen):
        known = Namespaces(api)
        first = asyncio.create_task(known.facts("ns"))
        second = asyncio.create_task(known.facts("ns"))
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).security_level == "baseline"
        assert len(seen.asked) == 1


@needs_cluster
async def test_real_namespace() -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted", "telemock.io/inject": "enabled"}
    with cluster() as api, namespace(api, "i2-ns", labels) as ns:
        found = await Namespaces(api).facts(ns)
        assert found.security_level == "restricted"
        assert found.labels["telemock.io/inject"] == "enabled"
