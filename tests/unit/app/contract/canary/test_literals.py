import base64

import pytest

from app.contract.canary.literals import Text, in_base, of, of_whole


@pytest.mark.parametrize("ahead", range(6))
def test_base64_and_base32_are_found_at_every_place(ahead: int) -> None:
    value = "hk3v8x9q2m7w"
    exact = {row.needle for row in of(value) if row.text is Text.EXACT}
    low = {row.needle for row in of(value) if row.text is Text.LOWER}
    data = b"x" * ahead + value.encode() + b"yz"
    assert any(n in base64.b64encode(data) for n in exact)
    assert any(n in base64.b32encode(data).lower() for n in low)


def test_no_needle_is_short() -> None:
    rows = [*of("hk3v8x9q"), *of_whole("hk3v8x9q")]
    assert min(len(row.needle) for row in rows) >= 8


def test_bytes_as_one_number() -> None:
    assert in_base(b"\x01\x00", "0123456789abcdef") == "100"
