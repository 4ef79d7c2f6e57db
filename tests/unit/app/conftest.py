"""Fixtures for tests of lines on arrival."""

from collections.abc import Iterator

import pytest

from app.store.sqlite import repeated_lines
from tests.lines import arrived


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forgets all lines, and learns a form from its second line on."""
    monkeypatch.setattr(repeated_lines, "_TIMES", 1)
    forget()
    yield
    forget()


def forget() -> None:
    for known in (arrived._senders, arrived._patterns, arrived._wanted):
        known.clear()
