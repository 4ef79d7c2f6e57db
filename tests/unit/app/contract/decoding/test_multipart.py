"""app/contract/decoding/multipart.py: names and contents of parts, and what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.decoding import multipart
from app.contract.decoding.splice import splice
from tests.unit.app.contract.decoding.timing import linear


def form(*parts: tuple[str, bytes], line: bytes = b"\r\n", boundary: bytes = b"b") -> bytes:
    out = b""
    for head, content in parts:
        disposition = b"Content-Disposition: form-data; " + head.encode()
        out += line.join([b"--" + boundary, disposition, b"", content, b""])
    return out + b"--" + boundary + b"--" + line


def read(data: bytes) -> list[tuple[str, bytes]]:
    parts = multipart.split(data)
    assert parts is not None
    return [(p.name, data[p.start : p.end]) for p in parts if "@" not in p.name]


@pytest.mark.parametrize(
    ("head", "name"),
    [
        ('name="user[lic]"', "user[lic]"),
        ("name='lic'", "lic"),
        ("name=lic", "lic"),
        ('filename="x.json"; name="lic"', "lic"),
        ('name="a \\"b\\""; filename=x', 'a "b"'),
        ("NAME = lic;x=1", "lic"),
        ("name*=utf-8''l%69c", "lic"),
        ('filename="x"', ""),
    ],
)
def test_a_part_is_named(head: str, name: str) -> None:
    assert read(form((head, b"1"))) == [(name, b"1")]


def test_parts_are_found_with_any_line_end_preamble_and_empty() -> None:
    parts = [("name=a", b"1\r\n2"), ("name=b", b""), ("name=c", b"x--b"), ("name=d", b"\n--bb\n")]
    expected = [(head[5:], content) for head, content in parts]
    assert read(form(*parts)) == expected
    assert read(form(*parts, line=b"\n")) == expected
    assert read(b"this is multipart\r\n" + form(*parts)) == expected


def test_a_part_that_was_cut_goes_to_the_end() -> None:
    data = form(("name=a", b"1"), ("name=lic", b"secret"))
    assert read(data[: data.index(b"ret")]) == [("a", b"1"), ("lic", b"sec")]


def test_a_part_may_be_multipart_itself() -> None:
    inner = form(('name="lic"', b"x"), boundary=b"inner")
    [(name, content)] = read(form(("name=files", inner)))
    assert name == "files" and read(content) == [("lic", b"x")]


@pytest.mark.parametrize("data", [b"", b"--", b"--b\r\n", b"a=1", b"{}", b"--b\nno head"])
def test_other_bytes_are_none(data: bytes) -> None:
    assert multipart.split(data) is None


@given(st.lists(st.binary(max_size=40).filter(lambda b: b"--b" not in b), min_size=1, max_size=5))
def test_only_changed_parts_change(contents: list[bytes]) -> None:
    data = form(*((f"name=n{i}", content) for i, content in enumerate(contents)))
    parts = multipart.split(data)
    assert parts is not None and [data[p.start : p.end] for p in parts] == contents
    assert splice(data, parts, contents) == data
    changed = [b"***", *contents[1:]]
    assert splice(data, parts, changed) == form(
        *((f"name=n{i}", content) for i, content in enumerate(changed))
    )


@given(st.binary(max_size=200))
def test_any_bytes_are_split_or_refused(data: bytes) -> None:
    multipart.split(b"--b\r\n" + data)


HOSTILE = {
    "parts": lambda n: b"--b\r\nA: b\r\n\r\n\r\n" * n,
    "boundaries": lambda n: b"--b\r\nA: b\r\n\r\n" + b"\n--bx" * n,
    "no head": lambda n: b"--b\r\nA: b\r\n" + b"--b\r\n" * n,
    "firsts": lambda n: b"\n--" * n,
    "names": lambda n: b"--b\r\nContent-Disposition: " + b";name" * n + b"\r\n\r\nx",
    "lines": lambda n: b"--b\r\nA: b\r\n" + b"X: y\r\n" * n + b"\r\nx",
    "folds": lambda n: b"--b\r\nA: b\r\n" + b" \r\n" * n + b"\r\nx",
    "parameters": lambda n: b"--b\r\nContent-Disposition: a" + b'; a="b"' * n + b"\r\n\r\nx",
    "heads": lambda n: b"--b\r\nContent-Disposition: a; b=c\r\n\r\n\r\n" * n,
    "spaces": lambda n: b"--b\r\nContent-Disposition: name" + b" " * n + b"\r\n\r\nx",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_bytes_take_linear_time(kind: str) -> None:
    assert linear(multipart.split, HOSTILE[kind], 15_000)


def test_a_million_parts_are_refused() -> None:
    assert multipart.split(b"--b\r\nA: b\r\n\r\n\r\n" * 1_000_000) is None
