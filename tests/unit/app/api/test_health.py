import re
from pathlib import Path

from app.contract.account import Account
from app.contract.names import METRICS
from app.store import Told
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


def test_records_that_are_not_stored_are_counted_without_names(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        told = [
            Told(
                Account(boot="ab" * 16, numbered=9, lost={"spool_full": 2}, ended=True), "ns", "p"
            ),
            Told(Account(boot="cd" * 16, numbered=4), "ns", "q"),
        ]
        served.runtime.store.write([], told)
        served.client.get("/api/v1/report")  # is up to date
        health = served.bare.get("/health").json()
        assert health["records"] == {"underway": 4, "waiting": 0, "lost": 9}
        metrics = served.bare.get("/metrics").text
        assert 'telemock_records_lost{telemock_reason="spool_full"} 2.0' in metrics
        assert 'telemock_records_lost{telemock_reason="killed"} 7.0' in metrics
        assert 'telemock_records_waiting{telemock_state="seen"} 4.0' in metrics
        assert 'telemock_records_waiting{telemock_state="silent"} 0.0' in metrics
