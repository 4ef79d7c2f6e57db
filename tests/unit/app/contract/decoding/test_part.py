"""app/contract/decoding/part.py: the span of a value."""

from app.contract.decoding.part import Part


def test_a_part_spans_its_value() -> None:
    part = Part("lic", 4, 7)
    assert b"lic=abc"[part.start : part.end] == b"abc"
