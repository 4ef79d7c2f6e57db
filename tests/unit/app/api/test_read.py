import json
from pathlib import Path

import pytest

from app.contract.record import Request, Response
from tests.serving import Served, serving
from tests.unit.app.api.records import BOOT, line, post


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
        ({"q": "host:*.cribl.io -status:5xx"}, [1]),
        ({"q": "version>=4.17", "host": "cdn.cribl.io"}, [2]),
        ({"q": "field:v outcome:answered"}, [1, 2]),
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
        "q=hots:a", "q=%22",
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


def test_captures_have_an_id_and_a_time_for_programs(served: Served) -> None:
    post(served, line(1))
    (listed,) = served.captures(1)
    assert (listed["id"], listed["time"][-4:]) == (f"{BOOT}-1", "001Z")
    assert served.client.get(f"/api/v1/captures/{listed['id']}").json() == listed


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


def test_report_and_fields(served: Served) -> None:
    newer = Request(method="GET", host="cdn.cribl.io", query=[("v", "4.17.0"), ("fc.new", "1")])
    post(served, line(1), line(2, product_version="4.17.0", request=newer))
    report = served.client.get("/api/v1/report", params={"profile": "cribl"}).json()
    assert report["answered"][0]["count"] == 2
    assert "fc.new" in json.dumps(report["new_fields"])
    fields = served.client.get("/api/v1/fields").json()["items"]
    assert {"query.v", "query.fc.new"} <= {f["path"] for f in fields}
    assert served.client.get("/api/v1/report", params={"since": "garbage"}).status_code == 422
