"""tests/bench/startup.py: what it runs, and its arithmetic."""

import sys
from pathlib import Path

import pytest

from tests.bench.startup import BARE, Run, commands, measured, run, told


def test_each_command_runs_beside_another_installation() -> None:
    found = commands(Path("here/telemock"), Path("there/telemock"))
    assert next(iter(found)) == BARE
    assert found["telemock --help"] == ["here/telemock", "--help"]
    assert found["beside --help"] == ["there/telemock", "--help"]
    assert "beside --help" not in commands(Path("here/telemock"), None)


def test_a_turn_has_one_run_of_each() -> None:
    found = measured({"a": [sys.executable, "-c", "pass"], "b": ["true"]}, 2)
    assert [len(runs) for runs in found.values()] == [2, 2]
    assert all(r.wall > 0 for runs in found.values() for r in runs)


def test_a_command_that_fails_is_no_figure() -> None:
    with pytest.raises(RuntimeError, match="false ended with 1"):
        run(["false"])


def test_a_line_has_the_median_and_the_spread() -> None:
    runs = [Run(10, 8), Run(30, 9), Run(11, 7)]
    assert told({"a": runs}) == ["a: 11 ms (10 to 30), processor 8 ms"]
