"""Telemetry itself: what each system answers, what that costs, and how large it is (T2 to T7).

Each system is started anew in every repetition. The proxy has one processor alone; the load
generator and telemock's app share the other.
"""

import time
from collections.abc import Sequence

from tests.bench import client
from tests.bench.lab import BenchError, Lab
from tests.bench.processes import Started
from tests.bench.samples import Meter, Sample, Samples, rotated, tell
from tests.bench.systems import AT_APP, AT_SIDECAR, EXPORTING, System, url

PART, FOOTPRINT = "intercepted", "footprint"
DRAIN_S = 120.0
IDLE_S = 5.0

_SHAPES = {"keep_alive": (16, False), "new_tls": (8, True), "p50": (1, False)}
_WITH_APP = frozenset(("telemock", "mitmdump"))  # also measured with the app's answer
_COMPARED = frozenset(("telemock", "mitmdump", EXPORTING.name))  # in their footprint


def measure(
    lab: Lab,
    systems: Sequence[System],
    processors: tuple[int, int],
    samples: Samples,
    *,
    repetitions: int,
    seconds: float,
) -> None:
    for rep in range(repetitions):
        for system in rotated(systems, rep):
            started = begin(lab, system, processors[0])
            try:
                if system.name in _COMPARED:
                    samples.append(Sample(FOOTPRINT, system.name, "ready", rep, started.ready_s))
                    idle = started.process.resident_mib()
                    samples.append(Sample(FOOTPRINT, system.name, "rss_idle", rep, idle))
                ways = {system.name: AT_SIDECAR}
                if system.name in _WITH_APP:
                    ways[f"{system.name}, app"] = AT_APP
                for name, path in ways.items():
                    _answers(lab, name, path, started, processors[1], samples, rep, seconds)
            finally:
                started.process.stop()
        tell(f"intercepted, repetition {rep + 1} of {repetitions}")


def begin(lab: Lab, system: System, processor: int | None) -> Started:
    if system.start is None:
        raise BenchError(f"{system.name} has no proxy")
    lab.redirect(system.rules)
    lab.name(system.address)
    return system.start(lab, processor)


def _answers(
    lab: Lab, name: str, path: str, started: Started, processor: int, samples: Samples, rep: int,
    seconds: float,
) -> None:  # fmt: skip
    # Not counted: the leaf certificate is made, and what is imported late is imported.
    client.http(lab, url(path), connections=1, seconds=1, processor=processor)
    for measure_name, (connections, close) in _SHAPES.items():
        settle(started)
        meter = Meter(started.process)
        try:
            load = client.http(
                lab, url(path), connections=connections, seconds=seconds, close=close,
                processor=processor,
            )  # fmt: skip
        except BenchError as e:
            raise BenchError(f"{name}, {measure_name}: {e}") from None
        _, of_proxy = meter.per(load.operations)
        value = load.p50_ms if measure_name == "p50" else load.rate
        note = {"operations": load.operations}
        samples.append(
            Sample(PART, name, measure_name, rep, value, None, of_proxy, None, note, load.said)
        )
    settle(started)


def settle(started: Started) -> None:
    """Until the app has all records: the next measurement must not pay for them."""
    deadline = time.monotonic() + DRAIN_S
    while not started.drained:
        if time.monotonic() > deadline:
            raise BenchError(f"the app did not take the records within {DRAIN_S:g} s")
        time.sleep(0.02)


def footprint(
    lab: Lab,
    systems: Sequence[System],
    processors: tuple[int, int],
    samples: Samples,
    *,
    exchanges: int,
    at_most_s: float,
) -> None:
    """Memory after this many exchanges, in loads of new connections; or after that time. Of the
    system that exports also before them."""
    for system in systems:
        if system.name not in _COMPARED:
            continue
        started = begin(lab, system, processors[0])
        try:
            if system is EXPORTING:
                time.sleep(IDLE_S)
                idle = started.process.resident_mib()
                samples.append(Sample(FOOTPRINT, system.name, "rss_idle", 0, idle))
            done, begun = 0.0, time.monotonic()
            while done < exchanges and time.monotonic() < begun + at_most_s:
                load = client.http(
                    lab, url(AT_SIDECAR), connections=16, seconds=5, processor=processors[1]
                )
                done += load.operations
            settle(started)
            note = {"exchanges": done, **_accounted(started)}
            after = started.process.resident_mib()
            samples.append(Sample(FOOTPRINT, system.name, "rss_after", 0, after, note=note))
            before, since = started.process.cpu_s(), time.monotonic()
            time.sleep(IDLE_S)
            busy = (started.process.cpu_s() - before) / (time.monotonic() - since) * 100
            samples.append(Sample(FOOTPRINT, system.name, "cpu_idle", 0, busy))
        finally:
            started.process.stop()
        tell(f"footprint of {system.name}: {done:,.0f} exchanges")


def _accounted(started: Started) -> dict[str, object]:
    """The sidecar's own account of its records."""
    if started.health is None:
        return {}
    said = started.health()
    shipper, otel = said["shipper"], said["otel"]
    found = {name: shipper[name] for name in ("reserved", "stored", "dropped", "unprinted")}
    if "traces" in otel:
        found |= {"spans dropped": otel["dropped"], "trouble": otel["traces"]["trouble"] or "none"}
    return found
