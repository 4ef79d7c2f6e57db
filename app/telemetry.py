"""What app and injector tell about themselves: instruments behind `/metrics`, and the app's traces.

Instruments are made from the table in `app.contract.names`. Traces are FastAPI's own, off unless
the OTEL_* variables name an endpoint, and carry no query value that a profile does not call safe.
"""

import logging
import os
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

import prometheus_client
from fastapi.telemetry import TelemetryConfig
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from app.contract.mask import Masker
from app.contract.names import METRICS
from app.contract.rules import RuleSet

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST
# Label values come from records that sidecars send: over this many sets, "other" counts.
LABEL_SETS = 500

log = logging.getLogger(__name__)
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]

_MADE_BY = {"counter": Counter, "gauge": Gauge, "histogram": Histogram}


class Metrics:
    """The instruments of one process, by the name in the table. Any method from any thread."""

    def __init__(self, of: Collection[str] = ("app", "both")) -> None:
        self.registry = CollectorRegistry()
        self._made: dict[str, Any] = {}
        self._children: dict[str, dict[tuple[str, ...], Any]] = {}
        for row in METRICS:
            if row.of not in of:
                continue
            made = _MADE_BY[row.kind](
                row.prometheus, row.help, labelnames=row.labels, registry=self.registry
            )
            self._made[row.name] = made
            self._children[row.name] = {}

    def add(self, name: str, labels: tuple[str, ...] = (), amount: float = 1) -> None:
        self._child(name, labels).inc(amount)

    def set(self, name: str, value: float) -> None:
        self._made[name].set(value)

    def observe(self, name: str, labels: tuple[str, ...], value: float) -> None:
        self._child(name, labels).observe(value)

    def _child(self, name: str, labels: tuple[str, ...]) -> Any:
        if not labels:
            return self._made[name]
        children = self._children[name]
        child = children.get(labels)
        if child is None:
            if len(children) >= LABEL_SETS:
                return self._made[name].labels(*("other" for _ in labels))
            child = children[labels] = self._made[name].labels(*labels)
        return child

    def render(self) -> bytes:
        """Prometheus text."""
        return prometheus_client.generate_latest(self.registry)


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
