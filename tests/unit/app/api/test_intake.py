"""app/api/intake.py: batches are taken once, or refused with a reason."""

import gzip
import json
import re
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
import zstandard

from app.auth import Caller, Pod, Policy
from app.contract import account
from app.contract.names import HEADER_ACCOUNTS, HEADER_LEAVING, HEADER_SIDECAR
from app.store import StoreError, StoreFull
from tests.cluster import AWAY, kubeconfig
from tests.serving import Served, serving
from tests.unit.app.api.records import BOOT, line, post
from tests.waiting import wait_for


@pytest.mark.parametrize("encoding", ["", "gzip", "zstd"])
def test_a_batch_is_taken_once(served: Served, encoding: str) -> None:
    first = post(served, line(1), line(2), encoding=encoding)
    assert (first.status_code, first.json()) == (
        200, {"stored": 2, "duplicates": 0, "refused": []},
    )  # fmt: skip
    again = post(
        served, line(2), b'{"boot":"feedfeedfeedfeed","seq":9}', line(3), encoding=encoding
    )
    assert (again.json()["stored"], again.json()["duplicates"]) == (1, 1)
    refused = again.json()["refused"][0]
    assert (refused["line"], refused["id"]) == (2, f"{BOOT}-9")
    assert "kind" in refused["reason"]
    assert [r["seq"] for r in served.captures(3)] == [1, 2, 3]
    text = served.bare.get("/metrics").text
    assert 'telemock_ingest_records_total{telemock_outcome="stored"} 3.0' in text
    assert 'telemock_ingest_records_total{telemock_outcome="duplicate"} 1.0' in text
    assert 'telemock_ingest_records_total{telemock_outcome="refused"} 1.0' in text


def test_accounts_go_with_a_batch_and_alone(served: Served) -> None:
    def tell(numbered: int, *lines: bytes, ended: bool = False) -> Any:
        told = [account.Account(boot=BOOT, numbered=numbered, lost={"shutdown": 1}, ended=ended)]
        headers = {HEADER_ACCOUNTS: account.encode(told)}
        answer = served.client.post(
            "/api/v1/captures", content=b"\n".join(lines), headers=headers
        ).raise_for_status()
        (missing,) = served.client.get("/api/v1/report").json()["missing"] or [{}]
        return answer.json()["accounts"], missing.get("missing"), missing.get("lost")

    assert tell(3, line(1)) == ({BOOT: 1}, 1, {"shutdown": 1})
    assert tell(7) == ({BOOT: 1}, 1, {"shutdown": 1})
    assert tell(7, line(1), line(2), ended=True) == ({BOOT: 2}, 5, {"shutdown": 1, "killed": 4})
    assert len(served.captures(2)) == 2


@pytest.mark.parametrize(
    ("content", "encoding", "status"),
    [
        (b"not gzip", "gzip", 400),
        (zstandard.compress(bytes(65 << 20)), "zstd", 413),
        (gzip.compress(bytes(65 << 20)), "gzip", 413),
        (bytes(9 << 20), "identity", 413),
        (b"", "br", 415),
    ],
    ids=["no gzip", "zstd bomb", "gzip bomb", "large", "unknown"],
)
def test_a_bad_batch(served: Served, content: bytes, encoding: str, status: int) -> None:
    answer = served.client.post(
        "/api/v1/captures", content=content, headers={"content-encoding": encoding}
    )
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "hint"}
    assert served.bare.get("/health").json()["store"]["records"] == 0


def test_a_full_disk_and_a_broken_store(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(batch: object, told: object) -> None:
        raise StoreFull("the disk is full\n\nhint: make room")

    monkeypatch.setattr(served.runtime.store, "write", full)
    answer = post(served, line(1))
    assert (answer.status_code, answer.json()) == (
        507, {"error": "the disk is full", "hint": "make room"},
    )  # fmt: skip
    assert answer.headers["retry-after"]

    def broken(*_: object) -> None:
        raise StoreError("no store\n\nhint: get one")

    monkeypatch.setattr(served.runtime.store, "stats", broken)
    monkeypatch.setattr(served.runtime.store, "captures", broken)
    assert served.client.get("/api/v1/captures").status_code == 503
    ready = served.bare.get("/ready")  # the mock answers, so its pod keeps its traffic
    assert (ready.status_code, ready.json()["ready"]) == (200, True)
    assert ready.json()["status"] == "degraded"
    assert ready.json()["degraded"] == ["no store"]
    health = served.bare.get("/health")
    assert health.status_code == 200
    assert health.json()["status"] == "degraded"
    assert health.json()["store"]["ok"] is False
    assert served.bare.get("/metrics").status_code == 200


def sidecars(served: Served) -> dict[str, float]:
    text = served.bare.get("/metrics").text
    found = re.findall(r'telemock_sidecars\{telemock_state="(\w+)"\} (\S+)', text)
    return {state: float(number) for state, number in found}


def test_sidecars_are_counted_until_they_take_leave(served: Served) -> None:
    assert sidecars(served) == {"seen": 0, "silent": 0}
    served.client.get("/api/v1/profiles")  # a person
    assert sidecars(served)["seen"] == 0
    one, other = {HEADER_SIDECAR: "one"}, {HEADER_SIDECAR: "other"}
    served.client.get("/api/v1/profiles", headers=one)
    served.client.get("/api/v1/profiles", headers=other)
    served.client.post("/api/v1/captures", content=line(1), headers=one)
    assert sidecars(served) == {"seen": 2, "silent": 0}
    leave = served.client.post("/api/v1/captures", headers={**one, HEADER_LEAVING: "1"})
    assert leave.json() == {"stored": 0, "duplicates": 0, "refused": []}
    assert sidecars(served) == {"seen": 1, "silent": 0}


def test_batches_are_measured(served: Served) -> None:
    post(served, line(1), line(2))
    served.client.post("/api/v1/captures", headers={HEADER_LEAVING: "1"})  # is none
    text = served.bare.get("/metrics").text
    assert "telemock_ingest_batch_size_sum 2.0" in text
    assert "telemock_ingest_batch_duration_seconds_count 1.0" in text


def test_sender_that_hangs_up_is_no_error(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_connection(("127.0.0.1", served.port)) as sender:
        sender.sendall(
            b"POST /api/v1/captures HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n"
            b"Authorization: Bearer " + served.runtime.token.encode() + b"\r\n\r\n{"
        )

    def ended() -> bool:
        return b'http_response_status_code="408"' in served.runtime.metrics.render()

    wait_for(ended)
    assert [r.message for r in caplog.records if r.levelname == "ERROR"] == []
    assert post(served, line(1)).json()["stored"] == 1


class Trial:
    """Knows the pod of `helm test`, and everybody else as somebody who may read all."""

    async def check(self, token: str, policy: Policy, namespace: str = "") -> Caller:
        if policy.sidecar:
            return Caller("sidecar", sidecar=True, pod=Pod("observe", "telemock-test", "u"))
        return Caller("viewer", sidecar=False)


def test_what_helm_test_sends_is_read_back_and_kept_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubeconfig(tmp_path, monkeypatch, AWAY)
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trust = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    values = {"TELEMOCK_CLUSTER": "1", "POD_NAMESPACE": "observe"}
    with (
        serving(tmp_path, context, **values) as served,
        httpx.Client(
            base_url=f"https://127.0.0.1:{served.port}", verify=trust, trust_env=False,
            headers={"authorization": "Bearer x"},
        ) as client,
    ):  # fmt: skip
        served.runtime.authority = Trial()
        headers = {"content-type": "application/x-ndjson", "telemock-sidecar": "ab" * 16}
        now = time.time_ns()
        old, new = line(1, time_ns=now - 86_400 * 10**9), line(2, time_ns=now)
        taken = client.post("/api/v1/captures", content=old + b"\n" + new, headers=headers)
        assert taken.json()["stored"] == 2

        def found(workload: str, **more: str) -> list[int]:
            asked = {"workload": workload, "version": "4.16.1", **more}
            items = client.get("/api/v1/captures", params=asked).json()["items"]
            return [item["seq"] for item in items]

        assert found("observe/telemock-test") == [2, 1]
        assert found("observe/telemock-test", since="1h") == [2]
        assert found("observe/telemock-test", version="9") == []
        assert found("observe/") == []
        report = client.get("/api/v1/report").json()
        assert (report["count"], report["missing"], report["workloads"]) == (0, [], [])
        assert "telemock-test" not in json.dumps(report)
        assert served.runtime.store.stats().records == 0
        assert served.runtime.sidecars.counts() == (0, 0)
