import asyncio
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import Request

from app.api.health import may_see_names
from app.auth import Caller, Denied, Policy
from app.contract.account import Account
from app.contract.metrics import METRICS
from app.store import Told
from tests.cluster import AWAY, kubeconfig
from tests.serving import serving


def test_health(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        health = served.bare.get("/health").json()
        assert health["status"] == "ok"
        assert health["uptime_s"] >= 0
        assert health["version"]
        assert health["queue"] == 0
        assert health["profiles"]["etag"] and not health["profiles"]["error"]
        assert served.bare.get("/ready").json()["ready"] is True


def test_metrics_are_up_to_date_when_they_are_asked_for(tmp_path: Path) -> None:
    with serving(tmp_path, TELEMOCK_RETENTION_SIZE="5MiB") as served:
        served.bare.get("/telemetry/index.html", headers={"host": "cdn.cribl.io"})
        served.captures(1)
        text = served.bare.get("/metrics").text
    shown = dict(re.findall(r"^(\w+) (\S+)$", text, re.MULTILINE))
    assert shown["telemock_store_records"] == "1.0"
    assert float(shown["telemock_store_limit_bytes"]) == 5 << 20
    assert shown["telemock_store_failing"] == "0.0"
    assert re.search(r'telemock_mock_duration_seconds_count\{[^}]*"telemetry"\} 1\.0', text)
    declared = {row.prometheus for row in METRICS if "app" in row.of}
    families = set(re.findall(r"^# TYPE (\w+?)(?:_total)? ", text, re.MULTILINE))
    assert declared <= families


@pytest.mark.parametrize("shown", [False, True])
def test_in_a_cluster_names_are_for_who_may_read_captures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: bool
) -> None:
    kubeconfig(tmp_path, monkeypatch, AWAY)
    values = {"TELEMOCK_CLUSTER": "1", "POD_NAMESPACE": "telemock"}
    if shown:
        values["TELEMOCK_METRICS_NAMES"] = "1"
    with serving(tmp_path, **values) as served:
        for name in ("telemock.leaving.size", "telemock.workload.captures"):
            (row,) = [row for row in METRICS if row.name == name]
            labels = ("secret-name",) * len(row.labels)
            served.runtime.metrics.add(name, labels)
        text = served.bare.get("/metrics").text
        assert ("secret-name" in text) is shown
        # What anybody may know is there all the same, and complete.
        families = set(re.findall(r"^# TYPE (\w+?)(?:_total)? ", text, re.MULTILINE))
        plain = {r.prometheus for r in METRICS if "app" in r.of} - {
            "telemock_leaving_size_bytes", "telemock_workload_captures"
        }  # fmt: skip
        assert plain <= families
        # A token is not looked at without TLS: it would be sent in the clear.
        answer = served.bare.get("/metrics", headers={"authorization": "Bearer x"})
        assert answer.status_code == 200 and ("secret-name" in answer.text) is shown


class _Authority:
    """Knows one token."""

    async def check(self, token: str, policy: Policy, namespace: str = "") -> Caller:
        assert policy == Policy("get")
        if token != "right":
            raise Denied(403, "may not get captures.telemock.io")
        return Caller("prometheus", sidecar=False)


@pytest.mark.parametrize(("token", "status"), [("right", 200), ("wrong", 403)])
async def test_over_tls_a_token_shows_names(tmp_path: Path, token: str, status: int) -> None:
    settings = SimpleNamespace(cluster=True, metrics_names=False)
    runtime: Any = SimpleNamespace(settings=settings, authority=_Authority())
    app = SimpleNamespace(state=SimpleNamespace(runtime=runtime))

    def request(scheme: str, *headers: tuple[bytes, bytes]) -> Request:
        scope = {"type": "http", "scheme": scheme, "headers": headers, "app": app, "path": "/",
                 "query_string": b"", "server": ("a", 1)}  # fmt: skip
        return Request(scope)

    given = b"authorization", f"Bearer {token}".encode()
    assert await may_see_names(request("https"), runtime) is False
    assert await may_see_names(request("http", given), runtime) is False
    if status == 200:
        assert await may_see_names(request("https", given), runtime) is True
    else:
        with pytest.raises(Denied):
            await may_see_names(request("https", given), runtime)


def test_records_that_are_not_stored_are_counted_without_names(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        told = [
            Told(
                Account(boot="ab" * 16, numbered=9, lost={"spool_full": 2}, ended=True), "ns", "p"
            ),
            Told(Account(boot="cd" * 16, numbered=4), "ns", "q"),
        ]
        served.runtime.store.write([], told)
        asyncio.run(served.runtime.count_records())  # as once a minute
        health = served.bare.get("/health").json()
        assert health["records"] == {"underway": 4, "waiting": 0, "lost": 9}
        metrics = served.bare.get("/metrics").text
        assert 'telemock_records_lost{telemock_reason="spool_full"} 2.0' in metrics
        assert 'telemock_records_lost{telemock_reason="killed"} 7.0' in metrics
        assert 'telemock_records_waiting{telemock_state="seen"} 4.0' in metrics
        assert 'telemock_records_waiting{telemock_state="silent"} 0.0' in metrics
