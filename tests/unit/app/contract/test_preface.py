"""app/contract/preface.py: a line that is read back whole, and anything else that is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.preface import MOST, Preface, decode, encode
from app.contract.record import Endpoint, Program

ONE = Preface(Endpoint("2001:db8::1", 443), Program("nöde \x1b", 4711))


def test_it_is_read_back_and_leaves_what_follows():
    line = encode(ONE)
    assert decode(line + b"\x16\x03\x01") == (ONE, len(line))


@given(st.binary(max_size=64))
def test_no_other_bytes_are_taken_for_one(data):
    assert decode(data) is None


@pytest.mark.parametrize(
    "data",
    [
        encode(ONE)[:-1],
        b"\xff\xff" + b"x" * MOST,
        b"\x00\x02{}",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00",
    ],
)
def test_a_part_or_another_protocol_is_none(data):
    assert decode(data) is None
