"""app/contract/decoding/splice.py: only the parts change."""

from app.contract.decoding.part import Part
from app.contract.decoding.splice import splice


def test_only_the_parts_change() -> None:
    parts = [Part("a", 2, 3), Part("b", 3, 3), Part("c", 6, 8)]
    assert splice(b"a=1&b=22", parts, [b"x", b"y", b""]) == b"a=xy&b="
