"""Any bytes are text, and what is UTF-8 stays as it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.decoding.charset import decoded


@pytest.mark.parametrize(
    ("data", "charset", "text"),
    [
        (b"\xfcber Z\xc3\xbcrich", "utf-8", "über Zürich"),
        (b"\xff\xfe", "utf-8", "ÿþ"),
        ("é".encode("utf-16"), "utf-16", "é"),
        (b"\x80", "windows-1252", "€"),
        (b"a", "no-such-charset", "a"),
        (b"", "utf-8", ""),
    ],
)
def test_bad_bytes_are_latin_1(data: bytes, charset: str, text: str) -> None:
    assert decoded(data, charset) == text


@given(st.binary(), st.sampled_from(["utf-8", "utf-16", "utf-32", "ascii", "hex", "x"]))
def test_it_never_fails(data: bytes, charset: str) -> None:
    assert isinstance(decoded(data, charset), str)


@given(st.text())
def test_utf_8_is_what_it_says(text: str) -> None:
    assert decoded(text.encode("utf-8", "replace")) == text.encode("utf-8", "replace").decode()
