"""tests/bench/gate.py: it measures a gate that passes."""

import sys
from pathlib import Path

from tests.bench.gate import commands


def test_each_command_is_told_by_its_name(tmp_path):
    found = commands(Path(sys.executable).with_name("telemock"), tmp_path)
    assert next(iter(found)) == "true"
    assert all("run" in words[-1] and "-- true" in words[-1] for words in list(found.values())[1:])
    assert sum("--nothing" in words[-1] for words in found.values()) == 2
