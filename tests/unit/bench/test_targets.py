"""What is compared with what, and when a run fails."""

from tests.bench.samples import MEASURES
from tests.bench.systems import EXPORTING, INTERCEPTED, OTHER
from tests.bench.targets import LOWER, TARGETS, Values, Verdict, judge


def of(values: Values, id_: str) -> list[Verdict]:
    return [v for v in judge(values, {}) if v.target.id == id_]


def test_every_target_names_what_is_measured() -> None:
    names = {s.name for s in (*OTHER, *INTERCEPTED, EXPORTING)}
    for target in TARGETS:
        assert target.measure in MEASURES
        assert target.system.removesuffix(", app") in names
        assert target.base.removesuffix(", app") in names | {""}
    assert LOWER.issubset(MEASURES)


def test_a_ratio_is_taken_within_a_repetition() -> None:
    """The machine was ten times slower in the second one; only its pairs say something."""
    values: Values = {
        ("intercepted", "telemock", "keep_alive"): {0: 9000, 1: 900, 2: 9000},
        ("intercepted", "mitmdump", "keep_alive"): {0: 1000, 1: 100, 3: 50},
    }
    (verdict,) = of(values, "T2")
    assert (verdict.figure.n, verdict.figure.median) == (2, 9.0)
    assert verdict.met and not verdict.failed


def test_less_than_half_of_the_target_fails() -> None:
    def keep_alive(rate: float) -> Verdict:
        values: Values = {
            ("intercepted", "telemock", "keep_alive"): {0: rate},
            ("intercepted", "mitmdump", "keep_alive"): {0: 100.0},
        }
        return of(values, "T2")[0]

    assert [keep_alive(x).met for x in (799, 800)] == [False, True]
    assert [keep_alive(x).failed for x in (399, 400)] == [True, False]


def test_where_less_is_better_more_than_twice_the_target_fails() -> None:
    def p50(ms: float) -> Verdict:
        values: Values = {
            ("intercepted", "telemock", "p50"): {0: ms},
            ("intercepted", "mitmdump", "p50"): {0: 1.0},
        }
        return of(values, "T4")[0]

    assert [p50(x).met for x in (0.2, 0.21)] == [True, False]
    assert [p50(x).failed for x in (0.4, 0.41)] == [False, True]


def test_a_rate_fails_only_together_with_processor_time() -> None:
    """What else the machine did may have taken the rate away, not the cost."""
    key = "intercepted", "telemock", "keep_alive"
    base = "intercepted", "mitmdump", "keep_alive"
    values: Values = {key: {0: 100.0}, base: {0: 100.0}}

    def failed(cpu_us: float) -> bool:
        (verdict,) = judge(values, {key: {0: cpu_us}, base: {0: 1000.0}})
        assert verdict.by_cpu is not None
        return verdict.failed

    assert [failed(x) for x in (240, 260)] == [False, True]


def test_memory_is_compared_with_a_number_of_its_own() -> None:
    idle, after = of(
        {("footprint", "telemock, OTLP", "rss_idle"): {0: 69.0},
         ("footprint", "telemock, OTLP", "rss_after"): {0: 171.0}}, "T7",
    )  # fmt: skip
    assert idle.met and not after.met and after.failed


def test_a_sidecar_that_exports_nothing_is_smaller() -> None:
    systems = ("telemock", "telemock, OTLP")
    verdicts = of({("footprint", s, "rss_idle"): {0: 65.0} for s in systems}, "T7")
    assert [v.met for v in verdicts] == [False, True]


def test_other_traffic_asks_whether_one_can_be_the_truth() -> None:
    def bulk(*ratios: float) -> Verdict:
        values: Values = {
            ("other", "telemock hosts", "bulk_tcp"): dict(enumerate(ratios)),
            ("other", "direct", "bulk_tcp"): dict.fromkeys(range(len(ratios)), 1.0),
        }
        return of(values, "T1")[0]

    assert bulk(0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 1.01).met
    assert not bulk(0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995).met
    assert bulk(*[0.49] * 7).failed
