"""app/main.py: the start of the app, and its errors."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.contract.settings import SettingError
from app.main import create_app
from app.profiles import ProfileError
from app.settings import load
from app.store import StoreError
from tests.serving import environment, serving


def test_a_bad_profile_stops_the_start(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("id: [")
    with pytest.raises(ProfileError, match=r"bad\.yaml"):
        create_app(load(environment(tmp_path, TELEMOCK_PROFILES=str(bad))))


def test_importing_writes_nothing(tmp_path: Path) -> None:
    code = "import app.main, sys; app.main.app; sys.exit('app' not in vars(app.main))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[3])},
        check=False,
    )
    assert done.returncode == 0
    assert list(tmp_path.iterdir()) == []
    import app.main

    with pytest.raises(AttributeError):
        _ = app.main.nothing


OWN_TELEMETRY = """
import asyncio, sys
import httpx
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

spans, reader, provider = InMemorySpanExporter(), InMemoryMetricReader(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)
metrics.set_meter_provider(MeterProvider([reader]))
from app.main import app

async def ask():
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        return await client.get("/openapi.json?lic=canary")

assert asyncio.run(ask()).status_code == 200
sys.exit(len(spans.get_finished_spans()) + (reader.get_metrics_data() is not None))
"""


def test_the_frameworks_own_telemetry_is_off(tmp_path: Path) -> None:
    """It says the queries as they came to whoever has set up a provider."""
    path = {"PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, "-c", OWN_TELEMETRY]
    assert subprocess.run(command, cwd=tmp_path, env=path, check=False).returncode == 0


def test_a_wrong_otel_variable_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317")
    with pytest.raises(SettingError, match=r"OTEL_EXPORTER_OTLP_ENDPOINT is(.|\n)*hint: "):
        create_app(load(environment(tmp_path)))


def test_what_the_api_cannot_answer_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(query: object) -> None:
        raise StoreError("broken\n\nhint: none")

    with serving(tmp_path) as served:
        monkeypatch.setattr(served.runtime.store, "captures", broken)
        assert served.client.get("/api/v1/captures").status_code == 503
        text = served.bare.get("/metrics").text
    assert 'error_type="503",http_request_method="GET",http_response_status_code="503"' in text
