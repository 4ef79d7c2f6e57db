"""OpenTelemetry: OTLP as protobuf over HTTP."""

import json
import os

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

sent = json.loads(os.environ["SENT"])
provider = TracerProvider(
    resource=Resource({"service.name": "acme", "service.version": sent["version"]})
)
exporter = OTLPSpanExporter(
    "https://otlp.acme.test/v1/traces", headers={"api-key": sent["own_key"]}
)
provider.add_span_processor(BatchSpanProcessor(exporter))
for number in range(3):
    with provider.get_tracer("acme").start_as_current_span(f"event {number}") as span:
        span.set_attribute("password", sent["password"])
        span.set_attribute("email", sent["email"])
        span.set_attribute("note", f"with {sent['key']}")
provider.shutdown()
