"""What tests of lines on arrival share."""

from collections.abc import Iterator

import pytest

from app import digest, forms


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No line is known, and a form is as soon as its second line came."""
    monkeypatch.setattr(forms, "_TIMES", 1)
    forget()
    yield
    forget()


def forget() -> None:
    for known in (digest._senders, forms._patterns, forms._wanted):
        known.clear()
