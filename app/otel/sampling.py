"""Decides which traces to keep, as the SDK's sampler of OTEL_TRACES_SAMPLER does.

Asked on the event loop once an exchange, because `traceparent` carries the answer; made only if
traces are exported.
"""

from app.otel.settings import Otel


class Sampler:
    """Decides by the trace id alone, so that every process of a trace decides the same."""

    __slots__ = ("_ask", "_under")

    def __init__(self, otel: Otel) -> None:
        from app.otel import sdk

        self._ask = sdk.sampler(otel)
        self._under = {None: None, True: sdk.parent(True), False: sdk.parent(False)}

    def sampled(self, trace_id: str, parent: bool | None) -> bool:
        """True if the trace is kept. `parent` is the client's flag, None without a parent."""
        return self._ask(self._under[parent], int(trace_id, 16))
