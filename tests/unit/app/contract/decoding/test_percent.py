"""app/contract/decoding/percent.py: as paths, queries and forms encode."""

from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.decoding import percent


@given(st.binary(max_size=60), st.sampled_from(["quote", "plus", "all", "lower"]))
def test_it_is_undone_and_redone(data: bytes, how: str) -> None:
    written = {
        "quote": quote(data), "plus": quote_plus(data), "all": quote(data, safe=""),
        "lower": "".join(f"%{b:02x}" for b in data),
    }[how].encode()  # fmt: skip
    undone = percent.undo(written, 1000)
    if undone is None:
        assert b"%" not in written
        return
    assert undone == data
    assert percent.undo(percent.redo(data + b"%", written), 1000) == data + b"%"


@pytest.mark.parametrize("data", [b"", b"abc", b"100%", b"%zz"])
def test_other_text_is_none(data: bytes) -> None:
    assert percent.undo(data, 100) is None


def test_more_than_the_cap_is_refused() -> None:
    assert percent.undo(b"%41" * 10, 9) is None


def test_what_stood_as_it_is_stays_so() -> None:
    assert percent.redo(b'{"a":"***"}', b"{%22a%22:%22secret%22}") == b"{%22a%22:%22***%22}"
    assert percent.redo(b"a b", b"x+y%2f") == b"a+b"
