"""app/cli/progress.py: only a terminal is told of progress, and only of what takes long."""

import io
import sys
import time

import pytest

from app.cli import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("terminal", [False, True])
def test_an_export_counts_on_a_terminal(terminal: bool, monkeypatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal() if terminal else io.StringIO())
    monkeypatch.setenv("TERM", "xterm")
    assert list(progress.counted([b"a", b"b"], "writing [x]")) == [b"a", b"b"]
    assert ("writing [x]" in sys.stderr.getvalue()) == terminal  # type: ignore[attr-defined]


@pytest.mark.parametrize(("terminal", "takes", "told"), [(True, 0.3, True), (True, 0, False),
                                                         (False, 0.3, False)])  # fmt: skip
def test_what_takes_long_is_told_on_a_terminal(terminal, takes, told, monkeypatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal() if terminal else io.StringIO())
    monkeypatch.setattr(progress, "_PATIENCE_S", 0.1)
    monkeypatch.setenv("TERM", "xterm")
    with progress.waiting("reading"):
        time.sleep(takes)
    assert ("reading" in sys.stderr.getvalue()) == told  # type: ignore[attr-defined]
