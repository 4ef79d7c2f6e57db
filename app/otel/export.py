"""Sends a process's spans, metrics and log records to an OTLP endpoint, from threads of its own.

One Exporter a process, made from what `app.otel.settings` read. Handing over costs microseconds and
never blocks: what a slow or dead endpoint does not take is dropped and counted in
`telemock.otlp.dropped`. If no signal is on, it does nothing and does not load the SDK.
"""

import time
from typing import TYPE_CHECKING, Any

from app.otel.items import Attributes, LogData, SpanData
from app.otel.metrics import Metrics
from app.otel.settings import Otel, Signal

if TYPE_CHECKING:
    from app.otel.pipeline import Pipeline


class Exporter:
    """`traces` and `logs` are True if they are exported: else callers skip the work."""

    def __init__(self, otel: Otel, metrics: Metrics) -> None:
        self._otel = otel
        self._metrics = metrics
        self._pipelines: dict[Signal, Pipeline] = {}
        self.traces = otel.traces
        self.logs = otel.logs

    def start(self) -> None:
        """Starts the threads. Call it once; it loads the SDK, which takes part of a second."""
        otel, metrics = self._otel, self._metrics
        if not otel.endpoints:
            return
        from app.otel import sdk
        from app.otel.pipeline import Pipeline

        with sdk.environment(otel):
            made = sdk.Made(otel)
            for signal in otel.endpoints:
                self._pipelines[signal] = Pipeline(signal, otel, metrics, made)

    def close(self, timeout_s: float) -> None:
        """Exports what waits, within this time; drops and counts the rest."""
        begun = time.monotonic()
        # Metrics end last, with a third of the time, since they count the drops of the others.
        for last, part in ((False, 2 / 3), (True, 1)):
            until = begun + timeout_s * part
            ending = [p for p in self._pipelines.values() if (p.signal == "metrics") == last]
            for pipeline in ending:
                pipeline.close(until)
            for pipeline in ending:
                pipeline.finish(until)

    def span(self, span: SpanData) -> None:
        """Never waits, never raises. Any thread. Does nothing before `start`."""
        if pipeline := self._pipelines.get("traces"):
            pipeline.put(span, _size(span.attributes))

    def log(self, log: LogData) -> None:
        """Never waits, never raises. Any thread. Does nothing before `start`."""
        if pipeline := self._pipelines.get("logs"):
            pipeline.put(log, len(log.body) + _size(log.attributes))

    def state(self) -> dict[str, Any]:
        """For the health page: each signal's endpoint and, if any, its trouble."""
        return {
            signal: {"endpoint": pipeline.endpoint, "trouble": pipeline.trouble}
            for signal, pipeline in self._pipelines.items()
        }


def _size(attributes: Attributes) -> int:
    """The length of the texts, about; the number of items bounds their other costs."""
    return sum(len(value) for value in attributes.values() if isinstance(value, str))
