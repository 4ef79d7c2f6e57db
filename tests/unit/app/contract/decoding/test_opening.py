"""Texts and bytes are opened whatever they are encoded by, within bounds."""

import base64
import gzip
import json
import time
import zlib
from collections.abc import Callable
from itertools import product
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from app.contract.decoding.bounds import CHAIN
from app.contract.decoding.opening import Opener, gathered
from app.contract.decoding.tree import Opaque, Opened, Several, opened_up, values

TREE = {"properties": {"$lib": "web", "v": "4.10"}}
JSON = json.dumps(TREE).encode()


def b64(data: bytes) -> bytes:
    return base64.b64encode(data)


ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "base64": b64,
    "base64 url": lambda data: base64.urlsafe_b64encode(data).rstrip(b"="),
    "base64 folded": base64.encodebytes,
    "base64 plus": lambda data: b64(data).replace(b"+", b" "),
    "percent": lambda data: quote(data, safe="").encode(),
    "json": lambda data: json.dumps(data.decode()).encode(),
    "hex": lambda data: data.hex().encode(),
}
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "deflate": zlib.compress,
    "zstd": zstandard.compress,
}


@pytest.mark.parametrize("chain", [*product(ENCODINGS), *product(ENCODINGS, ENCODINGS)])
def test_encodings_in_each_other_are_undone(chain: tuple[str, ...]) -> None:
    data, undone = JSON, ["json"]
    for name in reversed(chain):
        if (encoded := ENCODINGS[name](data)) != data:  # base64 needs no percent-encoding
            data, undone = encoded, [name.partition(" ")[0], *undone]
    found = Opener().text(data.decode())
    assert isinstance(found, Opened)
    assert found.chain == tuple(undone)
    assert values(found, "properties.$lib") == ["web"]


@pytest.mark.parametrize("outer, packed", [*product(["base64", "base64 url", "hex"], PACKED)])
def test_what_is_packed_in_text_is_undone(outer: str, packed: str) -> None:
    for inner in (JSON, b64(JSON), PACKED["gzip"](JSON)):
        written = ENCODINGS[outer](PACKED[packed](inner)).decode()
        found = Opener().text(written)
        assert found.chain[:2] == (outer.partition(" ")[0], packed)
        assert values(found, "properties.v") == ["4.10"]
        assert found.text == written


@pytest.mark.parametrize(
    ("text", "chain", "value"),
    [
        (b64(b"words that are read").decode(), ("base64",), "words that are read"),
        (b64(b"a=1&b=longer").decode(), ("base64", "form"), {"a": ["1"], "b": ["longer"]}),
        ("a=1&b=%7B%22c%22%3A1%7D", ("form",), None),
        (b64(gzip.compress(JSON, mtime=0)[:-9]).decode(), ("base64",), Opaque(54, "gzip, damaged")),
        ('{"a":1} {"a":2}', ("json",), Several(({"a": 1}, {"a": 2}))),
    ],
)
def test_what_else_is_opened(text: str, chain: tuple[str, ...], value: Any) -> None:
    found = Opener().text(text)
    assert found.chain == chain
    assert value is None or found.value == value or isinstance(value, Opaque)


@pytest.mark.parametrize(
    "text",
    [
        "", "a", "words", "a longer text, of words", "6f9619ff-8b86-d011-b42d-00cf4fc964ff",
        "0123456789abcdef0123456789abcdef", "2026-11-29T10:00:00Z", "4.16.1-20904e45", "{", "[x]",
        "https://example.com/a%20b?c=1", "user@example.com", "AAAAAAAAAAAAAAAA", "12345678901234",
        "true", '"quoted"', "x=1", "ubuntu24linux", "productionclusterone", "100%",
    ],
)  # fmt: skip
def test_texts_stay_texts(text: str) -> None:
    assert Opener().text(text) is text


def test_bounds_hold() -> None:
    deep = JSON
    for _ in range(12):
        deep = b64(deep)
    found = Opener().text(deep.decode())
    assert len(found.chain) < CHAIN and isinstance(found.value, str)  # and no JSON
    bomb = b64(gzip.compress(bytes(50 << 20), mtime=0)).decode()
    started = time.process_time()
    opening = Opener()
    found = opening.within([bomb] * 40)
    assert time.process_time() - started < 1
    assert isinstance(found[0], Opened) and "more than is read" in str(found[0].value)
    many = Opener()
    found = many.within(["[1]"] * 9_000)
    assert many.bound == "documents" and found[-1] == "[1]" and isinstance(found[0], Opened)


def test_several_values_of_a_name_are_gathered() -> None:
    assert gathered([("a", 1), ("b", 2), ("a", 3), ("a", 4)]) == {"a": Several((1, 3, 4)), "b": 2}


@given(st.text() | st.binary().map(lambda b: base64.b64encode(b).decode()))
def test_any_text_stays_itself_or_is_opened(text: str) -> None:
    found = Opener().text(text)
    assert found is text or (isinstance(found, Opened) and found.text == text)


@given(st.binary())
def test_any_value_of_a_part_is_read_somehow(data: bytes) -> None:
    assert values({"a": Opener().value(data)}, "a") is not None


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(1 << 60), 1 << 60)
        | st.text("abc é.", max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=10,
    ).filter(lambda d: isinstance(d, dict | list) and d),
    st.sampled_from(sorted(ENCODINGS)),
)
def test_every_document_is_opened(document: object, encoding: str) -> None:
    try:
        data = msgspec.json.encode(document)
    except UnicodeEncodeError:
        return  # lone surrogates: no JSON text has them
    written = ENCODINGS[encoding](data).decode()
    found = Opener().text(written)
    short = len(written) < 8 and not encoding.startswith("json")
    assert short or (isinstance(found, Opened) and opened_up(found) == document)
