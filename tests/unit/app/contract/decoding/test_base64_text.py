"""Base64 in every way in which senders write it."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.decoding.base64_text import undo

DATA = bytes(range(256)) + b"??>>"


def folded(text: str, end: str) -> str:
    return end.join(text[at : at + 76] for at in range(0, len(text), 76))


STANDARD = base64.b64encode(DATA).decode()


@pytest.mark.parametrize(
    "written",
    [
        STANDARD,
        STANDARD.rstrip("="),
        base64.urlsafe_b64encode(DATA).decode(),
        base64.urlsafe_b64encode(DATA).decode().rstrip("="),
        folded(STANDARD, "\n"),
        folded(STANDARD, "\r\n") + "\r\n",
        folded(STANDARD, "\n "),
        STANDARD + "\n",
        STANDARD.replace("+", " "),
        STANDARD.replace("=", "%3D"),
        f"data:application/json;charset=utf-8;base64,{STANDARD}",
    ],
)
def test_every_spelling(written: str) -> None:
    assert undo(written) == DATA


@pytest.mark.parametrize("written", ["", "abc", "a.b.c.d.e", "hello, world", "abcde=fgh", "é" * 9])
def test_what_is_none(written: str) -> None:
    assert undo(written) is None


@given(st.binary(min_size=6), st.booleans(), st.booleans())
def test_all_bytes(data: bytes, urlsafe: bool, padded: bool) -> None:
    written = (base64.urlsafe_b64encode if urlsafe else base64.b64encode)(data).decode()
    assert undo(written if padded else written.rstrip("=")) == data


@given(st.text())
def test_it_never_fails(written: str) -> None:
    undo(written)
