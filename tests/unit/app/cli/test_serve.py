"""The server: its address, the file that names it, clear refusals, an orderly end."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from app.cli.serve import _bound
from app.contract.names import FILE_SERVER
from tests.unit.app.cli.conftest import Telemock

ROOT = Path(__file__).parents[4]


@contextmanager
def serving(place: Path, **environ: str) -> Iterator[tuple[subprocess.Popen[bytes], list[str]]]:
    """The server, and the two lines that it prints once it listens."""
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "serve"],
        stdout=subprocess.PIPE,
        bufsize=0,
        stderr=subprocess.DEVNULL,
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **environ},
    )
    try:
        assert process.stdout is not None
        lines = []
        for _ in range(2):
            assert select.select([process.stdout], [], [], 30)[0]
            lines.append(process.stdout.readline().decode().strip())
        yield process, lines
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serves_names_itself_and_ends_in_order(place: Path, number: signal.Signals) -> None:
    with serving(place, PORT="0") as (process, lines):
        file = place / ".telemock" / FILE_SERVER
        server = json.loads(file.read_text())
        assert server == {"url": server["url"], "pid": process.pid}
        assert lines == [
            f"telemock listens on {server['url']}",
            "the token for /api is in .telemock/token",
        ]
        answer = httpx.get(f"{server['url']}/telemetry/?v=1", trust_env=False)
        assert answer.text == "cribl /// living the stream!\n"
        assert "server" not in answer.headers
        process.send_signal(number)
        assert process.wait(30) == 0
        assert not file.exists()


def test_ipv6(place: Path) -> None:
    with serving(place, HOST="::1", PORT="0") as (_, lines):
        url = lines[0].removeprefix("telemock listens on ")
        assert url.startswith("http://[::1]:")
        assert httpx.get(f"{url}/health", trust_env=False).status_code == 200


def test_second_app_on_the_same_data_is_refused(telemock: Telemock, place: Path) -> None:
    with serving(place, PORT="0") as (_, lines):
        done = telemock("serve")
        assert done.code == 1
        assert f"already, at {lines[0].rpartition(' ')[2]}" in done.err


def test_file_of_a_killed_server_is_no_obstacle(place: Path) -> None:
    with serving(place, PORT="0") as (process, _):
        process.kill()
        process.wait()
    assert (place / ".telemock" / FILE_SERVER).exists()
    with serving(place, PORT="0") as (_, lines):
        assert lines[0].startswith("telemock listens")


def test_port_in_use(telemock: Telemock, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setenv("PORT", str(port))
        done = telemock("serve")
    assert done.code == 2
    assert f"PORT is {port}, and another program listens on 127.0.0.1:{port}" in done.err
    assert "hint: " in done.err


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host"])
def test_address_that_is_not_ours(
    telemock: Telemock, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("HOST", host)
    monkeypatch.setenv("PORT", "0")
    done = telemock("serve")
    assert done.code == 2
    assert f"HOST is '{host}'" in done.err


def test_profiles_that_are_wrong_stop_the_start(
    telemock: Telemock, monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    (place / "bad.yaml").write_text("id: 7\n")
    monkeypatch.setenv("TELEMOCK_PROFILES", "bad.yaml")
    monkeypatch.setenv("PORT", "0")
    done = telemock("serve")
    assert done.code == 1
    assert "bad.yaml: id: 7 is not text" in done.err
    assert list((place / ".telemock").iterdir()) == []


def test_data_directory_that_cannot_be_made_stops_the_start(
    telemock: Telemock, monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    (place / "file").touch()
    monkeypatch.setenv("TELEMOCK_DATA", "file/data")
    monkeypatch.setenv("PORT", "0")
    done = telemock("serve")
    assert done.code == 2
    assert "TELEMOCK_DATA is 'file/data'" in done.err
    assert "Traceback" not in done.err and done.out == ""


def test_a_wrong_otel_variable_stops_the_start(
    telemock: Telemock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317")
    code, _, error = telemock("serve")
    assert code != 0
    assert "OTEL_EXPORTER_OTLP_ENDPOINT is 'collector:4317'" in error and "\n\nhint: " in error


def test_asyncio_sends_answers_at_once() -> None:
    with contextlib.closing(_bound("127.0.0.1", 0, "PORT")) as listener:
        assert listener.proto == socket.IPPROTO_TCP
