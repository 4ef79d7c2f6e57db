"""What the bench must show: each target of the sidecar, once, with its number.

`history` compares with them, `report` prints them. A target is a ratio of two systems in one
interleaved run, or a plain figure where it has no `base`.
"""

from typing import Literal, NamedTuple

from tests.bench.figures import Figure, Interval, interval, summary

Better = Literal["higher", "lower"]

SLACK = 2.0  # a ratio this many times worse than its target is an error, not noise


class Target(NamedTuple):
    """`value` is a ratio to `base`, or in the measure's own unit without one."""

    id: str
    part: str
    measure: str
    system: str
    base: str
    value: float
    better: Better
    what: str


def _target(id_: str, key: str, system: str, base: str, value: float, what: str) -> Target:
    part, _, measure = key.partition(".")
    better: Better = "lower" if measure in LOWER else "higher"
    return Target(id_, part, measure, system, base, value, better, what)


LOWER = frozenset(("p50", "ready", "rss_idle", "rss_after"))

TARGETS = (
    *(
        _target("T1", f"other.{measure}", system, "direct", 1.0, f"other traffic, {system}: {said}")
        for system in ("telemock hosts", "telemock loopback")
        for measure, said in (
            ("bulk_tcp", "bulk TCP"),
            ("bulk_tls", "bulk TLS"),
            ("new_tls", "new TLS connections"),
            ("new_tcp", "new TCP connections"),
            ("keep_alive", "keep-alive requests"),
            ("p50", "p50"),
        )
    ),
    _target("T2", "intercepted.keep_alive", "telemock", "mitmdump", 8, "answered, keep-alive"),
    _target("T3", "intercepted.new_tls", "telemock", "mitmdump", 3, "answered, new TLS"),
    _target("T4", "intercepted.p50", "telemock", "mitmdump", 0.2, "answered, p50"),
    _target("T5", "intercepted.keep_alive", "telemock, app", "mitmdump, app", 3,
            "answered by the app, keep-alive"),
    _target("T6", "footprint.ready", "telemock", "mitmdump", 0.7, "time from start to ready"),
    _target("T7", "footprint.rss_idle", "telemock", "", 60, "resident MiB, idle"),
    _target("T7", "footprint.rss_after", "telemock", "", 75, "resident MiB after the exchanges"),
    _target("T7", "footprint.rss_idle", "telemock, OTLP", "", 70, "resident MiB, idle"),
    _target("T7", "footprint.rss_after", "telemock, OTLP", "", 85,
            "resident MiB after the exchanges"),
    # Not bulk TLS: there the ends take so much that direct is less than x2 of `ignore_hosts`.
    _target("T8", "other.bulk_tcp", "telemock all", "mitmdump ignore_hosts", 2,
            "`all`, spliced bulk TCP"),
)  # fmt: skip


class Verdict(NamedTuple):
    """`by_cpu`: the same ratio by the processor time that the proxies took for one operation. It
    hardly depends on what else the machine does, as rates do. None where it says nothing."""

    target: Target
    figure: Figure
    within: Interval  # of the ratio's median
    by_cpu: Figure | None = None

    @property
    def met(self) -> bool:
        """T1 asks whether 1.00 can be the truth; the others for the median."""
        if self.target.id == "T1":
            low, high = self.within
            return high >= 1.0 if self.target.better == "higher" else low <= 1.0
        return self._times_worse(self.figure) <= 1.0

    @property
    def failed(self) -> bool:
        """A rate on a busy machine may be an accident; together with processor time it is none."""
        return all(self._times_worse(f) > SLACK for f in (self.figure, self.by_cpu) if f)

    def _times_worse(self, figure: Figure) -> float:
        value, wanted = figure.median, self.target.value
        if self.target.better == "lower":
            return value / wanted
        return wanted / value if value else float("inf")


Values = dict[tuple[str, str, str], dict[int, float]]
"""By part, system and measure: the value of each repetition."""


def judge(values: Values, cpu: Values) -> list[Verdict]:
    """Verdicts on each target whose systems ran; ratios are of the same repetition. `cpu`:
    microseconds of the proxy for one operation."""
    found = []
    for target in TARGETS:
        of = target.part, target.system, target.measure
        base = target.part, target.base, target.measure
        if target.base:
            compared = _pairs(values.get(of, {}), values.get(base, {}))
        else:
            compared = list(values.get(of, {}).values())
        if not compared:
            continue
        cost = _pairs(cpu.get(of, {}), cpu.get(base, {}))
        if target.better == "higher":
            cost = [1 / x for x in cost]
        by_cpu = summary(cost) if cost else None
        found.append(Verdict(target, summary(compared), interval(compared), by_cpu))
    return found


def _pairs(of: dict[int, float], base: dict[int, float]) -> list[float]:
    return [of[rep] / base[rep] for rep in sorted(of) if of[rep] and base.get(rep)]
