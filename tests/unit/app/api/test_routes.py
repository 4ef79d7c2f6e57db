import gzip
import json
import re
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import zstandard
from fastapi import HTTPException

from app.api.routes import instant
from app.contract import account, rules
from app.contract.names import HEADER_ACCOUNTS, HEADER_LEAVING, HEADER_SIDECAR
from app.contract.record import CaptureRecord, Request, Response, encode
from app.store import StoreError, StoreFull
from tests.serving import Served, serving, until

BOOT = "feedfeedfeedfeed"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path) as served:
        yield served


def line(seq: int, **changes: Any) -> bytes:
    values: dict[str, Any] = {
        "boot": BOOT,
        "seq": seq,
        "kind": "exchange",
        "time_ns": 1_790_000_000_000_000_000 + seq,
        "profile": "cribl",
        "rule": "telemetry",
        "route": "/telemetry/index.html",
        "action": "mock",
        "product_version": "4.16.1",
        "request": Request(method="GET", host="cdn.cribl.io", query=[("v", "4.16.1")]),
        "response": Response(status=200),
        **changes,
    }
    return encode(CaptureRecord(**values))


def post(served: Served, *lines: bytes, encoding: str = "") -> httpx.Response:
    body = b"\n".join(lines)
    if encoding == "gzip":
        body = gzip.compress(body)
    elif encoding == "zstd":
        body = zstandard.compress(body)
    headers = {"content-type": "application/x-ndjson"}
    if encoding:
        headers["content-encoding"] = encoding
    return served.client.post("/api/v1/captures", content=body, headers=headers)


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


def test_pages_show_every_capture_once(served: Served) -> None:
    post(served, *(line(n) for n in range(1, 26)))
    seen: list[int] = []
    cursor = None
    while True:
        params = {"limit": 10, **({"cursor": cursor} if cursor else {})}
        page = served.client.get("/api/v1/captures", params=params).json()
        seen += [r["seq"] for r in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == list(range(25, 0, -1))


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"host": "cdn.cribl.io"}, [1, 2]),
        ({"host": "other.test"}, [3]),
        ({"status": "503"}, [2]),
        ({"status": "5xx"}, [2]),
        ({"version": "4.17.0"}, [2]),
        ({"method": "POST"}, [3]),
        ({"profile": "cribl", "action": "observe"}, [3]),
        ({"text": "OTHER"}, [3]),
        ({"since": "1790000000000000002"}, [2, 3]),
        ({"until": "2026-09-21T14:13:20.000000Z"}, []),
        ({"kind": "log"}, []),
    ],
)
def test_filters(served: Served, filters: dict[str, str], found: list[int]) -> None:
    post(
        served,
        line(1),
        line(2, product_version="4.17.0", response=Response(status=503)),
        line(3, action="observe", request=Request(method="POST", host="other.test")),
    )
    answer = served.client.get("/api/v1/captures", params={"order": "oldest", **filters})
    assert [r["seq"] for r in answer.json()["items"]] == found


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=1001", "limit=x", "cursor=garbage", "status=abc", "kind=x", "action=x",
        "since=yesterday", "until=9999999d9", "order=x", "cursor=newest.1", "since=-1",
    ],
)  # fmt: skip
def test_a_bad_parameter_is_422(served: Served, query: str) -> None:
    answer = served.client.get("/api/v1/captures?" + query)
    assert answer.status_code == 422
    assert answer.json()["error"]
    assert answer.json()["hint"]


def test_one_capture_with_fields_of_a_newer_version(served: Served) -> None:
    post(served, line(1)[:-1] + b',"invented":{"a":[1]}}')
    answer = served.client.get(f"/api/v1/captures/{BOOT}-1")
    assert answer.json()["invented"] == {"a": [1]}
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    for missing in (f"{BOOT}-2", "x", "%00", "a-99999999999999999999"):
        answer = served.client.get(f"/api/v1/captures/{missing}")
        assert (answer.status_code, set(answer.json())) == (404, {"error", "hint"})


def test_captures_link_to_their_trace(tmp_path: Path) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    url = "https://jaeger.test/trace/{trace_id}"
    with serving(tmp_path, TELEMOCK_TRACE_URL=url) as served:
        post(served, line(1, trace_id=trace, span_id="b7ad6b7169203331"), line(2))
        linked, bare = served.captures(2)
        assert linked["trace_url"] == f"https://jaeger.test/trace/{trace}"
        assert (linked["trace_id"], linked["span_id"]) == (trace, "b7ad6b7169203331")
        assert "trace_url" not in bare
        one = served.client.get(f"/api/v1/captures/{BOOT}-1").json()
        assert one["trace_url"] == linked["trace_url"]


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


def test_report_and_fields(served: Served) -> None:
    newer = Request(method="GET", host="cdn.cribl.io", query=[("v", "4.17.0"), ("fc.new", "1")])
    post(served, line(1), line(2, product_version="4.17.0", request=newer))
    report = served.client.get("/api/v1/report", params={"profile": "cribl"}).json()
    assert report["endpoints"][0]["count"] == 2
    assert "fc.new" in json.dumps(report["new_fields"])
    fields = served.client.get("/api/v1/fields").json()["items"]
    assert {"query.v", "query.fc.new"} <= {f["path"] for f in fields}
    assert served.client.get("/api/v1/report", params={"since": "garbage"}).status_code == 422


def test_profiles_for_sidecars(served: Served) -> None:
    answer = served.client.get("/api/v1/profiles")
    bundle = rules.load(answer.content)
    assert [p.id for p in bundle.rules.profiles] == ["cribl"]
    assert bundle.mask_key == (served.runtime.settings.data / "mask.key").read_bytes()
    assert len(bundle.mask_key_id) == 8
    etag = answer.headers["etag"]
    assert answer.headers["telemock-again"] == "0"  # as often as it likes
    for known in (etag, f'"x", W/{etag}'):
        again = served.client.get("/api/v1/profiles", headers={"if-none-match": known})
        assert (again.status_code, again.content) == (304, b"")
    other = served.client.get("/api/v1/profiles", headers={"if-none-match": '"other"'})
    assert other.status_code == 200


def test_explain(served: Served) -> None:
    url = "https://cdn.cribl.io/telemetry/index.html?v=1"
    found = served.client.get("/api/v1/explain", params={"url": url, "mode": "observe"}).json()
    assert (found["profile"], found["rule"], found["action"]) == ("cribl", "telemetry", "observe")
    assert len(found["considered"]) > 1
    for bad in ({"url": "nonsense://"}, {}, {"url": url, "mode": "x"}):
        assert served.client.get("/api/v1/explain", params=bad).status_code == 422


def test_instants() -> None:
    assert instant(None, "since") is None
    assert instant("5", "since") == 5
    assert instant("2026-01-31T12:00:00Z", "since") == instant("2026-01-31T12:00:00", "since")
    noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert instant("2026-01-31T13:00:00+01:00", "since") == int(noon.timestamp()) * 10**9
    ago = instant("90m", "since")
    assert ago is not None and abs(time.time_ns() - ago - 5400 * 10**9) < 10**9
    with pytest.raises(HTTPException):
        instant("soon", "since")


def test_sender_that_hangs_up_is_no_error(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_connection(("127.0.0.1", served.port)) as sender:
        sender.sendall(
            b"POST /api/v1/captures HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n"
            b"Authorization: Bearer " + served.runtime.token.encode() + b"\r\n\r\n{"
        )

    def ended() -> bool:
        return b'http_response_status_code="408"' in served.runtime.metrics.render()

    until(ended)
    assert [r.message for r in caplog.records if r.levelname == "ERROR"] == []
    assert post(served, line(1)).json()["stored"] == 1
