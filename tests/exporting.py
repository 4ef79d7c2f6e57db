"""The SDK's exporter of spans over our session, as a pipeline has it, for tests of that session."""

from app.otel import ids, sdk
from app.otel.items import SpanData
from app.otel.session import Session
from app.otel.settings import read


class Exporting:
    def __init__(self, url: str, **environ: str) -> None:
        self.session = Session()
        variables = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": url, **environ}
        given = read(variables, service="s", version="1", resource={})
        with sdk.environment(given):
            self.exporter = sdk.exporter("traces", given, self.session)
            made = sdk.Made(given)
        data = SpanData("n", "server", ids.trace_id(), ids.span_id(), "", 1, 2, {"a": "b" * 5000})
        self._spans = [made.span(data)]

    def export(self, spans: int = 1) -> str:
        """The trouble; "" when they were taken."""
        taken = self.exporter.export(self._spans * spans).name == "SUCCESS"
        assert taken == (not self.session.trouble)
        return self.session.trouble


def sent(url: str, timeout_ms: int = 5000, **environ: str) -> str:
    """Exports once, with an exporter of its own."""
    made = Exporting(url, OTEL_EXPORTER_OTLP_TIMEOUT=str(timeout_ms), **environ)
    try:
        return made.export()
    finally:
        made.exporter.shutdown()
