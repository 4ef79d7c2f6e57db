"""app/contract/decoding/base64.py: every spelling is read, and written as it was."""

import base64 as standard
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.decoding import base64

CAP = 1 << 20
FULL = b'{"lic":"a?b>c~~~","n":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]}\xff\xfb'

SPELLINGS = {
    "standard": standard.b64encode,
    "URL-safe": standard.urlsafe_b64encode,
    "unpadded": lambda d: standard.b64encode(d).rstrip(b"="),
    "URL-safe, unpadded": lambda d: standard.urlsafe_b64encode(d).rstrip(b"="),
    "a line's end": lambda d: standard.b64encode(d) + b"\r\n",
    "folded": lambda d: standard.encodebytes(d),
    "folded by 64": lambda d: b"\r\n".join(
        standard.b64encode(d)[i : i + 64] for i in range(0, len(standard.b64encode(d)), 64)),
    "spaces for plus": lambda d: standard.b64encode(d).replace(b"+", b" "),
    "address": lambda d: b"data:application/json;base64," + standard.b64encode(d),
    "hex": lambda d: d.hex().encode(),
    "HEX": lambda d: d.hex().upper().encode(),
}  # fmt: skip


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("more", [b"", b"x", b"xy"])
def test_every_spelling_is_read_and_written(spelling: str, more: bytes) -> None:
    data = FULL + more
    spelled = SPELLINGS[spelling](data)
    assert base64.undo(spelled, CAP) == data
    assert base64.redo(data, spelled) == spelled
    assert base64.undo(base64.redo(data + b"zz", spelled), CAP) == data + b"zz"


@given(st.binary(min_size=8, max_size=200), st.sampled_from(sorted(SPELLINGS)))
def test_what_is_read_was_written(data: bytes, spelling: str) -> None:
    spelled = SPELLINGS[spelling](data)
    assert base64.undo(spelled, CAP) is not None or spelled.strip() != spelled


@pytest.mark.parametrize(
    "data", [b"", b"abc", b"abcdefghi", b"abcd=efgh", b"abcdefgh===", b"hello, world!", b"a" * 9]
)
def test_other_text_is_none(data: bytes) -> None:
    assert base64.undo(data, CAP) is None


def test_text_that_was_cut_is_read_as_far_as_it_goes() -> None:
    spelled = standard.b64encode(FULL)
    for end in range(12, len(spelled)):
        undone = base64.undo(spelled[:end], CAP, cut=True)
        assert (
            undone is not None and FULL.startswith(undone[:-1]) and len(undone) >= end * 3 // 4 - 1
        )


def test_more_than_the_cap_is_refused_and_much_takes_linear_time() -> None:
    assert base64.undo(standard.b64encode(bytes(100)), 99) is None
    start = time.process_time()
    for filler in (b"A", b" ", b"\n", b"=", b"A\n ", b"data:"):
        base64.undo(filler * 1_000_000, 10 * CAP)
    assert time.process_time() - start < 5
