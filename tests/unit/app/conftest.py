"""What tests of lines on arrival share."""

from collections.abc import Iterator

import pytest

from app.store.sqlite import repeated_lines
from tests.lines import arrived


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No line is known, and a form is as soon as its second line came."""
    monkeypatch.setattr(repeated_lines, "_TIMES", 1)
    forget()
    yield
    forget()


def forget() -> None:
    for known in (arrived._senders, arrived._patterns, arrived._wanted):
        known.clear()
