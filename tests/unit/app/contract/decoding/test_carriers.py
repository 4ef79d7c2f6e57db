"""The trees of carriers, and which multipart bodies nobody can read otherwise."""

import contextlib
import time
from typing import Any

import pytest

from app.contract.decoding.bounds import TooMuch
from app.contract.decoding.carriers import CARRIERS, is_plain_multipart
from app.contract.decoding.opening import Opener
from app.contract.decoding.tree import Opened, Several

KIND = "multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
PLAIN = PART % (b"event", b"start") + PART % (b"v", b"4.10") + b"--b--\r\n"


def read(name: str, data: bytes) -> Any:
    return CARRIERS[name](data, Opener())


@pytest.mark.parametrize(
    ("name", "data", "tree"),
    [
        ("multipart", PLAIN, {"event": "start", "v": "4.10"}),
        ("multipart", PART % (b"a", b"1") * 2 + b"--b--", {"a": Several(("1", "1"))}),
        (
            "multipart",
            PART % (b"a", b'{"b":1}') + b"--b--",
            {"a": Opened('{"b":1}', ("json",), {"b": 1})},
        ),
        (
            "multipart",
            PART % (b"a", b"--c\r\nContent-Disposition: form-data; name='n'\r\n\r\nx\r\n--c--")
            + b"--b--",
            {"a": {"n": "x"}},
        ),
        (
            "envelope",
            b'{"event_id":"1"}\n{"type":"event"}\n{"message":"m"}\n{"type":"log"}\ntext',
            {
                "header": {"event_id": "1"},
                "event header": {"type": "event"},
                "event": {"message": "m"},
                "log header": {"type": "log"},
                "log": "text",
            },
        ),
        (
            "xml",
            b'<r v="4.10"><a>x &amp; y</a><a>2</a></r>',
            {"r.@v": "4.10", "r.a": Several(("x & y", "2"))},
        ),
        ("xml", b"<!DOCTYPE html><html><body>x</body></html>", None),
        (
            "csv",
            b'name,version\n"a ""b""",4.10\nc,5\n',
            [{"name": 'a "b"', "version": "4.10"}, {"name": "c", "version": "5"}],
        ),
        ("jsonp", b'cb({"v":4});', Several(({"v": 4}, Opened("", ("call",), "cb(")))),
        ("protobuf", b"\x0a\x05hello\x10\x01", {"1": "hello", "2": 1}),
        *((name, b"words", None) for name in ("multipart", "envelope", "xml", "csv", "jsonp")),
    ],
)
def test_trees(name: str, data: bytes, tree: Any) -> None:
    assert read(name, data) == tree


@pytest.mark.parametrize("name", CARRIERS)
@pytest.mark.parametrize(
    "data",
    [
        PART % (b"a", b"") * 5_000,
        b"<a>" * 80_000,
        b"<a b='" * 40_000,
        b"a,b\n" + b"1,2\n" * 60_000,
        b'a,b\n"' + b'"",' * 80_000,
        b'{"event_id":1}\n' + b'{"type":"event","length":0}\n\n' * 9_000,
        b"f(" * 120_000,
        b"\x0a\x00" * 120_000,
        b"\x08\x01" * 120_000,
        b"--b\r\n" * 50_000,
    ],
)
def test_hostile_bodies_take_no_time(name: str, data: bytes) -> None:
    started = time.process_time()
    with contextlib.suppress(TooMuch):
        read(name, data)
    assert time.process_time() - started < 0.5


def with_line(line: bytes) -> bytes:
    return PLAIN.replace(b"\r\n\r\n4", b"\r\n" + line + b"\r\n\r\n4")


@pytest.mark.parametrize(
    ("data", "content_type", "plain"),
    [
        (PLAIN, KIND, True),
        (PLAIN, 'multipart/form-data; boundary="b"', True),
        (PLAIN[:-2], KIND, True),
        (PLAIN, "multipart/form-data; boundary=c", False),
        (PLAIN, "multipart/mixed; boundary=b", False),
        (PLAIN, "multipart/form-data; boundary=b; boundary=c", False),
        (PLAIN, "multipart/form-data; charset=utf-7; boundary=b", False),
        (b"x\r\n" + PLAIN, KIND, False),
        (PLAIN + b"x", KIND, False),
        (PLAIN.replace(b"\r\n", b"\n"), KIND, False),
        (PLAIN.replace(b'name="v"', b"name=v"), KIND, False),
        (PLAIN.replace(b'name="v"', b"name*=utf-8''v"), KIND, False),
        (PLAIN.replace(b'name="v"', b'name="v"; name="w"'), KIND, False),
        (PLAIN.replace(b'name="v"', b'name="%76"'), KIND, False),
        (PLAIN.replace(b'name="v"', b'name="\\v"'), KIND, False),
        (with_line(b"Content-Transfer-Encoding: base64"), KIND, False),
        (with_line(b"X: y"), KIND, False),
        (with_line(b"Content-Type: text/plain"), KIND, True),
        (with_line(b"Content-Type: text/plain; charset=utf-7"), KIND, False),
        (b"", KIND, False),
    ],
)  # fmt: skip
def test_what_nobody_can_read_otherwise(data: bytes, content_type: str, plain: bool) -> None:
    assert is_plain_multipart(data, content_type) is plain
