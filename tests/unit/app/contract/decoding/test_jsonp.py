"""app/contract/decoding/jsonp.py: the argument of a call."""

import pytest

from app.contract.decoding import jsonp
from app.contract.decoding.part import Part
from tests.unit.app.contract.decoding.timing import linear


@pytest.mark.parametrize(
    ("data", "argument"),
    [
        (b'cb({"a":1});', b'{"a":1}'),
        (b"/**/ jQuery.fn[0]( [1] )\n;\n", b"[1]"),
        (b"typeof cb === 'function' && cb({})", b"{}"),
        (b'cb("a)b")', b'"a)b"'),
        (b'cb({"a":"sec', b'{"a":"sec'),
    ],
)
def test_the_argument_is_the_part(data: bytes, argument: bytes) -> None:
    parts = jsonp.split(data)
    assert parts is not None
    assert [(p.name, data[p.start : p.end]) for p in parts] == [("", argument)]


@pytest.mark.parametrize("data", [b"", b"{}", b"cb", b"cb()", b"cb(1)", b"a b({})", b"(x)({})"])
def test_other_bytes_are_none(data: bytes) -> None:
    assert jsonp.split(data) is None


@pytest.mark.parametrize("filler", [b" ", b")", b"a", b"a.", b"/*", b"cb({"])
def test_hostile_bytes_take_linear_time(filler: bytes) -> None:
    assert linear(jsonp.split, lambda n: b"cb({" + filler * n, 100_000)
    assert linear(jsonp.split, lambda n: filler * n, 100_000)


@pytest.mark.parametrize("size", range(1, 130))
def test_the_call_is_closed_whatever_its_length(size: int) -> None:
    data = b'cb("' + b"x" * size + b'");'
    assert jsonp.split(data) == [Part("", 3, len(data) - 2)]
