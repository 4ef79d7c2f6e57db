"""A sidecar whose collector is of no use, or whose OTEL_* variables are wrong."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sidecar import LINE, ROOT, bundle_of, rule, sidecar
from tests.waiting import wait_for


def test_a_collector_that_never_answers_costs_no_exchange_and_is_counted(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0), backlog=64) as silent,
        sidecar(
            tmp_path,
            bundle_of(rule("here", "/here")),
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{silent.getsockname()[1]}",
            OTEL_BSP_SCHEDULE_DELAY="10",
            OTEL_BSP_MAX_QUEUE_SIZE="8",
        ) as running,
    ):
        for _ in range(40):
            assert running.ask("/here")[1] == LINE
        assert running.recorded() >= 40
        wait_for(lambda: running.health()["otel"]["dropped"] > 0)
        shown = running.get("/metrics")[1]
        assert b'telemock_reason="queue_full",telemock_signal="traces"' in shown
        running.process.terminate()
        assert running.process.wait(10) == 0


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://collector:4318"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
    ],
)
def test_a_wrong_variable_stops_the_start_with_a_sentence(
    tmp_path: Path, variable: str, value: str
) -> None:
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", variable: value}
    done = subprocess.run(
        [sys.executable, "-m", "addon"],
        cwd=ROOT, capture_output=True, text=True, timeout=30,
        env=os.environ | {"TELEMOCK_DATA": str(tmp_path)} | environ,
    )  # fmt: skip
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith(f"error: {variable} is '{value}', expected ")
    assert "\n\nhint: " in done.stderr
