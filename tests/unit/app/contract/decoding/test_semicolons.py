"""app/contract/decoding/semicolons.py: pairs between semicolons."""

from typing import Any

import pytest

from app.contract.decoding.bounds import MOST
from app.contract.decoding.read import decode
from app.contract.decoding.semicolons import split


def pairs(data: bytes) -> Any:
    found = split(data)
    return found and [(part.name, data[part.start : part.end]) for part in found]


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"<14>version=3.9;cores=8\n", [("version", b"3.9"), ("cores", b"8")]),
        (b"a=;b=c=d;\r\n", [("a", b""), ("b", b"c=d;")]),
        (b'a={"x":"1;2"};_b=3', [("a", b'{"x":"1;2"}'), ("_b", b"3")]),
        (b"a=1;b=2\n\n<0>a=3\n", [("a", b"1"), ("b", b"2"), ("a", b"3")]),
        (b"\xff=1", None),
        (b"a=1\nwords\n", None),
        (b"<1234>a=1", None),
        (b"", None),
        (b"\n", None),
        (b"a=1;" * (MOST + 1), None),
    ],
)
def test_pairs_are_found_or_it_is_none_of_them(data: bytes, found: Any) -> None:
    assert pairs(data) == found


def test_a_priority_or_a_rule_says_that_it_is_pairs() -> None:
    data = b"version=3.9;hostname=a"
    tree = {"version": "3.9", "hostname": "a"}
    assert decode(b"<14>" + data).value == tree
    assert decode(data, decoders=["pairs"]).value == tree
    assert decode(data).value != tree


def test_time_is_linear() -> None:
    for data in (b"a=" + b";" * 200_000, b"a" * 200_000, b"a=1;" + b"b" * 200_000, b";a=" * 50_000):
        split(data)
