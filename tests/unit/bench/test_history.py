"""The record of a run: what it holds, and when it says that a run failed."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

from tests.bench import history, picture, report
from tests.bench.samples import Sample, Samples

ABOUT = {
    "form": "bench", "begun": 1.8e9, "seconds": 61, "load": (0.1, 2.0), "generator": "wrk",
    "machine": {"cpu": "made up", "processors": 2, "memory_gb": 4, "kernel": "6"},
    "versions": {"telemock": "abc"}, "left_out": ["haproxy SNI split (haproxy is not installed)"],
}  # fmt: skip


def run(loopback: int = 0, rate: float = 800) -> Samples:
    def other(system: str, rep: int, value: float, packets: int = 0) -> Sample:
        note = {"tracked": 10 * rep, "operations": 5}
        return Sample("other", system, "new_tcp", rep, value, 20.0, 1.0, packets, note)

    return Samples(
        [
            *(other("direct", rep, 100 + rep) for rep in range(3)),
            *(other("telemock hosts", rep, 90 + rep, loopback) for rep in range(3)),
            *(other("telemock all", rep, 20, 99) for rep in range(2)),
            Sample("intercepted", "telemock", "keep_alive", 0, rate, None, 100.0),
            Sample("intercepted", "mitmdump", "keep_alive", 0, 100, None, 900.0),
            Sample("footprint", "telemock, OTLP", "rss_idle", 0, 60.0),
            Sample("footprint", "telemock, OTLP", "rss_after", 0, 70.0, note={"exchanges": 1000.0}),
        ]
    )


def test_a_run_is_one_line_of_the_history(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    for _ in range(2):
        history.append(history.entry(run(), **ABOUT), file)
    first, second = map(json.loads, file.read_text().splitlines())
    assert first == second and first["failed"] == []
    assert first["met_the_proxy"] == {"direct": 0, "telemock hosts": 0, "telemock all": 198}
    by = {(f["system"], f["measure"]): f for f in first["figures"]}
    assert by["direct", "new_tcp"]["median"] == 101 and by["direct", "new_tcp"]["n"] == 3
    assert by["telemock", "keep_alive"]["proxy_us"] == 100
    assert {t["id"] for t in first["targets"]} == {"T1", "T2", "T7"}


def test_a_packet_that_met_the_proxy_fails_the_run() -> None:
    (said,) = history.entry(run(loopback=1), **ABOUT)["failed"]
    assert said == "T1 3 packets of other traffic met the proxy of telemock hosts"


def test_a_regression_fails_the_run() -> None:
    samples = run(rate=399)
    assert history.entry(samples, **ABOUT)["failed"] == []  # the processor says otherwise
    samples.append(Sample("intercepted", "telemock", "keep_alive", 0, 399, None, 300.0))
    (said,) = history.entry(samples, **ABOUT)["failed"]
    assert said.startswith("T2 answered, keep-alive: 3.99 is more than 2 times worse than 8")


def test_people_get_tables_a_picture_and_every_sample(tmp_path: Path) -> None:
    samples = run()
    report.write(tmp_path, "bench", history.entry(samples, **ABOUT), samples)
    text = (tmp_path / "bench.md").read_text()
    assert "haproxy is not installed" in text and "load average 0.10 before" in text
    (line,) = (x for x in text.splitlines() if x.startswith("| T2 "))
    assert line.split("|")[4:8] == [" >= x8 ", " x8.00 ", " 8.00 to 8.00 ", " x9.00 "]
    assert "| telemock hosts | **x0.901** (0.900 to 0.902); 91.0 /s (90.0 to 92.0) |" in text
    assert "telemock, OTLP: 1,000 exchanges" in text
    tables = [x.count("|") for x in text.splitlines() if x.startswith("|")]
    assert len(tables) > 10
    raw = json.loads((tmp_path / "bench.json").read_text())
    assert len(raw["samples"]) == len(samples)
    drawn = ET.fromstring((tmp_path / "bench.svg").read_text())  # noqa: S314 - our own
    labels = [x.text for x in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert "T2 answered, keep-alive" in labels and "x8.00" in labels


def test_a_picture_without_ratios_is_a_picture() -> None:
    assert ET.fromstring(picture.draw([])) is not None  # noqa: S314
