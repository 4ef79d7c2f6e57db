"""The log files of a real app and a real sidecar with LOG_FORMAT=json: every line is one object,
and an exchange's line names the trace that its record names."""

import json
import urllib.request
from pathlib import Path
from typing import Any

from app.contract import names
from app.run import processes
from tests.waiting import wait_for

TRACE = "0af7651916cd43dd8448eb211c80319c"
KEYS = ["timestamp", "level", "logger", "message", "trace_id", "span_id"]


def objects(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_every_line_is_one_object(tmp_path: Path) -> None:
    data, logs = tmp_path / "data", tmp_path / "logs"
    environ = {"LOG_FORMAT": "json", "POD_NAMESPACE": "logs", "POD_NAME": "leader-0"}
    app = processes.start_app(data, logs, environ={"LOG_FORMAT": "json"})
    try:
        sidecar = processes.start_sidecar(data, logs, app.url, environ=environ)
        try:
            proxy = urllib.request.ProxyHandler({"http": sidecar.proxy})
            request = urllib.request.Request(
                "http://cdn.cribl.io/telemetry/index.html?v=4.16.1",
                headers={"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"},
            )
            with urllib.request.build_opener(proxy).open(request, timeout=20) as answer:
                assert answer.status == 200
            wait_for(lambda: len(objects(logs / names.LOG_REQUESTS)) == 1)
        finally:
            sidecar.child.stop()  # delivers what it has said until then
    finally:
        app.stop()
    (line,) = objects(logs / names.LOG_REQUESTS)
    assert line["trace_id"] == TRACE and len(line["span_id"]) == 16

    of_app = objects(logs / names.LOG_APP)
    assert [list(line)[:6] for line in of_app] == [KEYS] * len(of_app)
    assert any(line["message"].startswith("telemock runs: ") for line in of_app)

    of_sidecar = objects(logs / names.LOG_SIDECARS)
    assert of_sidecar
    for line in of_sidecar:
        assert list(line)[:6] == KEYS
        assert (line["namespace"], line["pod"]) == ("logs", "leader-0")
    assert any("proxy on " in line["message"] for line in of_sidecar)

    on_console = objects(logs / "sidecar.console.log")
    assert {line["logger"] for line in on_console} >= {line["logger"] for line in of_sidecar}
    # What `telemock serve` itself says to who started it stands on standard output, as text.
    console = (logs / "app.console.log").read_text().splitlines()
    said = [json.loads(line)["message"] for line in console if line.startswith("{")]
    assert any(message.startswith("telemock runs: ") for message in said)
