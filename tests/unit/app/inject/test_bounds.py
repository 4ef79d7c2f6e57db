"""NamespaceBounds are read anew for each pod, and pods that were just let in count at once."""

import contextlib
from pathlib import Path

import pytest

from app.cluster import kube
from app.inject.bounds import NamespaceBounds
from app.inject.settings import NamespaceFacts, WaitingPods
from tests.unit.app.cluster.test_kube import api_server, kubeconfig

RANGES, QUOTAS = (f"/api/v1/namespaces/ns/{k}" for k in ("limitranges", "resourcequotas"))
FACTS = NamespaceFacts("ns", {"a": "b"}, "baseline")
DUE = {
    "metadata": {"uid": "rs"},
    "spec": {"replicas": 3, "template": {"spec": {"containers": []}}},
    "status": {"replicas": 1},
}
CONTROLLERS = {
    f"/apis/{group}/v1/namespaces/ns/{kind}": (200, {"items": [DUE] * (kind == "replicasets")})
    for group, kind in (
        ("apps", "replicasets"), ("apps", "statefulsets"), ("apps", "daemonsets"), ("batch", "jobs")
    )
}  # fmt: skip
POD = {"containers": [{"name": "a", "resources": {"requests": {"memory": "30Mi"}}}]}


def quota(used: str) -> tuple[int, object]:
    found = {
        "metadata": {"name": "q"},
        "spec": {"hard": {"requests.memory": "100Mi"}},
        "status": {"used": {"requests.memory": used}},
    }
    return 200, {"items": [found]}


async def test_read_anew_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ranges = 200, {"items": [{"metadata": {"name": "r"}}]}
    answers = {RANGES: ranges, QUOTAS: quota("0"), **CONTROLLERS}
    now = 100.0
    with api_server(answers) as (url, seen):
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, url)))
        with contextlib.closing(kube.connect()) as api:
            bounds = NamespaceBounds(api, lambda: now)

            async def used() -> str:
                found = await bounds.added(FACTS)
                assert (found.labels, found.security_level) == (FACTS.labels, "baseline")
                assert found.waiting == (WaitingPods("rs", 2, {"containers": []}),)
                assert found.limit_ranges[0]["metadata"]["name"] == "r"
                return str(found.quotas[0]["status"]["used"]["requests.memory"])

            assert await used() == "0"
            bounds.let_in(await bounds.added(FACTS), POD)
            assert await used() == str(30 << 20)
            bounds.let_in(await bounds.added(FACTS), POD)
            assert await used() == str(60 << 20)
            # The quota's own count wins once it is higher, and after a while in any case.
            answers[QUOTAS] = quota("90Mi")
            assert await used() == "90Mi"
            answers[QUOTAS] = quota("0")
            assert await used() == str(60 << 20)
            now += 2.1
            assert await used() == "0"
            assert len(seen.asked) == (2 + 4) * 8


async def test_what_cannot_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {RANGES: (200, {}), QUOTAS: quota("7Mi"), **CONTROLLERS}
    with api_server(answers) as (url, _):
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, url)))
        with contextlib.closing(kube.connect()) as api:
            bounds = NamespaceBounds(api)
            before = await bounds.added(FACTS)
            answers[QUOTAS] = 403, {"message": "may not list"}
            found = await bounds.added(FACTS)
            assert "may not list" in found.unknown and "\n" not in found.unknown
            # Slow or away: the last known ones, so that coverage does not end with it.
            answers[QUOTAS] = 500, {}
            found = await bounds.added(FACTS)
            assert (found.quotas, found.waiting) == (before.quotas, ())
            assert before.quotas and not before.unknown
