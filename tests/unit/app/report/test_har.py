"""A HAR file opens in browsers' tools, whatever was captured."""

import json
from typing import Any

import pytest

from app.contract.record import Body, CaptureRecord, Endpoint, Message, encode
from app.report.har import har
from tests.har import HarError, check
from tests.records import exchange, log, spliced

EVIL = '\x1b]0;owned\x07 <b>\u202e#?\\\n"%zz'


def written(*records: CaptureRecord) -> dict[str, Any]:
    """The log, valid."""
    document = json.loads(b"".join(har(map(encode, records))))
    check(document)
    found: dict[str, Any] = document["log"]
    return found


def test_har_is_what_the_specification_asks_for() -> None:
    record = exchange(
        5, method="POST", query=[("a b", "ä&="), ("x", "")],
        body=Body(text='{"lic":"***"}', size=20),
        headers=[("Content-Type", "application/json"), ("Cookie", "a=1; b=x=y")],
        destination=Endpoint(address="203.0.113.7", port=443), answer_ns=2_000_000,
    )  # fmt: skip
    log = written(record)
    assert (log["version"], log["creator"]["name"]) == ("1.2", "telemock")
    (entry,) = log["entries"]
    (page,) = log["pages"]
    assert entry["pageref"] == page["id"]
    assert entry["startedDateTime"] == page["startedDateTime"] == "2026-09-21T14:13:20.000Z"
    assert entry["time"] == 2.5
    assert entry["timings"] == {"send": 0, "wait": 2.0, "receive": 0.5}
    assert entry["serverIPAddress"] == "203.0.113.7"
    request, response = entry["request"], entry["response"]
    assert request["url"] == "https://cdn.cribl.io/telemetry/index.html?a%20b=%C3%A4%26%3D&x="
    assert request["postData"] == {"mimeType": "application/json", "text": '{"lic":"***"}'}
    assert request["cookies"] == [{"name": "a", "value": "1"}, {"name": "b", "value": "x=y"}]
    assert response["content"] == {
        "size": 29, "mimeType": "text/html", "text": "cribl /// living the stream!\n",
    }  # fmt: skip


def test_bytes_what_is_cut_and_what_has_no_answer() -> None:
    failed = exchange(
        1, kind="failed", reason="upstream_failed", response=None, body=Body(base64="/wA=", size=2)
    )
    shown, hidden = exchange(2), exchange(3, body=Body(size=9, withheld="encoding"))
    if shown.response:
        shown.response.body = Body(base64="/wA=", size=2, truncated=True)
        shown.response.headers = [("Set-Cookie", "s=1; Expires=Wed, 21 Oct; Secure")]
    first, second, third = written(spliced(9), failed, log(8, "x"), shown, hidden)["entries"]
    assert first["response"]["status"] == 0
    assert first["response"]["_error"].startswith("the connection to the real host broke")
    assert first["request"]["postData"]["comment"] == "base64"
    assert second["response"]["content"]["encoding"] == "base64"
    assert second["response"]["content"]["comment"] == "base64, cut"
    assert second["response"]["cookies"] == [{"name": "s", "value": "1"}]
    assert third["request"]["postData"]["comment"].startswith("withheld: ")


def test_what_is_no_entry_is_counted_by_kind() -> None:
    said = Message(of="x", sender="client", body=Body(text="a\n", size=2), line=True)
    lines = [CaptureRecord(boot="b" * 16, seq=n, kind="message", time_ns=n, message=said)
             for n in (1, 2)]  # fmt: skip
    text = Message(of="x", sender="server", body=Body(text="a", size=1))
    message = CaptureRecord(boot="b" * 16, seq=3, kind="message", time_ns=3, message=text)
    found = written(*lines, exchange(4), message, spliced(5), log(6, "x"))
    assert found["_left_out"] == {"line": 2, "message": 1, "spliced": 1, "log": 1}
    assert "2 of kind line, 1 of kind message" in found["comment"] and "ndjson" in found["comment"]
    assert "comment" not in written(exchange(1))


def test_a_file_without_entries_is_one_too() -> None:
    assert written(spliced(1))["entries"] == []
    assert written()["pages"] == []


@pytest.mark.parametrize(
    "host, url",
    [
        ("cdn.cribl.io", "https://cdn.cribl.io/"),
        ("a_b.example.", "https://a_b.example./"),
        ("10.0.0.1", "https://10.0.0.1/"),
        ("::1", "https://[::1]/"),
        ("", "https://host.invalid/"),
        ("1.2.3.999", "https://host.invalid/"),
        ("7", "https://host.invalid/"),
        ("a.0x7", "https://host.invalid/"),
        ("xn--\u00e4.example", "https://host.invalid/"),
        ("xn--99999999999.example", "https://host.invalid/"),
        ("xn--bcher-kva.example", "https://xn--bcher-kva.example/"),
        ("a..b", "https://host.invalid/"),
        ("a b", "https://host.invalid/"),
        ("a/../b", "https://host.invalid/"),
        ("a@b", "https://host.invalid/"),
        ("fe80::1%eth0", "https://[fe80::1]/"),
        (EVIL, "https://host.invalid/"),
    ],
)
def test_every_url_is_one(host: str, url: str) -> None:
    (entry,) = written(exchange(1, host=host, path="/", query=[]))["entries"]
    assert entry["request"]["url"] == url


@pytest.mark.parametrize("address", ["", "cdn.cribl.io", "1.2.3", EVIL])
def test_what_is_no_address_is_not_said_to_be_one(address: str) -> None:
    (entry,) = written(exchange(1, destination=Endpoint(address=address)))["entries"]
    assert "serverIPAddress" not in entry


def test_an_address_goes_without_its_zone() -> None:
    (entry,) = written(exchange(1, destination=Endpoint(address="fe80::1%eth0")))["entries"]
    assert entry["serverIPAddress"] == "fe80::1"


def test_odd_requests_make_valid_files() -> None:
    records = [
        exchange(1, method=EVIL, path=EVIL, query=[(EVIL, EVIL)], headers=[(EVIL, EVIL)]),
        exchange(2, method="OPTIONS", path="*", query=[]),
        exchange(3, duration_ns=2**63 - 1, answer_ns=1, time_ns=2**63 - 1),
        exchange(4, duration_ns=0, headers=[("Cookie", ";;=; a")]),
    ]
    records[1].request.port, records[1].request.scheme = 0, "gopher"  # type: ignore[union-attr]
    records[2].request.port = 70000  # type: ignore[union-attr]
    entries = written(*records)["entries"]
    assert entries[1]["request"]["url"] == "https://cdn.cribl.io/*"
    assert len(entries) == 4


@pytest.mark.parametrize(
    "path, value",
    [
        ("pages", None),
        ("creator.version", None),
        ("pages.0.pageTimings", None),
        ("entries.0.pageref", "page_2"),
        ("entries.0.time", "2.5"),
        ("entries.0.time", 9),
        ("entries.0.startedDateTime", "yesterday"),
        ("entries.0.serverIPAddress", ""),
        ("entries.0.cache", None),
        ("entries.0.timings.wait", -1),
        ("entries.0.request.url", "cdn.cribl.io/"),
        ("entries.0.request.headersSize", True),
        ("entries.0.request.invented", 1),
        ("entries.0.request.postData", {"mimeType": "", "text": "", "params": []}),
        ("entries.0.response.content.size", None),
        ("entries.0.response.content.encoding", "gzip"),
        ("entries.0.response.cookies", [{"name": "a"}]),
    ],
)
def test_the_validator_sees_what_is_wrong(path: str, value: Any) -> None:
    document = {"log": written(exchange(1))}
    node: Any = document["log"]
    *steps, last = path.split(".")
    for step in steps:
        node = node[int(step)] if step.isdigit() else node[step]
    if value is None:
        del node[last]
    else:
        node[last] = value
    with pytest.raises((HarError, ValueError)):
        check(document)
