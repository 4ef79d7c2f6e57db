"""The injector's last good profiles, in a ConfigMap of a real API server."""

import contextlib
from pathlib import Path

import pytest

from app.cluster import kube
from app.cluster.kube import path
from app.inject.good_profiles import GoodConfigMap
from app.profiles.compile import load
from tests.cluster import cluster, kubeconfig, namespace, needs_cluster
from tests.unit.app.cluster.test_kube import api_server

GOOD = load(["cribl"]).good


@needs_cluster
def test_kept_and_read() -> None:
    with cluster() as api, namespace(api, "last-good") as ns:
        place = path("api", "v1", "namespaces", ns, "configmaps")
        kept = GoodConfigMap(api, f"{place}/p")
        kept.write(GOOD)  # there is none: told, and nothing else
        assert kept.read() == {}
        api.request("POST", place, {"metadata": {"name": "p"}})
        assert kept.read() == {}
        kept.write(GOOD)
        assert kept.read() == GOOD


@pytest.mark.parametrize("held", ["%%%", "eA==", 7, None])
def test_what_is_no_profile_is_as_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: object
) -> None:
    with api_server({"/c": (200, {"binaryData": {"profiles": held}})}) as (url, _):
        kubeconfig(tmp_path, monkeypatch, url)
        with contextlib.closing(kube.connect()) as api:
            assert GoodConfigMap(api, "/c").read() == {}
            assert GoodConfigMap(api, "/none").read() == {}
