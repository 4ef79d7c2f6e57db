"""A volume that is full: the mock goes on answering, records wait or are counted, nothing is torn,
and all is well again by itself once there is room. Real processes, a real full file system."""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from addon.record import spool
from app import auth
from app.run.processes import free_port
from tests.sidecar import HOST, LINE, Sidecar, bundle_of, rule, sidecar
from tests.volume import Volume, volume
from tests.waiting import wait_for

ROOT = Path(__file__).parents[2]
EVENTS = "/telemetry/events"


class App:
    """`telemock serve` with data and logs on a small volume."""

    def __init__(self, on: Volume, console: Path, port: int) -> None:
        self.logs = on.seen / "logs"
        self._data = on.seen / "data"
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.http = httpx.Client(base_url=self.url, trust_env=False, timeout=20)
        with console.open("wb") as out:
            self.process = subprocess.Popen(
                [*on.enter, sys.executable, "-m", "app.cli", "serve"],
                env=environment(on, PORT=str(port)),
                stdout=out,
                stderr=out,
            )

    def ready(self) -> Any:
        answer = self.http.get("/ready")
        assert answer.status_code == 200  # whatever happens: else no pod reaches the mock
        return answer.json()

    def is_up(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return self.http.get("/ready").status_code == 200
        return False

    def captures(self) -> list[dict[str, Any]]:
        token = {"authorization": f"Bearer {(self._data / 'token').read_text()}"}
        found: list[dict[str, Any]] = []
        query = {"order": "arrival", "limit": "1000"}
        while True:
            page = self.http.get("/api/v1/captures", params=query, headers=token).json()
            found += page["items"]
            if page["next"] is None:
                return found
            query["cursor"] = page["next"]

    def metric(self, series: str) -> float:
        found = re.search(rf"^{re.escape(series)} (\S+)$", self.http.get("/metrics").text, re.M)
        return float(found[1]) if found else 0.0

    def stop(self) -> int:
        self.http.close()
        self.process.terminate()
        return self.process.wait(20)


def environment(on: Volume, **more: str) -> dict[str, str]:
    clean = {n: v for n, v in os.environ.items() if not n.startswith(("TELEMOCK", "OTEL"))}
    return {
        **clean,
        "PYTHONPATH": str(ROOT),
        "TELEMOCK_DATA": str(on.path / "data"),
        "TELEMOCK_LOGS": str(on.path / "logs"),
        "TELEMOCK_RETENTION_DAYS": "0",
        **more,
    }


@contextlib.contextmanager
def serving(on: Volume, tmp_path: Path, port: int = 0) -> Iterator[App]:
    app = App(on, tmp_path / f"console-{port}", port or free_port())
    try:
        wait_for(lambda: app.is_up() or app.process.poll() is not None, 30)
        assert app.process.poll() is None, (tmp_path / f"console-{port}").read_text()
        yield app
    finally:
        if app.process.poll() is None:
            app.stop()


def run(on: Volume, *command: str) -> tuple[int, str]:
    done = subprocess.run(
        [*on.enter, sys.executable, "-m", *command],
        env=environment(on), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.mark.timeout(180)
def test_the_mock_answers_on_a_full_disk_and_every_record_is_stored_or_counted(
    tmp_path: Path,
) -> None:
    with volume(tmp_path / "volume", 24 << 20) as disk, serving(disk, tmp_path) as app:
        token = disk.seen / "data" / "token"
        with sidecar(
            tmp_path / "sidecar",
            bundle_of(rule("index", "/telemetry/index.html", answer_at="app")),
            TELEMOCK_APP_URL=app.url,
            TELEMOCK_TOKEN_FILE=str(token),
        ) as pod:
            wait_for(lambda: pod.health()["profiles"]["source"] == "app")
            pod.ask("/telemetry/index.html?n=before")
            wait_for(lambda: pod.health()["shipper"]["spool_records"] == 0)
            assert app.ready()["status"] == "ok"
            disk.fill()

            asked = 0

            def through_the_pod() -> None:
                nonlocal asked
                answer, body = pod.ask(f"/telemetry/index.html?v=4.16.1&n={asked}")
                assert (answer.status, body) == (200, LINE)
                asked += 1

            def full() -> bool:
                through_the_pod()
                return bool(app.ready()["degraded"])

            wait_for(full, 60)
            for _ in range(20):
                through_the_pod()
            for _ in range(100):  # each is a line in the app's log, whose last page has room
                with socket.create_connection(("127.0.0.1", app.port)) as garbage:
                    garbage.sendall(b"garbage\r\n\r\n")
                    garbage.recv(1000)
            # Where it lies and why, in one sentence each.
            told = app.ready()
            assert told["ready"] is True and told["status"] == "degraded"
            store = str(disk.path / "data" / "store.sqlite")
            assert any(s.startswith(f"store {store}: the disk took no") for s in told["degraded"])
            assert app.http.get("/health").json()["status"] == "degraded"
            assert app.metric("telemock_store_failing") == 1
            wait_for(lambda: "507" in pod.health()["shipper"]["app_error"])
            assert pod.health()["shipper"]["spool_records"] > 0
            assert app.metric('telemock_output_dropped_total{telemock_stream="mock_server.log"}')
            assert any(s.startswith(f"TELEMOCK_LOGS {disk.path}/logs: ") for s in told["degraded"])

            # What the mock itself has to record waits in memory, which is bounded.
            sent = 0
            lost = 'telemock_capture_dropped_total{telemock_reason="disk_full"}'
            body = b"x" * 250_000
            while not app.metric(lost):
                for _ in range(50):
                    headers = {"content-type": "text/plain"}
                    answered = app.http.post(EVENTS, content=body, headers=headers)
                    assert answered.status_code == 200
                    sent += 1
                assert sent < 1000

            disk.free()
            wait_for(lambda: app.ready()["status"] == "ok", 30)
            assert app.ready()["degraded"] == []
            wait_for(lambda: pod.health()["shipper"]["spool_records"] == 0, 30)
            wait_for(lambda: app.http.get("/health").json()["queue"] == 0, 30)
            assert app.metric("telemock_store_failing") == 0
            dropped = app.metric(lost)
            assert 0 < dropped < sent

            found = app.captures()
            boot = pod.health()["shipper"]["boot"]
            exchanges = [c for c in found if c["boot"] == boot and c["kind"] == "exchange"]
            assert sorted(number(c) for c in exchanges) == sorted(
                ["before", *map(str, range(asked))]
            )
            own = [c for c in found if c["boot"] != boot]
            assert len(own) == sent - dropped
            assert pod.health()["shipper"]["dropped"] == {}
            unwritten = 'telemock_output_dropped_total{telemock_stream="telemetry_requests.log"}'
            ids = [json.loads(line)["id"] for line in log_lines(app)]
            assert len(set(ids)) == len(ids)
            assert set(ids) <= {f"{c['boot']}-{c['seq']}" for c in found}
            assert len(ids) + app.metric(unwritten) == len(exchanges) + len(own)
            app.http.get("/telemetry/index.html?v=after")
            wait_for(lambda: any("v=after" in line for line in log_lines(app)))


def number(capture: dict[str, Any]) -> str:
    return str(dict(capture["request"]["query"])["n"])


def log_lines(app: App) -> list[str]:
    return (app.logs / "telemetry_requests.log").read_text().splitlines()


@pytest.mark.timeout(180)
def test_a_sidecar_on_a_full_disk_holds_records_in_memory_and_counts_what_it_loses(
    tmp_path: Path,
) -> None:
    """The app is gone at the same time: records have nowhere to go."""
    port = free_port()
    cut = rule("index", "/telemetry/index.html", "mock", match={"methods": frozenset({"POST"})})
    with (
        volume(tmp_path / "small", 8 << 20) as disk,
        volume(tmp_path / "volume", 24 << 20) as roomy,
    ):
        (roomy.seen / "data").mkdir()
        auth.token(roomy.seen / "data")  # as the app makes it with its first start
        (tmp_path / "sidecar").mkdir()
        (tmp_path / "sidecar" / "data").symlink_to(disk.seen)
        with sidecar(
            tmp_path / "sidecar",
            bundle_of(cut),
            TELEMOCK_APP_URL=f"http://127.0.0.1:{port}",
            TELEMOCK_TOKEN_FILE=str(roomy.seen / "data" / "token"),
            TELEMOCK_SHUTDOWN_SECONDS="10",
        ) as pod:
            disk.fill()
            body = "x" * 200_000
            while not (lost := pod.health()["shipper"]["dropped"]):
                ask(pod, body)
                assert pod.health()["shipper"]["submitted"] < 100
            assert lost.keys() == {"disk_full"}
            shipper = pod.health()["shipper"]
            assert pod.health()["status"] == "degraded"
            assert shipper["spool_error"] == "No space left on device"
            assert shipper["spool_bytes"] <= spool.HELD_SIZE
            disk.free()

            def written() -> bool:
                ask(pod, "small")
                return not pod.health()["shipper"]["spool_error"]

            wait_for(written)
            segments = [p.read_bytes() for p in (disk.seen / "spool").glob("*.ndjson")]
            assert all(data.endswith(b"\n") for data in segments)
            with serving(roomy, tmp_path, port) as app:
                wait_for(lambda: pod.health()["shipper"]["spool_records"] == 0, 30)
                shipper = pod.health()["shipper"]
                found = app.captures()
                assert {c["boot"] for c in found} == {shipper["boot"]}
                assert shipper["reserved"] == len(found) + sum(shipper["dropped"].values())
                assert not list((disk.seen / "spool").glob("*.ndjson")) or not any(
                    p.stat().st_size for p in (disk.seen / "spool").glob("*.ndjson")
                )


def ask(pod: Sidecar, body: str) -> None:
    answer, got = pod.ask("/telemetry/index.html", "POST", body, {"content-type": "text/plain"})
    assert (answer.status, got) == (200, LINE)


@pytest.mark.timeout(120)
def test_a_start_on_a_full_disk_says_so_and_the_next_one_works(tmp_path: Path) -> None:
    with volume(tmp_path / "volume", 16 << 20) as disk:
        disk.fill()
        code, said = run(disk, "app.cli", "serve")
        assert code and "error: TELEMOCK_DATA is " in said, said
        assert "No space left on device" in said and "hint: free some space" in said
        assert "Traceback" not in said
        disk.free()
        with serving(disk, tmp_path) as app:
            app.http.get("/telemetry/index.html")
            wait_for(lambda: len(app.captures()) == 1)
        disk.fill()
        code, said = run(disk, "app.cli", "serve")
        assert code and f"error: store {disk.path}/data/store.sqlite: the disk took no more" in said
        assert "hint: free some space" in said and "Traceback" not in said
        disk.free()
        with serving(disk, tmp_path) as app:
            assert len(app.captures()) == 1


def test_an_analysis_on_a_full_disk_leaves_the_last_one(tmp_path: Path) -> None:
    with volume(tmp_path / "volume", 4 << 20) as disk:
        logs = disk.seen / "logs"
        logs.mkdir()
        line = {"url": f"https://{HOST}/telemetry/index.html", "timestamp": "2026-01-01T00:00:00Z"}
        (logs / "telemetry_requests.log").write_text(json.dumps(line) + "\n")
        assert run(disk, "app.analysis.summarize")[0] == 0
        before = {p.name: p.read_bytes() for p in (logs / "analysis").iterdir()}
        assert before.keys() == {"summary.json", "final-report.md"}
        disk.fill()
        code, said = run(disk, "app.analysis.summarize")
        assert code == 1 and "No space left on device" in said and "hint: " in said
        assert str(disk.path / "logs" / "analysis") in said
        assert {p.name: p.read_bytes() for p in (logs / "analysis").iterdir()} == before
