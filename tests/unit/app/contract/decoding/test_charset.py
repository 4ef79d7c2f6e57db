"""app/contract/decoding/charset.py: other encodings than UTF-8."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.decoding import charset
from app.contract.decoding.charset import decoded

TEXT = '{"lic":"Zürich ✓"}'
WRITTEN = {
    "utf-8-sig": codecs.BOM_UTF8 + TEXT.encode(),
    "utf-16 le": codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"),
    "utf-16 be": codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
    "utf-32 le": codecs.BOM_UTF32_LE + TEXT.encode("utf-32-le"),
    "utf-16, no mark": TEXT.encode("utf-16-le"),
    "utf-16 be, no mark": TEXT.encode("utf-16-be"),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_it_is_undone_and_redone(name: str) -> None:
    data = WRITTEN[name]
    undone = charset.undo(data, 1000)
    assert undone == TEXT.encode()
    assert charset.redo(undone, data) == data
    assert charset.undo(charset.redo(b'{"a":1}', data), 1000) == b'{"a":1}'


def test_latin_1_is_what_is_text_and_no_utf_8() -> None:
    data = "Zürich=1".encode("latin-1")
    assert charset.undo(data, 100) == "Zürich=1".encode()
    assert charset.redo("Zürich=***".encode(), data) == "Zürich=***".encode("latin-1")


def test_utf_16_that_was_cut_in_a_character_is_read() -> None:
    assert charset.undo(WRITTEN["utf-16 le"][:-1], 1000, cut=True) == TEXT.encode()[:-1]
    assert charset.undo(WRITTEN["utf-16 le"][:-1], 1000) is None


@pytest.mark.parametrize(
    "data", [b"", b"abc", TEXT.encode(), TEXT.encode()[:-4], b"\x00\x01\x02", b"\xff\x00a\x01",
             b"\x08\x00\x12\x00\x80\x01", b"\xff\xfe\x00\xd8a\x00"]
)  # fmt: skip
def test_utf_8_and_other_bytes_are_none(data: bytes) -> None:
    assert charset.undo(data, 100) is None


def test_more_than_the_cap_is_refused() -> None:
    assert charset.undo(WRITTEN["utf-16 le"], 5) is None


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
