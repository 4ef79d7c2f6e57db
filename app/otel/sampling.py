"""Which traces are kept: the six standard samplers of OTEL_TRACES_SAMPLER.

Asked on the event loop once an exchange, because `traceparent` carries the answer; no SDK.
"""

from app.otel.settings import Otel

_PARENT_BASED = "parentbased_"


class Sampler:
    """Decides by the trace id alone, so that every process of a trace decides the same."""

    __slots__ = ("_asks_parent", "_below")

    def __init__(self, otel: Otel) -> None:
        root = otel.sampler.removeprefix(_PARENT_BASED)
        self._asks_parent = otel.sampler.startswith(_PARENT_BASED)
        ratio = {"always_on": 1.0, "always_off": 0.0}.get(root, otel.sampler_ratio)
        self._below = round(ratio * 2**64)  # of the id's lower half, as the SDKs do

    def sampled(self, trace_id: str, parent: bool | None) -> bool:
        """`parent` is the flag that the client sent, None without a parent."""
        if parent is not None and self._asks_parent:
            return parent
        return int(trace_id[16:], 16) < self._below
