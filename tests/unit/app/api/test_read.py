import json
from pathlib import Path

import httpx
import pytest

from app.auth import Caller, Denied, Policy
from app.contract.record import Request, Response, Workload
from app.profiles import watch
from tests.serving import Served, serving
from tests.unit.app.api.records import BOOT, line, post
from tests.waiting import wait_for


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


def test_diff(served: Served) -> None:
    newer = Request(method="GET", host="cdn.cribl.io", query=[("v", "4.17.0"), ("fc.new", "1")])
    post(served, line(1), line(2, product_version="4.17.0", request=newer))
    found = served.client.get("/api/v1/diff").json()
    assert (found["profile"], found["one"], found["other"]) == ("cribl", "4.16.1", "4.17.0")
    assert ["added", "query.fc.new"] in [[d["kind"], d["what"]] for d in found["differences"]]
    refused = served.client.get("/api/v1/diff", params={"one": "time:x.."})
    assert refused.status_code == 422 and refused.json()["hint"]


def test_coverage_is_the_reports(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        served.bare.get("/telemetry/?v=1")
        served.captures(1)
        part = served.client.get("/api/v1/coverage").json()
        report = served.client.get("/api/v1/report").json()
        assert part["coverage"]["verdict"] == report["coverage"]["verdict"]
        (one,) = part["ledger"]
        assert (one["numbered"], one["stored"], one["waiting"]) == (1, 1, 0)
        assert list(one["connections"].values()) == [{"answered": 1}]
        assert served.bare.get("/api/v1/coverage").status_code == 401


def test_a_refused_profile_is_in_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_LOOK_S", 0.05)
    profile = tmp_path / "acme.yaml"
    profile.write_text((Path(__file__).parents[3] / "profile.yaml").read_text())
    with serving(tmp_path, TELEMOCK_PROFILES=str(profile)) as served:
        profile.write_text("id: [")
        wait_for(lambda: served.runtime.profiles.error)
        coverage = served.client.get("/api/v1/report").json()["coverage"]
        assert not coverage["complete"]
        assert coverage["gaps"][0]["id"] == "profile_refused"  # before the rest
        assert "telemock rules check" in coverage["verdict"]
        health = served.bare.get("/health").json()
        assert health["status"] == "degraded" and health["profiles"]["error"]


class Bounded:
    """An authority that lets everybody read the captures of these namespaces."""

    def __init__(self, *namespaces: str) -> None:
        self.namespaces = namespaces
        self.asked: list[str] = []

    async def check(self, token: str, policy: Policy, namespace: str = "") -> Caller:
        self.asked.append(namespace)
        if not policy.bounded:
            raise Denied(403, "not here")
        return Caller("somebody", sidecar=False, namespaces=self.namespaces)


def test_who_is_bound_reads_its_namespaces_and_nothing_else(served: Served) -> None:
    mine, theirs = Workload(namespace="mine", pod="a"), Workload(namespace="theirs", pod="b")
    post(served, line(1, workload=mine), line(2, workload=theirs), line(3, workload=mine))
    ids = {r["seq"]: r["id"] for r in served.client.get("/api/v1/captures").json()["items"]}
    served.runtime.authority = authority = Bounded("mine")

    def get(path: str, **params: str) -> httpx.Response:
        return served.client.get(f"/api/v1{path}", params=params)

    assert {r["seq"] for r in get("/captures").json()["items"]} == {1, 3}
    assert get("/captures", workload="theirs/").json()["items"] == []
    assert authority.asked[-1] == "theirs"
    assert get("/captures", text="theirs").json()["items"] == []
    assert get("/captures", q="namespace:theirs").json().get("items", []) == []
    assert get(f"/captures/{ids[1]}").status_code == 200
    assert get(f"/captures/{ids[2]}").status_code == 404
    for path in ("/report", "/fields", "/coverage", "/changes"):
        answer = get(path)
        assert answer.status_code == 200 and "theirs" not in answer.text
    assert get("/report").json()["count"] == 2
    assert get("/report").json()["dropped"] == {}
    ever = {"one": "time:..2099-01-01", "other": "time:2020-01-01.."}
    diff = get("/diff", profile="cribl", **ever)
    assert diff.json()["notes"][0].endswith("read of 2 captures") and "theirs" not in diff.text
    assert diff.json()["volumes"] == []
    assert get("/diff", profile="cribl").status_code == 422  # there is one version
    (one,) = get("/coverage").json()["ledger"]
    assert (one["who"], one["stored"]) == ("mine/a", 3)  # a boot counts whole, here for its first
    # Every other route that people may ask is closed to it.
    schema = served.bare.get("/openapi.json").json() if served.bare else {}
    for path, methods in schema.get("paths", {}).items():
        known = path in ("/api/v1/captures", "/api/v1/captures/{id}", "/api/v1/report",
                         "/api/v1/fields", "/api/v1/coverage", "/api/v1/diff", "/api/v1/changes",
                         "/api/v1/changes/{id}")  # fmt: skip
        if path.startswith("/api/v1") and "get" in methods and not known:
            assert get(path.removeprefix("/api/v1"), url="https://a/").status_code == 403, path
