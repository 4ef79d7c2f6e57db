"""app/cli/group.py: help fits 60 columns, and no sentence of it is cut."""

from collections.abc import Iterator
from typing import Any

import pytest

from app.cli.root import command
from tests.unit.app.cli.conftest import Telemock, telemock

__all__ = ["telemock"]  # a fixture


def commands(of: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, one in getattr(of, "commands", {}).items():
        yield from commands(one, (*path, name))


@pytest.mark.parametrize("path", [*commands(command())], ids=" ".join)
def test_help_fits_a_narrow_terminal(
    path: tuple[str, ...], telemock: Telemock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERMINAL_WIDTH", "60")
    lines = telemock(*path, "-h").out.splitlines()
    assert [line for line in lines if len(line) > 60] == []
    body = "\n".join(lines[2:])
    assert "..." not in body
