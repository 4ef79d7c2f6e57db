"""A run for people: tables in Markdown, a picture, and every sample beside them."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench import history, picture
from tests.bench.figures import shown, summary
from tests.bench.samples import MEASURES, Samples
from tests.bench.targets import LOWER, Values

_BASES = {"other": "direct", "intercepted": "mitmdump"}
_OWN_BASE = {"telemock, app": "mitmdump, app"}  # compared with its like
_TITLES = {
    "other": "Other traffic of the pod, against direct",
    "intercepted": "Telemetry answered, against stock mitmdump",
}
_NOTE = "Ratio of the same repetition, then the figure itself: median (min to max) of each."
_NOTES = {
    "other": _NOTE,
    "intercepted": f"{_NOTE} `app`: answered by telemock's app; the ratio of `telemock, app` is to "
    "mitmdump that asks the same app.",
}


def write(folder: Path, form: str, found: Mapping[str, Any], samples: Samples) -> None:
    """FORM.md, FORM.svg and FORM.json; prints the first."""
    folder.mkdir(exist_ok=True)
    text = markdown(found, samples)
    (folder / f"{form}.md").write_text(text)
    (folder / f"{form}.svg").write_text(picture.draw(found["targets"]))
    with (folder / f"{form}.json").open("w") as out:
        json.dump({**found, "samples": history.raw(samples)}, out, indent=1)
    print(text)


def markdown(found: Mapping[str, Any], samples: Samples) -> str:
    values = samples.values()
    parts = [_about(found), _targets(found["targets"])]
    for part in ("other", "intercepted"):
        if samples.named(part, "system"):
            parts += [f"### {_TITLES[part]}", _NOTES[part], _ratios(part, samples, values)]
            parts.append(_cost(part, found["figures"]))
    parts += [_proof(found), _footprint(found["figures"])]
    if found["failed"]:
        parts.append("### Failed\n\n" + "\n".join(f"- {line}" for line in found["failed"]))
    return "\n\n".join(p for p in parts if p) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _about(found: Mapping[str, Any]) -> str:
    machine, versions = found["machine"], found["versions"]
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(found["begun"]))
    before, after = found["load"]
    left = "; left out: " + ", ".join(found["left_out"]) if found["left_out"] else ""
    return (
        f"Form `{found['form']}`, {when}, {found['seconds'] // 60} min {found['seconds'] % 60} s, "
        f"on {machine['processors']} processors ({machine['cpu']}), {machine['memory_gb']} GB, "
        f"kernel {machine['kernel']}; load average {before:.2f} before, {after:.2f} after (the "
        f"bench itself included); load by {found['generator']}. Versions: "
        f"{', '.join(f'{k} {v}' for k, v in versions.items())}{left}. telemock runs as in its "
        "image (`PYTHONOPTIMIZE=2`) with capture, masking, the line on stdout, spool and metrics "
        "on, and delivers to the app; mitmdump answers in a script, lazily, and keeps nothing. "
        "Requests are Cribl's, with 47 parameters."
    )


def _targets(targets: Iterable[Mapping[str, Any]]) -> str:
    rows = []
    for t in targets:
        sign = "<=" if t["better"] == "lower" else ">="
        unit = "x" if t["base"] else ""
        wanted = "x1.00 in reach" if t["id"] == "T1" else f"{sign} {unit}{t['target']:g}"
        seen = f"{unit}{shown(t['median'])}"
        low, high = shown(t["low"]), shown(t["high"])
        base = f" / {t['base']}" if t["base"] else ""
        rows.append([
            t["id"], t["what"], f"{t['system']}{base}", wanted, seen, f"{low} to {high}",
            f"x{shown(t['by_cpu']['median'])}" if t["by_cpu"] else "",
            str(t["n"]), "yes" if t["met"] else "**no**",
        ])  # fmt: skip
    heads = ["#", "what", "of", "target", "seen", "95 % interval of the median",
             "by processor time", "n", "met"]  # fmt: skip
    return "### Targets\n\n" + table(heads, rows)


def _ratios(part: str, samples: Samples, values: Values) -> str:
    measures = samples.named(part, "measure")
    rows = []
    for system in samples.named(part, "system"):
        base = _OWN_BASE.get(system, _BASES[part])
        cells = [
            _cell(values.get((part, system, m), {}), values.get((part, base, m), {}), m)
            if system != base
            else _cell(values[part, system, m], {}, m)
            for m in measures
        ]
        rows.append([system, *cells])
    return table(["", *(_title(m) for m in measures)], rows)


def _cell(of: Mapping[int, float], base: Mapping[int, float], measure: str) -> str:
    if not of:
        return ""
    own = summary(list(of.values()))
    said = f"{shown(own.median)} {MEASURES[measure].unit} ({shown(own.low)} to {shown(own.high)})"
    pairs = [of[rep] / base[rep] for rep in of if base.get(rep)]
    if not pairs:
        return said
    ratio = summary(pairs)
    return f"**x{shown(ratio.median)}** ({shown(ratio.low)} to {shown(ratio.high)}); {said}"


def _title(measure: str) -> str:
    return MEASURES[measure].title + (" (less is better)" if measure in LOWER else "")


def _cost(part: str, figures: Iterable[Mapping[str, Any]]) -> str:
    """Processor time of one operation."""
    of = [f for f in figures if f["part"] == part and "proxy_us" in f]
    measures = list(dict.fromkeys(f["measure"] for f in of))
    by = {(f["system"], f["measure"]): f for f in of}
    rows = []
    for system in dict.fromkeys(f["system"] for f in of):
        cells = [system]
        for measure in measures:
            f = by.get((system, measure))
            if f is None:
                cells.append("")
                continue
            every = f" of {_time(f['cpu_us'])}" if "cpu_us" in f else ""
            cells.append(f"{_time(f['proxy_us'])}{every}")
        rows.append(cells)
    title = "Processor time of the proxy" + (" of all that took part" if part == "other" else "")
    heads = (f"{MEASURES[m].title}, a {MEASURES[m].per}" for m in measures)
    return f"{title}, for one operation:\n\n" + table(["", *heads], rows)


def _time(us: float) -> str:
    return f"{shown(us / 1000)} ms" if us >= 10_000 else f"{shown(us)} µs"


def _proof(found: Mapping[str, Any]) -> str:
    packets = found["met_the_proxy"]
    if not packets:
        return ""
    tracked = {f["system"]: f["note"]["tracked"] for f in found["figures"]
               if f["part"] == "other" and f["measure"] == "new_tcp"}  # fmt: skip
    rows = [[s, f"{n:,}", f"{tracked.get(s, 0):,.0f}"] for s, n in packets.items()]
    return (
        "### Does other traffic meet the proxy?\n\nPackets on the pod's loopback during all of the "
        "above (whoever speaks with a proxy in the pod is counted there), and entries that one run "
        "of new TCP connections left in connection tracking.\n\n"
        + table(["", "packets", "tracked connections"], rows)
    )


def _footprint(figures: Iterable[Mapping[str, Any]]) -> str:
    of = [f for f in figures if f["part"] == "footprint"]
    measures = list(dict.fromkeys(f["measure"] for f in of))
    rows = []
    for system in dict.fromkeys(f["system"] for f in of):
        by = {f["measure"]: f for f in of if f["system"] == system}
        rows.append([system, *(_range(by[m]) if m in by else "" for m in measures)])
    notes = [
        f"{f['system']}: {f['note']['exchanges']:,.0f} exchanges"
        + "".join(f", {k} {v}" for k, v in f["note"].items() if k != "exchanges")
        for f in of if f.get("note")
    ]  # fmt: skip
    if not rows:
        return ""
    heads = [f"{MEASURES[m].title} ({MEASURES[m].unit})" for m in measures]
    return "### Footprint\n\n" + table(["", *heads], rows) + "\n\n" + "; ".join(notes) + "."


def _range(f: Mapping[str, Any]) -> str:
    around = f" ({shown(f['min'])} to {shown(f['max'])})" if f["n"] > 1 else ""
    return f"{shown(f['median'])}{around}"
