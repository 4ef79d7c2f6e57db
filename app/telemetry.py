"""The app's traces: FastAPI's own, off unless the OTEL_* variables name an endpoint, and without a
query value that a profile does not call safe."""

import logging
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from fastapi.telemetry import TelemetryConfig

from app.contract.mask import Masker
from app.contract.rules import RuleSet

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

log = logging.getLogger(__name__)
OFF: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}


def opentelemetry(
    rules: Callable[[], RuleSet],
    masker: Callable[[], Masker],
    environ: Mapping[str, str] | None = None,
) -> TelemetryConfig:
    """What FastAPI gets as `telemetry`. Its log signal stays off: it sends exception texts."""
    if not _asked_for(os.environ if environ is None else environ):
        return OFF
    try:
        provider = tracer_provider(rules, masker)
    except ImportError:
        log.warning(
            "OTEL_* asks for OpenTelemetry, but its SDK is not installed; "
            "hint: pip install 'telemock[otel]'"
        )
        return OFF
    return {"tracer_provider": provider, "logs": False, "auto_configure": True}


def _asked_for(environ: Mapping[str, str]) -> bool:
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    return bool(
        environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
        or environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    )


def tracer_provider(rules: Callable[[], RuleSet], masker: Callable[[], Masker]) -> "TracerProvider":
    """A provider whose spans show of a URL only what may be shown. Raises ImportError."""
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider

    class Veil(SpanProcessor):
        """First of the processors: FastAPI puts the raw query on a span when it starts."""

        def on_start(self, span: Span, parent_context: Any = None) -> None:
            found = span.attributes or {}
            host = str(found.get("server.address", ""))
            profiles = rules().of_host(host)
            name = profiles[0].id if profiles else ""
            for key in ("url.query", "url.path"):
                value = found.get(key)
                if not isinstance(value, str):
                    continue
                if key == "url.query":
                    value = masker().url(name, "http://h/?" + value).partition("?")[2]
                span.set_attribute(key, masker().line(value))

    resource = Resource.create()
    if str(resource.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: "telemock-app"}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(Veil())
    return provider
