import re
from pathlib import Path

from app.contract.names import METRICS
from tests.serving import serving


def test_health(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        health = served.bare.get("/health").json()
        assert health["status"] == "ok"
        assert health["uptime_s"] >= 0
        assert health["version"]
        assert health["queue"] == 0
        assert health["profiles"]["etag"] and not health["profiles"]["error"]
        assert served.bare.get("/ready").json()["ready"] is True


def test_metrics_are_up_to_date_when_they_are_asked_for(tmp_path: Path) -> None:
    with serving(tmp_path, TELEMOCK_RETENTION_SIZE="5MiB") as served:
        served.bare.get("/telemetry/index.html", headers={"host": "cdn.cribl.io"})
        served.captures(1)
        text = served.bare.get("/metrics").text
    shown = dict(re.findall(r"^(\w+) (\S+)$", text, re.MULTILINE))
    assert shown["telemock_store_records"] == "1.0"
    assert float(shown["telemock_store_limit_bytes"]) == 5 << 20
    assert shown["telemock_store_failing"] == "0.0"
    assert re.search(r'telemock_mock_duration_seconds_count\{[^}]*"telemetry"\} 1\.0', text)
    declared = {row.prometheus for row in METRICS if "app" in row.of}
    families = set(re.findall(r"^# TYPE (\w+?)(?:_total)? ", text, re.MULTILINE))
    assert declared <= families
