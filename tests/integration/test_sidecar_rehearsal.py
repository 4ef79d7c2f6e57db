"""A sidecar whose answers are under a fault, on each way that a request comes, and its end."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.peers import App
from tests.sidecar import bundle_of, rule, sidecar

OVER = b" HTTP/1.1\r\nHost: cdn.cribl.io\r\nConnection: close\r\n\r\n"
RULES = bundle_of(
    rule("index", "/telemetry/index.html"),
    rule("app", "/at-the-app", answer_at="app"),
)


@pytest.mark.parametrize("path", ["/telemetry/index.html", "/at-the-app"])
@pytest.mark.parametrize("fault", ["403", "429", "500", "clock"])
def test_every_answered_request_meets_it_and_its_record_says_so(
    tmp_path: Path, fault: str, path: str
) -> None:
    app = App(RULES)
    environ = {
        "TELEMOCK_APP_URL": f"http://127.0.0.1:{app.port}",
        "TELEMOCK_REHEARSE": f"{fault} until 1h",
    }
    try:
        with sidecar(tmp_path, RULES, **environ) as running:
            answer = running.raw(b"GET " + path.encode() + OVER)
            record = running.record_of(path)
    finally:
        app.close()
    status = b"200" if fault == "clock" else fault.encode()
    assert answer.startswith(b"HTTP/1.1 " + status)
    if fault == "clock":
        year = (datetime.now(UTC) + timedelta(days=365)).year
        assert str(year).encode() in answer.partition(b"\r\n\r\n")[0]
    assert (record.answered_by, record.detail) == ("sidecar", "rehearsal: not the usual answer")
    assert app.asked == []


def test_it_ends_by_itself(tmp_path: Path) -> None:
    end = datetime.now(UTC) + timedelta(seconds=12)
    with sidecar(tmp_path, RULES, TELEMOCK_REHEARSE=f"500 until {end.isoformat()}") as running:
        request = b"GET /telemetry/index.html" + OVER
        assert running.raw(request).startswith(b"HTTP/1.1 500 ")
        while datetime.now(UTC) < end:
            time.sleep(0.2)
        assert running.raw(request).startswith(b"HTTP/1.1 200 ")
