"""`python -m tests.bench.attacks [WORD …]`: attacks a sidecar of 192 MiB and prints how it fared.

A table: attack, what ended it, the sidecar's peak memory, and the slowest answer of a well-behaved
client. With words only the attacks whose names hold one. `--quick` takes those of `make test`,
`--each` a new sidecar for each. The exit code is 1 where a sidecar died, went over its limit, or
had its client wait.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from tests.attacks.kinds import ATTACKS, Attack
from tests.attacks.lab import INSIDE, LIMIT, SLOWEST_S, Lab, Outcome, inside, lab
from tests.memory import MIB

ROW = "| {:<58} | {:<34} | {:>5} | {:>5} | {:<9} | {:>3} |"


def fared_well(attack: Attack, outcome: Outcome) -> bool:
    return (
        outcome.alive
        and outcome.peak < LIMIT
        and outcome.slowest < SLOWEST_S
        and not outcome.errors
        and (not attack.bounds or bool(set(attack.bounds) & set(outcome.exceeded)))
    )


def told(attack: Attack, outcome: Outcome) -> str:
    ended = ", ".join(f"{bound} {number}" for bound, number in outcome.exceeded.items())
    if not outcome.alive:
        ended = "killed"
    row = ROW.format(attack.name, ended, f"{outcome.peak / MIB:.0f}", f"{outcome.slowest:.2f}",
                     outcome.of, len(outcome.errors))  # fmt: skip
    return row + ("" if fared_well(attack, outcome) else f" BAD {outcome.errors[:2]}")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.attacks", description=__doc__)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--each", action="store_true")
    parser.add_argument("--json", action="store_true", help="one object a line instead")
    given = parser.parse_args(arguments)
    if again := inside(["-m", "tests.bench.attacks", *arguments]):
        os.execvp(again[0], again)  # noqa: S606
    chosen = [
        x for x in ATTACKS
        if (x.quick or not given.quick)
        and (not given.words or any(w.lower() in x.name.lower() for w in given.words))
    ]  # fmt: skip
    if not given.json:
        where = "" if os.environ.get(INSIDE) else ", only through CONNECT"
        print(f"limit {LIMIT // MIB} MiB{where}; s: the slowest answer of a well-behaved client\n")
        print(ROW.format("attack", "ended by", "MiB", "s", "of", "bad"))
        print(ROW.format(*["---"] * 6))
    well = True
    groups = [[x] for x in chosen] if given.each else [chosen]
    for group in groups:
        with tempfile.TemporaryDirectory() as folder, lab(Path(folder)) as made:
            for attack in group:
                well &= _one(made, attack, as_json=given.json)
                if made.sidecar.process.poll() is not None:
                    print(made.sidecar.log.read_text()[-2000:])
                    break
    return 0 if well else 1


def _one(made: Lab, attack: Attack, *, as_json: bool) -> bool:
    outcome = made.attacked(attack.run)
    said = json.dumps({"name": attack.name, **outcome._asdict()})
    print(said if as_json else told(attack, outcome), flush=True)
    return fared_well(attack, outcome)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
