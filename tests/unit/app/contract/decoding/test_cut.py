"""app/contract/decoding/cut.py: of a body that was cut the values before the cut are read, and no
half of one."""

import base64
import gzip
import json
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest

from app.contract.body import keep
from app.contract.decoding.bounds import MOST
from app.contract.decoding.read import Content, for_conditions, read
from app.contract.decoding.tree import UNREADABLE, Opaque, Opened, Several, scalars
from app.contract.record import note
from tests.conformance import multipart

RANDOM = random.Random(3)
WORDS = ["4.10", "1.2.3+build", "007", 'a "quoted" \\ one', "Zürich", "x,y;z"]
DOCUMENT = {
    "v": "4.10",
    "batch": [{"event": w, "n": i * 1.5, "deep": [[{"w": w}]]} for i, w in enumerate(WORDS)],
}
TEXT = json.dumps(DOCUMENT, ensure_ascii=False).encode()
NOISE = json.dumps({"v": "4.10", "l": [RANDOM.randbytes(8).hex() for _ in range(300)]}).encode()
ENVELOPE = b'{"event_id":"1"}\n{"type":"event","length":%d}\n%b\n' % (len(TEXT), TEXT)
ROWS = b"event,v\nstart,4.10\nstop,4.11\n"
FORM = b"a=1&v=4.10&x=a+b&y=22"
TYPE = "multipart/form-data; boundary=b0und"
KINDS: dict[str, tuple[bytes, str, str]] = {
    "json": (TEXT, "application/json", "v"),
    "ndjson": (TEXT + b"\n" + TEXT, "application/x-ndjson", "v"),
    "form": (FORM, "application/x-www-form-urlencoded", "v"),
    "form without a type": (FORM, "", "v"),
    "multipart": (multipart(("a", "1"), ("v", "4.10"), ("z", "9")), TYPE, "v"),
    "envelope": (ENVELOPE, "application/x-sentry-envelope", "event.v"),
    "xml": (b"<r><v>4.10</v><w>4.11</w><x a='b'>1</x></r>", "text/xml", "r.v"),
    "csv": (ROWS, "text/csv", "0.v"),
    "gzip": (gzip.compress(NOISE, mtime=0), "", "v"),
    "base64 of gzip": (base64.b64encode(gzip.compress(NOISE, mtime=0)), "text/plain", "v"),
}


def cut(data: bytes, at: int, content_type: str = "") -> Content:
    return read(keep(data[:at], size=len(data), sha256="", cap=1 << 20), content_type)


def leaves(node: Any) -> Iterator[str]:
    if isinstance(node, Opened):
        yield from () if node.unsure else leaves(node.value)
    elif isinstance(node, dict | list):
        for one in node.values() if isinstance(node, dict) else node:
            yield from leaves(one)
    elif not isinstance(node, Opaque):
        yield repr(node)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_read_of_it_is_in_the_whole(kind: str) -> None:
    data, content_type, path = KINDS[kind]
    whole = set(
        leaves(read(keep(data, size=len(data), sha256="", cap=1 << 20), content_type).value)
    )
    versions = []
    for at in range(1, len(data), 1 + len(data) // 400):
        found = cut(data, at, content_type)
        assert set(leaves(found.value)) <= whole, at
        assert for_conditions(found) is UNREADABLE
        if not isinstance(found.value, Opaque):
            versions += scalars(found.value, path)
    assert set(versions) <= {"4.10", "4.11"} and "4.10" in versions


def test_content_encoding_is_undone_first_and_the_record_says_cut() -> None:
    packed = gzip.compress(NOISE, mtime=0)
    body = keep(packed[:1000], size=len(packed), sha256="", encoding="gzip", cap=1 << 20)
    found = read(body, "application/json")
    assert scalars(found.value, "v") == ["4.10"] and len(found.value["l"]) > 50
    assert note(body) == "cut"


@pytest.mark.parametrize(
    "data", [b"words and words", b"{", b"\xff\x00" * 20, b"<", b"&", b"--b", b"\n", b"a=1"]
)
def test_the_rest_is_opaque(data: bytes) -> None:
    found = cut(data + b"more", len(data))
    assert isinstance(found.value, Opaque) and "cut" in str(found.value)


@pytest.mark.parametrize("data", [b"[" * 262_144, b'{"a":' * 50_000, b'"' * 9_999, b"[1," * 80_000])
def test_it_is_bounded(data: bytes) -> None:
    started = time.process_time()
    found = cut(data, len(data) - 1).value
    assert isinstance(found, Opaque | Several | list)
    assert time.process_time() - started < 2
    many = cut(b"[" + b"1," * (MOST + 9), 2 * MOST + 1).value
    assert len(many) == MOST
