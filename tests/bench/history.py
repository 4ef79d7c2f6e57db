"""The figures of a run as one JSON object, and the file that keeps them run after run."""

import json
import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.bench.figures import Figure, summary
from tests.bench.samples import MEASURES, Sample, Samples
from tests.bench.targets import SLACK, Verdict, judge

FILE = Path(__file__).with_name("history.jsonl")

UNTOUCHED = ("telemock hosts", "telemock loopback")  # no packet of other traffic meets these


def entry(samples: Samples, **about: Any) -> dict[str, Any]:
    """`about`: what is to be known of the run besides its figures."""
    verdicts = judge(samples.values(), samples.cpu())
    return {
        **about,
        "figures": list(_figures(samples)),
        "targets": [_target(v) for v in verdicts],
        "met_the_proxy": met_the_proxy(samples),
        "failed": [*_failures(verdicts), *_leaks(met_the_proxy(samples))],
    }


def append(found: Mapping[str, Any], file: Path = FILE) -> None:
    with file.open("a") as out:
        out.write(json.dumps(found, separators=(",", ":")) + "\n")


def met_the_proxy(samples: Samples) -> dict[str, int]:
    """Packets on the pod's loopback while its other traffic ran, by system. Whatever meets a proxy
    is counted there: `telemock all` shows it."""
    found: dict[str, int] = {}
    for sample in samples:
        if sample.loopback is not None:
            found[sample.system] = found.get(sample.system, 0) + sample.loopback
    return found


def _figures(samples: Samples) -> Iterable[dict[str, Any]]:
    keys = dict.fromkeys((s.part, s.system, s.measure) for s in samples)
    for part, system, measure in keys:
        of = list(samples.of(part, system, measure))
        found = {
            "part": part, "system": system, "measure": measure, "unit": MEASURES[measure].unit,
            **_rounded(summary([s.value for s in of])),
        }  # fmt: skip
        for field in ("cpu_us", "proxy_us"):
            values = [v for v in (getattr(s, field) for s in of) if v is not None]
            if values:
                found[field] = _round(statistics.median(values))
        if notes := [s.note for s in of if s.note]:
            found["note"] = _typical(notes)
        yield found


def _typical(notes: list[dict[str, Any]]) -> dict[str, Any]:
    """The median of each number; the last of what is none."""
    found = {}
    for name in notes[0]:
        values = [note[name] for note in notes if name in note]
        numbers = all(isinstance(v, int | float) for v in values)
        found[name] = _round(statistics.median(values)) if numbers else values[-1]
    return found


def _target(verdict: Verdict) -> dict[str, Any]:
    target = verdict.target
    return {
        "id": target.id, "what": target.what, "system": target.system, "base": target.base,
        "measure": target.measure, "better": target.better, "target": target.value,
        "by_cpu": None if verdict.by_cpu is None else _rounded(verdict.by_cpu),
        **_rounded(verdict.figure), "low": _round(verdict.within.low),
        "high": _round(verdict.within.high), "met": verdict.met,
    }  # fmt: skip


def _failures(verdicts: Iterable[Verdict]) -> Iterable[str]:
    for verdict in verdicts:
        if verdict.failed:
            target = verdict.target
            yield (
                f"{target.id} {target.what}: {verdict.figure.median:.3g} is more than {SLACK:g} "
                f"times worse than {target.value:g}"
            )


def _leaks(packets: Mapping[str, int]) -> Iterable[str]:
    for system in UNTOUCHED:
        if packets.get(system):
            yield f"T1 {packets[system]} packets of other traffic met the proxy of {system}"


def _rounded(figure: Figure) -> dict[str, float]:
    return {"n": figure.n, "median": _round(figure.median), "min": _round(figure.low),
            "max": _round(figure.high)}  # fmt: skip


def _round(value: float) -> float:
    return float(f"{value:.4g}")


def raw(samples: Iterable[Sample]) -> list[dict[str, Any]]:
    return [sample._asdict() for sample in samples]
