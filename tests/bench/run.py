"""The bench of the sidecar: telemock beside others, on this machine, in one interleaved run.

`python -m tests.bench.run [--form quick|bench|full]`, or `make bench-quick`, `make bench`,
`make bench-full`. Needs root. Prints tables, and writes them with a picture and every sample to
tests/bench/results/; `bench` and `full` add a line to tests/bench/history.jsonl. The exit code is 1
when a ratio falls under half of its target (tests/bench/targets.py), or when a packet of the other
traffic met the proxy.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.bench import client, history, intercepted, other, report, systems, upstream
from tests.bench.lab import BenchError, Lab, enter, folder
from tests.bench.machine import machine, versions
from tests.bench.processes import processors
from tests.bench.samples import Samples
from tests.bench.systems import System

RESULTS = Path(__file__).with_name("results")


class Form(NamedTuple):
    """How much is measured. `others`: repetitions of the systems that take all connections."""

    seconds: float  # of one load
    other: int  # repetitions
    others: int
    intercepted: int
    exchanges: int
    at_most_s: float  # for these exchanges, of each system
    aimed: bool = False  # only what a target names


FORMS = {
    "quick": Form(1, 3, 1, 2, 5_000, 5, aimed=True),
    "bench": Form(1, 7, 3, 5, 100_000, 60),
    "full": Form(2, 15, 7, 11, 100_000, 600),
}


def measured(form: Form, where: Path, left_out: list[str]) -> Samples:
    lab, alone, samples = Lab(where), processors(), Samples()
    all_others = systems.usable(systems.OTHER, left_out, aimed=form.aimed)
    all_intercepted = systems.usable(systems.INTERCEPTED, left_out, aimed=form.aimed)
    servers = upstream.hosts(lab)
    app, collector = upstream.app(lab, alone[1]), upstream.collector(lab, alone[1])
    try:
        _warm(lab, [*all_others, *all_intercepted, systems.EXPORTING])
        other.measure(
            lab, all_others, servers, samples,
            repetitions=form.other, others=form.others, seconds=form.seconds,
        )  # fmt: skip
        intercepted.measure(
            lab, all_intercepted, alone, samples,
            repetitions=form.intercepted, seconds=form.seconds,
        )  # fmt: skip
        intercepted.footprint(
            lab, [*all_intercepted, systems.EXPORTING], alone, samples,
            exchanges=form.exchanges, at_most_s=form.at_most_s,
        )  # fmt: skip
    finally:
        for process in (*servers, app, collector):
            process.stop()
    return samples


def _warm(lab: Lab, everything: Sequence[System]) -> None:
    """One start of each that is not counted: Python writes its byte code, which images hold."""
    for system in everything:
        if system.start is not None:
            system.start(lab, None).process.stop()


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """The run's figures, as they stand in the history, with `failed`: a list of sentences."""
    given = _parser().parse_args(arguments)
    where = folder()
    if where is None:
        raise BenchError("a Lab needs namespaces of its own\n\nhint: python -m tests.bench.run")
    left_out: list[str] = []
    begun, load_before, with_what = round(time.time()), os.getloadavg()[0], versions()
    samples = measured(FORMS[given.form], where, left_out)
    found = history.entry(
        samples,
        form=given.form,
        begun=begun,
        seconds=round(time.time() - begun),
        load=(load_before, os.getloadavg()[0]),
        machine=machine(),
        versions=with_what,
        left_out=left_out,
        generator=client.generator(),
    )
    report.write(RESULTS, given.form, found, samples)
    if given.form != "quick":
        history.append(found)
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.run", description=__doc__)
    parser.add_argument("--form", choices=FORMS, default="bench")
    return parser


def _outside(arguments: Sequence[str]) -> int:
    _parser().parse_args(arguments)
    return enter("tests.bench.run", arguments)


if __name__ == "__main__":
    try:
        if folder() is None:
            sys.exit(_outside(sys.argv[1:]))
        sys.exit(1 if main(sys.argv[1:])["failed"] else 0)
    except BenchError as e:
        print(f"error: {e}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
