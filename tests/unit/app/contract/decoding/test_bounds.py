"""What is left for one message, and which bound was met."""

import pytest

from app.contract.decoding import bounds
from app.contract.decoding.bounds import BYTES, READ, Left, TooMuch


def test_documents_bytes_and_seconds_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    budget = Left()
    budget.documents(READ)
    with pytest.raises(TooMuch, match="documents"):
        budget.documents()
    budget.decoded(BYTES)
    assert budget.bytes == 0
    with pytest.raises(TooMuch, match="bytes"):
        budget.decoded(1)
    monkeypatch.setattr(bounds, "SECONDS", -1.0)
    with pytest.raises(TooMuch, match="seconds"):
        Left().documents()
    assert {"documents", "bytes", "seconds"} == set(bounds.BOUNDS)


def test_what_was_met_is_taken_once() -> None:
    bounds.taken()
    bounds.hit("bytes")
    bounds.hit("bytes")
    assert bounds.taken() == {"bytes": 2} and bounds.taken() == {}
