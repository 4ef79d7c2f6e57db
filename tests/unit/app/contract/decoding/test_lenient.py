"""JSON of careless senders is read as it is meant."""

import contextlib
import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.decoding.bounds import Left, TooMuch
from app.contract.decoding.lenient import NOT_JSON, documents
from app.contract.decoding.tree import Number, Several


def read(data: bytes | str) -> Any:
    return documents(data, Left())


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'\xef\xbb\xbf{"a":1}', {"a": 1}),
        ('{"a":"é"}'.encode("utf-16"), {"a": "é"}),
        ('{"a":"é"}'.encode("utf-32-be"), {"a": "é"}),
        (b'{"a":"\xe9"}', {"a": "é"}),
        (b'{"a":1,"a":2}', {"a": Several([1, 2])}),
        (b'{"a":[1,2,],"b":{"c":1, } , }', {"a": [1, 2], "b": {"c": 1}}),
        (b'{"a":",}",}', {"a": ",}"}),
        (b'{"a":"\\",]",}', {"a": '",]'}),
        (b'{"a":"x\ty"}', {"a": "x\ty"}),
        (b'{"a":"\\ud83d"}', {"a": "\ud83d"}),
        (b'{"a":1}{"a":2}', Several([{"a": 1}, {"a": 2}])),
        (b"[1],\n[2]", Several([[1], [2]])),
        (b"", NOT_JSON),
        (b" , ", NOT_JSON),
        (b"{,}", {}),
        (b'{"a":1', NOT_JSON),
        (b"[" * 100_000, NOT_JSON),
        (b"1" * 9_000, NOT_JSON),
    ],
)
def test_documents(data: bytes, expected: Any) -> None:
    assert read(data) == expected


def test_numbers_stay_as_written() -> None:
    found = read("[4.10, 1E2, 1e999, -0.0, 1.5, NaN]")
    assert [n.written for n in found[:3]] == ["4.10", "1E2", "1e999"]
    assert found[:3] == [4.1, 100.0, math.inf]
    assert not isinstance(found[4], Number) and math.isnan(found[5])


def test_too_many_documents_are_too_much() -> None:
    with pytest.raises(TooMuch):
        read("1 " * 10_000)


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":"' + b'\\"' * 120_000 + b",}",
        b'"' * 250_000 + b",}",
        b"[" + b"1," * 120_000 + b"}",
        b"[1" + b"," * 250_000 + b"]",
        b"[1," + b" " * 250_000 + b"}",
        b'{"a":1,' * 60_000,
    ],
)
def test_hostile_text_takes_no_time(data: bytes) -> None:
    started = time.process_time()
    with contextlib.suppress(TooMuch):
        read(data)
    assert time.process_time() - started < 0.5


@given(st.binary() | st.text())
def test_it_never_fails(data: bytes | str) -> None:
    with contextlib.suppress(TooMuch):
        read(data)
