"""What tests of lines on arrival share."""

from collections.abc import Iterator

import pytest

from app.ingest import digest
from app.store.sqlite import repeated_lines


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No line is known, and a form is as soon as its second line came."""
    monkeypatch.setattr(repeated_lines, "_TIMES", 1)
    forget()
    yield
    forget()


def forget() -> None:
    for known in (digest._senders, repeated_lines._patterns, repeated_lines._wanted):
        known.clear()
