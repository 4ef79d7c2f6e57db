import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.contract.record import BODY_CAP
from app.contract.rules import Answer, RuleSet
from app.mock.mock import direct_host, is_direct, step
from app.profiles import load_profiles
from tests.serving import Served, serving
from tests.waiting import wait_for

PROFILE = str(Path(__file__).parents[3] / "profile.yaml")
SECRET = "canary-lic-0123456789"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("mock"), TELEMOCK_PROFILES=f"{PROFILE},cribl") as served:
        yield served


def ask(served: Served, path: str, method: str = "GET", **given: Any) -> httpx.Response:
    headers = {"host": "t.acme.test", **given.pop("headers", {})}
    return served.bare.request(method, path, headers=headers, **given)


known: set[int] = set()  # sequence numbers of records that a test has looked at


def last(served: Served, rule: str) -> dict[str, Any]:
    """The newest record of a rule, which a request just now has made."""
    new: list[dict[str, Any]] = []

    def found() -> bool:
        records = served.captures(0, limit=1000)
        new[:] = [r for r in records if r.get("rule", "") == rule and r["seq"] not in known]
        return bool(new)

    wait_for(found)
    known.update(r["seq"] for r in new)
    return new[-1]


def test_static_answer_and_its_record(served: Served) -> None:
    answer = ask(served, f"/page?v=2.1&lic={SECRET}&v=x", headers={"x-h": "1"})
    assert (answer.status_code, answer.text) == (200, "page\n")
    record = last(served, "page")
    assert record["kind"] == "exchange"
    assert (record["profile"], record["action"], record["answered_by"]) == ("acme", "mock", "app")
    assert record["product_version"] == "2.1"
    assert record["boot"] == served.runtime.boot
    assert record["client"]["address"] == "127.0.0.1"
    request = record["request"]
    assert (request["host"], request["path"], request["method"]) == ("t.acme.test", "/page", "GET")
    assert [n for n, _ in request["query"]] == ["v", "lic", "v"]
    assert re.fullmatch(r"tok_[0-9a-f]{24}", request["query"][1][1])
    assert record["mask_key"] == served.runtime.mask_key_id
    assert ["x-h", "1"] in request["headers"]
    assert record["response"]["status"] == 200
    assert record["response"]["body"]["text"] == "page\n"
    assert record["response"]["body"]["sha256"] == hashlib.sha256(b"page\n").hexdigest()
    assert record["duration_ns"] > 0


def test_direct_use_is_judged_as_the_profiles_host_and_keeps_the_clients(served: Served) -> None:
    answer = served.bare.get("/telemetry/index.html?v=1.2.3")
    assert answer.text == "cribl /// living the stream!\n"
    assert answer.headers["content-type"] == "text/html"
    record = last(served, "telemetry")
    assert (record["profile"], record["product_version"]) == ("cribl", "1.2.3")
    assert (record["request"]["host"], record["request"]["port"]) == ("127.0.0.1", served.port)


def test_without_slash_redirects(served: Served) -> None:
    answer = served.bare.get("/telemetry")
    assert (answer.status_code, answer.headers["location"]) == (302, "/telemetry/")


def test_head_has_the_headers_of_get(served: Served) -> None:
    answer = ask(served, "/page", "HEAD")
    assert (answer.headers["content-length"], answer.content) == ("5", b"")
    assert last(served, "page")["request"]["method"] == "HEAD"


def test_no_content(served: Served) -> None:
    answer = ask(served, "/empty")
    assert (answer.status_code, answer.content) == (204, b"")


def test_template(served: Served) -> None:
    for count in (1, 2):
        answer = ask(served, "/template?q=<b>", "POST", json={"a": 7}, headers={"x-h": "h"})
        assert answer.text == f"{count} POST &lt;b&gt; h 7 True"
        assert last(served, "template")["response"]["body"]["text"].startswith(f"{count} POST")


def test_template_that_fails(served: Served) -> None:
    answer = ask(served, f"/broken?lic={SECRET}")
    assert answer.status_code == 500
    assert answer.headers["telemock-error"] == "failed"
    assert last(served, "broken")["response"]["status"] == 500
    log = (served.runtime.settings.logs / "mock_server.log").read_text()
    assert "a template failed: UndefinedError" in log
    assert SECRET not in log


def test_sequence_goes_on_and_stays(served: Served) -> None:
    answers = [ask(served, "/steps") for _ in range(3)]
    assert [(a.status_code, a.text) for a in answers] == [(503, "one"), (200, "two"), (200, "two")]


def test_block_refuses(served: Served) -> None:
    answer = ask(served, "/refuse")
    assert (answer.status_code, answer.text) == (403, "blocked by telemock\n")
    record = last(served, "refuse")
    assert (record["kind"], record["action"], record["reason"]) == ("refused", "block", "blocked")


def test_observe_cannot_forward_here_and_answers(served: Served) -> None:
    assert ask(served, "/watch").status_code == 200
    assert last(served, "watch")["action"] == "mock"


def test_no_rule(served: Served) -> None:
    answer = ask(served, "/other")
    assert answer.status_code == 404
    assert answer.json()["hint"]
    assert answer.headers["telemock-error"] == "no_rule"
    record = last(served, "")
    assert (record["profile"], record["response"]["status"]) == ("acme", 404)


@pytest.mark.parametrize(
    ("body", "kind", "answer"),
    [
        (b'{"kind":"special","version":"9"}', "application/json", "special"),
        (b'{"kind":"other"}', "application/json", "ordinary"),
        (b'{"kind":"special","version":"9"}', "text/plain", "special"),
        (b"{", "application/json", "special"),
        (b'{"kind":"other"}' + b" " * BODY_CAP, "application/json", "special"),
    ],
    ids=["matches", "differs", "without its type", "broken", "over the cap"],
)
def test_body_decides(served: Served, body: bytes, kind: str, answer: str) -> None:
    got = ask(served, "/body", "POST", content=body, headers={"content-type": kind})
    assert got.text == answer
    if answer == "special":
        record = last(served, "by-body")
        read = b"version" in body
        assert record.get("product_version", "") == ("9" if read else "")
        assert record.get("judged_by", "") == ("" if read else "body")


def test_what_a_sidecar_sends_is_answered_and_not_recorded(served: Served) -> None:
    ask(served, "/page")
    before = last(served, "page")["seq"]
    answer = served.bare.get(
        "/anything",
        headers={"host": "gone.test", "telemock-record": "x-1", "telemock-rule": "acme/page"},
    )
    assert answer.text == "page\n"
    odd = {"host": "a@gone.test, x", "telemock-record": "x-1", "telemock-rule": "acme/page"}
    assert served.bare.get("/%2e%2e%2f;x", headers=odd).text == "page\n"
    unknown = served.bare.get(
        "/anything",
        headers={"host": "gone.test", "telemock-record": "x-2", "telemock-rule": "acme/no"},
    )
    assert unknown.headers["telemock-error"] == "no_rule"
    ask(served, "/page")
    assert last(served, "page")["seq"] == before + 1


def test_bad_bytes_and_many_headers(served: Served) -> None:
    headers = {b"x-bad": b"\xff", **{b"x-%d" % n: b"v" for n in range(200)}}
    headers[b"host"] = b"t.acme.test"
    answer = served.bare.get("/page?q=%ff%00%1b[31m", headers=headers)
    assert answer.status_code == 200
    request = last(served, "page")["request"]
    assert request["query"] == [["q", "\\xff\x00\x1b[31m"]]
    assert ["x-bad", "\\xff"] in request["headers"]
    assert len(request["headers"]) == 100
    assert request["left_out"] > 100


def test_direct_host_is_of_the_first_profile_with_a_telemetry_rule() -> None:
    rules = load_profiles([PROFILE, "cribl"])
    assert direct_host(rules) == "cdn.cribl.io"
    assert direct_host(RuleSet()) == ""


@pytest.mark.parametrize(
    ("path", "direct"),
    [("/telemetry", True), ("/telemetry/x", True), ("/telemetryx", False), ("/", False)],
)
def test_direct_paths(path: str, direct: bool) -> None:
    assert is_direct(path) is direct


def test_step() -> None:
    answer = Answer(sequence=(Answer(status=201), Answer(status=202)))
    assert [step(answer, n).status for n in (1, 2, 3)] == [201, 202, 202]
    assert step(Answer(), 5) == Answer()


def test_mode_block_replaces_mock(tmp_path: Path) -> None:
    with serving(tmp_path, TELEMOCK_MODE="block") as served:
        assert served.bare.get("/telemetry/").status_code == 403
        record = served.captures()[0]
        assert (record["action"], record["mode"]) == ("block", "block")


def test_a_body_over_the_limit_is_refused_and_recorded(tmp_path: Path) -> None:
    with serving(tmp_path, TELEMOCK_MAX_BODY="100KiB") as served:
        answer = served.bare.post("/telemetry/events", content=bytes(200 << 10))
        assert answer.status_code == 413
        record = served.captures()[0]
        assert record["response"]["status"] == 413
        assert record["request"]["body"]["size"] > 100 << 10


def test_a_record_and_its_log_lines_are_of_the_callers_trace(tmp_path: Path) -> None:
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    with serving(tmp_path, TELEMOCK_PROFILES=PROFILE, LOG_FORMAT="json") as served:
        ask(served, "/broken", headers={"traceparent": f"00-{trace}-{parent}-01"})
        ask(served, "/broken")
        continued, own = served.captures(2)
        log = (served.runtime.settings.logs / "mock_server.log").read_text()
    assert continued["trace_id"] == trace
    assert re.fullmatch("[0-9a-f]{16}", continued["span_id"]) and continued["span_id"] != parent
    assert re.fullmatch("[0-9a-f]{32}", own["trace_id"]) and own["trace_id"] != trace
    lines = [json.loads(line) for line in log.splitlines() if "a template failed" in line]
    assert [(found["trace_id"], found["span_id"]) for found in lines] == [
        (record["trace_id"], record["span_id"]) for record in (continued, own)
    ]


def test_what_a_fault_breaks_is_measured_as_an_error(served: Served) -> None:
    with pytest.raises(httpx.HTTPError):
        ask(served, "/reset")
    assert last(served, "reset")["detail"] == "fault: reset"
    wait_for(lambda: 'error_type="reset"' in served.bare.get("/metrics").text)
    labels = {"telemock_profile": "acme", "telemock_rule": "reset"}
    name = "telemock_mock_duration_seconds_count"
    assert served.runtime.metrics.registry.get_sample_value(name, labels) == 1
