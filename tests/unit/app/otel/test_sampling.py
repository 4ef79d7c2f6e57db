import pytest
from opentelemetry.sdk.trace import sampling as sdk

from app.otel import ids
from app.otel.sampling import Sampler
from app.otel.settings import SAMPLERS, read


def sampler(name: str = "", argument: str = "") -> Sampler:
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
        "OTEL_TRACES_SAMPLER": name,
        "OTEL_TRACES_SAMPLER_ARG": argument,
    }
    return Sampler(read(environ, service="s", version="1", resource={}))


@pytest.mark.parametrize(
    ("name", "alone", "under_sampled", "under_unsampled"),
    [
        ("", True, True, False),
        ("always_on", True, True, True),
        ("always_off", False, False, False),
        ("parentbased_always_on", True, True, False),
        ("parentbased_always_off", False, True, False),
    ],
)
def test_fixed_samplers(name: str, alone: bool, under_sampled: bool, under_unsampled: bool) -> None:
    asked = sampler(name)
    found = [asked.sampled(ids.trace_id(), parent) for parent in (None, True, False)]
    assert found == [alone, under_sampled, under_unsampled]


@pytest.mark.parametrize("ratio", ["0", "0.25", "0.5", "1"])
def test_a_ratio_decides_as_every_other_process_of_the_trace(ratio: str) -> None:
    ours, based = sampler("traceidratio", ratio), sampler("parentbased_traceidratio", ratio)
    other = sdk.TraceIdRatioBased(float(ratio))
    for _ in range(500):
        trace = ids.trace_id()
        kept = other.should_sample(None, int(trace, 16), "").decision.is_sampled()
        assert ours.sampled(trace, None) == ours.sampled(trace, not kept) == kept
        assert based.sampled(trace, None) == kept
        assert based.sampled(trace, not kept) is not kept


def test_there_are_the_six_of_the_specification() -> None:
    assert len(SAMPLERS) == 6
    for name in SAMPLERS:
        sampler(name, "0.5").sampled(ids.trace_id(), None)
