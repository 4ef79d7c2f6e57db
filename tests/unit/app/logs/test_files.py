"""The log files work with grep and jq, and steer no terminal."""

import contextlib
import json
import logging
import os
import random
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from app.contract.record import Body, CaptureRecord, Response
from app.logs.files import BODY, LogFiles, request_line, request_log, url
from tests.records import BOOT, exchange, log

HOSTILE = "\x1b[2J\r\nforged\x7f\x9b\u202e\u2028é"


def say(files: LogFiles, record: CaptureRecord) -> None:
    files.requests([line for line in [request_log(record)] if line])


@pytest.fixture
def files(tmp_path: Path) -> Iterator[LogFiles]:
    files = LogFiles(tmp_path)
    yield files
    files.close()


def line_of(**given: Any) -> dict[str, Any]:
    record = exchange(1, **given)
    assert record.request is not None
    return request_line(record, record.request)


def test_request_line() -> None:
    assert line_of(query=[("v", "1.2.3"), ("a", "1"), ("a", "2"), ("a", "3")]) == {
        "timestamp": "2026-09-21T14:13:20.000000Z",
        "url": "https://cdn.cribl.io/telemetry/index.html?v=1.2.3&a=1&a=2&a=3",
        "method": "GET",
        "host": "cdn.cribl.io",
        "path": "/telemetry/index.html",
        "headers": {"Host": "cdn.cribl.io", "User-Agent": "node"},
        "query_params": {"v": "1.2.3", "a": ["1", "2", "3"]},
        "user_agent": "node",
        "client": "10.1.2.3",
        "status": 200,
        "response_time_ms": 2.5,
        "request": "",
        "request_note": "",
        "request_bytes": 0,
        "request_fields": {},
        "content_type": "text/html",
        "response": "cribl /// living the stream!\n",
        "response_bytes": 29,
        "kind": "exchange",
        "action": "mock",
        "profile": "cribl",
        "rule": "telemetry",
        "answered_by": "app",
        "reason": "",
        "endpoint": "/telemetry/index.html",
        "product_version": "4.16.1-20904e45",
        "id": f"{BOOT}-1",
        "workload": {
            "namespace": "logs",
            "pod": "leader-0",
            "node": "",
            "image": "",
            "container": "",
        },
        "trace_id": "",
        "span_id": "",
    }


def test_request_body_is_there_capped_with_the_names_of_its_fields() -> None:
    body = Body(text='{"lic":"***"}', size=40)
    fields = {"body": ["object"], "body.lic": ["string masked"]}
    record = exchange(1, method="POST", body=body)
    line = json.loads(request_log(record, fields))
    assert (line["request"], line["request_bytes"], line["request_fields"]) == (
        body.text,
        40,
        fields,
    )
    assert line_of(body=Body(text="x" * 9_000))["request"] == "x" * BODY + "…"
    withheld = line_of(body=Body(size=9, withheld="encoding"))
    assert withheld["request"] == "" and withheld["request_note"].startswith("withheld: ")


def test_answer_is_capped_and_may_be_missing() -> None:
    long = line_of(response=Response(status=200, body=Body(text="x" * 9_000)))
    assert long["response"] == "x" * BODY + "…"
    binary = line_of(response=Response(status=200, body=Body(base64="AA==")))
    assert binary["response"] == ""
    assert line_of(response=None)["status"] is None


@pytest.mark.parametrize(
    ("query", "end"),
    [
        ([], ""),
        ([("version", "1.2.3"), ("lic", "***")], "?version=1.2.3&lic=***"),
        ([("a b", "x&y=z#%+é\n")], "?a%20b=x%26y%3Dz%23%25%2B%C3%A9%0A"),
        ([("flag", "")], "?flag="),
    ],
)
def test_url_keeps_the_order_and_is_encoded(query: list[tuple[str, str]], end: str) -> None:
    record = exchange(1, query=query, path="/a%20b/\x1b")
    assert url(record) == f"https://cdn.cribl.io/a%20b/%1B{end}"


def test_url_with_port_and_address() -> None:
    record = exchange(1, host="::1", query=[], path="/")
    assert record.request is not None
    record.request.scheme, record.request.port = "http", 8000
    assert url(record) == "http://[::1]:8000/"
    record.request.port = 80
    assert url(record) == "http://[::1]/"


@pytest.mark.parametrize("seconds", [0, 2**63 - 1])
def test_clock_may_be_anywhere(seconds: int) -> None:
    assert line_of(time_ns=seconds)["timestamp"].endswith("Z")


def test_grep_and_jq_of_the_readme(tmp_path: Path, files: LogFiles) -> None:
    for n, version in enumerate(["1.2.3", "1.2.3", "1.2.4"], 1):
        say(files, exchange(n, query=[("version", version), ("x", HOSTILE)]))
    path = str(tmp_path / "telemetry_requests.log")
    found = subprocess.run(["grep", "version=1.2.3", path], capture_output=True, check=True)
    assert len(found.stdout.splitlines()) == 2
    if not shutil.which("jq"):
        pytest.skip("jq is not installed")
    urls = subprocess.run(["jq", "-r", ".url", path], capture_output=True, check=True)
    assert len(urls.stdout.splitlines()) == 3
    assert urls.stdout.decode().isascii() and b"\x1b" not in urls.stdout


def printable(data: bytes) -> bool:
    return all(b == 10 or 32 <= b < 127 for b in data)


def test_hostile_text_stays_in_its_line(tmp_path: Path, files: LogFiles) -> None:
    say(files, exchange(1, query=[(HOSTILE, HOSTILE)], headers=[(HOSTILE, HOSTILE)]))
    files.sidecar(log(2, HOSTILE))
    handler = files.handler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    handler.handle(logging.LogRecord("x", logging.INFO, "", 0, HOSTILE.replace("\n", ""), (), None))
    for name in ("telemetry_requests.log", "mitmproxy.log", "mock_server.log"):
        data = (tmp_path / name).read_bytes()
        assert data.count(b"\n") == 1 and printable(data)
    kept = json.loads((tmp_path / "telemetry_requests.log").read_bytes())
    assert kept["query_params"] == {HOSTILE: HOSTILE}


def test_sidecar_lines(tmp_path: Path, files: LogFiles) -> None:
    files.sidecar(log(1, "client disconnected"))
    files.sidecar(exchange(2))
    assert (tmp_path / "mitmproxy.log").read_text() == (
        "2026-09-21T14:13:20.000000Z WARNING logs/leader-0 mitmproxy: client disconnected\n"
    )


def test_sidecar_lines_as_json(tmp_path: Path) -> None:
    files = LogFiles(tmp_path, as_json=True)
    files.sidecar(log(1, HOSTILE))
    data = (tmp_path / "mitmproxy.log").read_bytes()
    assert data.count(b"\n") == 1 and printable(data)
    assert json.loads(data) == {
        "timestamp": "2026-09-21T14:13:20.000000Z",
        "level": "WARNING",
        "logger": "mitmproxy",
        "message": HOSTILE,
        "trace_id": "",
        "span_id": "",
        "namespace": "logs",
        "pod": "leader-0",
    }


def test_handler_survives_a_broken_call(
    tmp_path: Path, files: LogFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    handler = files.handler()
    handler.emit(logging.LogRecord("x", logging.INFO, "", 0, "%d", ("no number",), None))
    handler.emit(logging.LogRecord("x", logging.INFO, "", 0, "fine", (), None))
    handler.close()
    assert (tmp_path / "mock_server.log").read_text() == "fine\n"


def test_only_records_with_a_request_become_lines(tmp_path: Path, files: LogFiles) -> None:
    say(files, log(1, "x"))
    assert not (tmp_path / "telemetry_requests.log").exists()


def test_failures_are_counted_and_told_while_they_last(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    lost: Counter[str] = Counter()
    files = LogFiles(tmp_path / "file", lost=lambda name: lost.update([name]))
    assert files.problem() == ""
    say(files, exchange(1))
    files.sidecar(log(2, "x"))
    say(files, exchange(3))
    assert files.failed == 3
    assert lost == {"telemetry_requests.log": 2, "mitmproxy.log": 1}
    told = files.problem()
    assert told.startswith(f"TELEMOCK_LOGS {tmp_path}/file: Not a directory; lines of ")
    assert "telemetry_requests.log, mitmproxy.log" in told
    (tmp_path / "file").unlink()
    (tmp_path / "file").mkdir()
    assert files.problem() == ""
    assert list((tmp_path / "file").iterdir()) == []


def rotated(directory: Path, name: str, day: int, size: int) -> Path:
    """A file rotated `day` days ago."""
    path = directory / f"{name}.2026-01-{31 - day:02}T00-00-00.000000Z.zst"
    path.write_bytes(bytes(size))
    then = time.time() - day * 86_400 - 60
    os.utime(path, (then, then))
    return path


def test_the_oldest_of_all_files_go_by_size(tmp_path: Path) -> None:
    size = 1 << 20
    requests, sidecars, app = "telemetry_requests.log", "mitmproxy.log", "mock_server.log"
    newest = ((sidecars, 1), (requests, 2), (sidecars, 3), (app, 4))
    kept = [rotated(tmp_path, name, day, size // 8) for name, day in newest]
    gone = [rotated(tmp_path, name, day, 1) for name, day in ((requests, 5), (app, 30))]
    other = rotated(tmp_path, "of-somebody-else.log", 30, size)
    LogFiles(tmp_path).look()
    assert all(p.exists() for p in gone)  # no limit
    LogFiles(tmp_path, size=size).look()
    assert all(p.exists() for p in [*kept, other])
    assert not any(p.exists() for p in gone)


def test_files_go_by_age(tmp_path: Path) -> None:
    young = rotated(tmp_path, "mitmproxy.log", 1, 10)
    old = rotated(tmp_path, "mitmproxy.log", 2, 10)
    LogFiles(tmp_path, days=1.5).look()
    assert young.exists() and not old.exists()


def test_all_files_together_stay_below_the_size(tmp_path: Path) -> None:
    size = 1 << 20
    files = LogFiles(tmp_path, size=size)
    most = 0
    for n in range(600):
        noise = random.Random(n).randbytes(5_000).hex()
        say(files, exchange(n, query=[("n", str(n)), ("x", noise)]))
        files.sidecar(log(n, noise[:2_000]))
        found = 0
        for path in tmp_path.iterdir():
            with contextlib.suppress(FileNotFoundError):
                found += path.stat().st_size
        most = max(most, found)
    files.close()
    assert size // 3 < most <= size
    assert b"n=599&" in (tmp_path / "telemetry_requests.log").read_bytes()


@pytest.mark.parametrize(
    "query",
    [
        [],
        [("v", "4.16.1-20904e45"), ("fc.giv", "12"), ("lic", "***")],
        [("a", "1&b=2"), ("c", "3")],
        [("a=b", ""), ("", "&")],
        [("a", ""), ("b", "=")],
        [("é", "1"), ("x y", "?#")],
        [("a", "%20"), ("b", "\ud800")],
    ],
)
def test_url_says_what_was_sent(query: list[tuple[str, str]]) -> None:
    found = url(exchange(1, query=query)).partition("?")[2]
    assert found == "&".join(
        f"{quote(n, "/:@!$'()*,;~", errors='backslashreplace')}="
        f"{quote(v, "/:@!$'()*,;~", errors='backslashreplace')}"
        for n, v in query
    )


def test_files_of_an_older_version_are_closed_at_the_start(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    (logs / "analysis").mkdir(parents=True)
    names = ("mitmproxy.log", "mock_server.log.2026-01-01.zst", "app.console.log",
             "analysis/final-report.md")  # fmt: skip
    for name in names:
        (logs / name).write_bytes(b"x")
        (logs / name).chmod(0o644)
    LogFiles(logs).close()
    assert {(logs / name).stat().st_mode & 0o777 for name in names} == {0o600}
    assert [p.stat().st_mode & 0o777 for p in (logs, logs / "analysis")] == [0o700, 0o700]
