"""Records of a damaged or hostile sidecar, sent to the real app: each is refused by itself or kept,
and every output stays what it says it is."""

import csv
import io
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.contract.record import CaptureRecord, Request, Response, encode
from app.report.export import FORMATS
from tests.har import check
from tests.serving import Served, serving

BOOT = "feedfeedfeedfeed"
SECRET = "bGljZW5jZS1jYW5hcnk="
NOW = time.time_ns()

VALUES = [
    b'"\xff"', b'"\xed\xa0\xbd"', b'"\\ud83d"', b'"\\ude00\\ud83d"', b'"\\u0000"', b'"\x00"',
    b'"\n"',
    b'"\\n\\r\\t\\u001b[2J"', b"1e999", b"-1e999", b"1e-999", b"%d" % 2**80, b"9" * 5_000, b"NaN",
    b"01", b"-", b"[" * 900 + b"]" * 900, b"[" * 50_000 + b"]" * 50_000, b'{"a":1,"a":2}',
    b'{"":{}}',
    '"\u2028\u2029\x85\ufeff"'.encode(), b'"=cmd|\' /C calc\'!A0"', b'"</script><script>"', b"null",
    b"true", b'{"\\n,\\"":1}', b'"' + b"x" * 100_000 + b'"', b'{"lic":"%b"}' % SECRET.encode(),
    b'"?lic=%b"' % SECRET.encode(), b'[["authorization","Bearer %b"]]' % SECRET.encode(),
]  # fmt: skip
NAMES = [
    b'"zzz"', b'"z\xff"', b'"z\\n"', b'"\\u0000"', b'"\\ud83d"', '"\u2028"'.encode(), b'""',
    b'"id"',
    b'"trace_url"', b'"detail"', b'"rule"', b'"workload"', b'"seq"', b'"time_ns"', b'"__proto__"',
]  # fmt: skip


def good(seq: int) -> bytes:
    record = CaptureRecord(
        boot=BOOT, seq=seq, kind="exchange", time_ns=NOW, profile="cribl", rule="telemetry",
        action="mock", request=Request(method="GET", host="cdn.cribl.io", query=[("v", "4.1")]),
        response=Response(status=200),
    )  # fmt: skip
    return encode(record)


def lines() -> list[bytes]:
    """Each name with each value, at the record's end, at its beginning and inside of a part."""
    found = []
    for name in NAMES:
        for value in VALUES:
            line = good(len(found) + 1)
            field = name + b":" + value
            found.append(
                (
                    line[:-1] + b"," + field + b"}",
                    b"{" + field + b"," + line[1:],
                    line.replace(b'"request":{', b'"request":{' + field + b","),
                )[len(found) % 3]
            )
    chosen = random.Random(7)
    for _ in range(300):  # bytes that fell over
        line = bytearray(good(len(found) + 1))
        for _ in range(chosen.randint(1, 3)):
            line[chosen.randrange(len(line))] = chosen.randrange(256)
        found.append(bytes(line).replace(b"\n", b" "))
    return found


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, int]]:
    """The app with all of them, and how many it kept; between two of them is always a good one."""
    with serving(tmp_path_factory.mktemp("hostile"), TELEMOCK_TRACE_URL="") as served:
        sent, stored = lines(), 0
        for at in range(0, len(sent), 50):
            batch = []
            for n, line in enumerate(sent[at : at + 50]):
                batch += [line.replace(b"\n", b"\\n"), good(100_000 + at + n)]
            answer = served.client.post("/api/v1/captures", content=b"\n".join(batch))
            assert answer.status_code == 200, answer.text
            said = answer.json()
            assert said["stored"] + said["duplicates"] + len(said["refused"]) == len(batch)
            assert all(one["line"] % 2 and one["reason"] for one in said["refused"])
            stored += said["stored"]
        assert len(sent) < stored < 2 * len(sent)  # some are kept, some refused
        yield served, stored


def pages(served: Served) -> Iterator[bytes]:
    cursor = ""
    while True:
        params = {"limit": "1000", "order": "arrival", **({"cursor": cursor} if cursor else {})}
        answer = served.client.get("/api/v1/captures", params=params)
        assert answer.status_code == 200
        yield answer.content
        if not (cursor := json.loads(answer.content)["next"]):
            return


class _Page(msgspec.Struct):
    items: list[msgspec.Raw]


def records(served: Served) -> list[bytes]:
    return [
        bytes(item)
        for page in pages(served)
        for item in msgspec.json.decode(page, type=_Page).items
    ]


def test_the_api_gives_json(kept: tuple[Served, int]) -> None:
    served, stored = kept
    seen = 0
    for page in pages(served):
        page.decode()
        msgspec.json.decode(page)
        for item in json.loads(page)["items"]:
            seen += 1
            assert not str(item.get("trace_url", "")).startswith("java")
    assert seen == stored
    for path in ("/api/v1/report", "/api/v1/fields"):
        json.loads(served.client.get(path).content.decode())
    one = json.loads(served.client.get(f"/api/v1/captures/{BOOT}-100000").content)
    assert one["boot"] == BOOT


def test_exports_are_what_they_say(kept: tuple[Served, int]) -> None:
    served, stored = kept
    found = records(served)
    lines = b"".join(FORMATS["ndjson"](found)).split(b"\n")
    assert len(lines) == stored + 1
    for line in lines[:-1]:
        json.loads(line.decode())
        msgspec.json.decode(line)
    har: dict[str, Any] = json.loads(b"".join(FORMATS["har"](found)).decode())
    assert len(har["log"]["entries"]) > 100
    check(har)
    table = b"".join(FORMATS["csv"](found)).decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(table, newline="")))
    assert len(rows) == stored + 1 and {len(row) for row in rows} == {len(rows[0])}


def test_log_files_are_json_in_ascii_lines(kept: tuple[Served, int]) -> None:
    served, _ = kept
    for path in Path(served.runtime.settings.logs).glob("*.log"):
        assert path.read_bytes().isascii()
    lines = (served.runtime.settings.logs / "telemetry_requests.log").read_bytes().splitlines()
    assert len(lines) > 100
    for line in lines:
        json.loads(line)


def test_nothing_sensitive_is_left_in_what_is_not_known(kept: tuple[Served, int]) -> None:
    served, _ = kept
    for page in pages(served):
        for item in json.loads(page)["items"]:
            for name in ("detail", "rule"):  # what is known was masked where it was made
                item.pop(name, None)
            assert SECRET not in json.dumps(item)


def test_a_time_far_ahead_or_never_set_does_not_disturb_the_order(tmp_path: Path) -> None:
    with serving(tmp_path, TELEMOCK_RETENTION_DAYS="30") as served:
        times = [2**63 - 1, NOW + 3 * 86_400 * 10**9, 1, NOW, NOW + 3_600 * 10**9]
        lines = [
            encode(CaptureRecord(boot=BOOT, seq=n, kind="exchange", time_ns=t, profile="cribl"))
            for n, t in enumerate(times, 1)
        ]
        answer = served.client.post("/api/v1/captures", content=b"\n".join(lines)).json()
        assert (answer["stored"], answer["refused"]) == (5, [])
        items = {item["seq"]: item for item in served.captures(5)}
        for seq, item in items.items():
            changed = seq in (1, 2, 3)
            assert item.get("clock_ns") == (times[seq - 1] if changed else None)
            assert abs(item["time_ns"] - time.time_ns()) < 2 * 3_600 * 10**9
        report = served.client.get("/api/v1/report").content
        assert b"2262" not in report and b"1970" not in report
        ahead = {"since": str(time.time_ns() + 2 * 3_600 * 10**9)}
        assert served.client.get("/api/v1/captures", params=ahead).json()["items"] == []
