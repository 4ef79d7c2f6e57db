"""In which format a body is read, and by which decoding a text."""

import pytest

from app.contract.decoding.formats import attempts, json, named_by, step
from app.contract.decoding.lenient import NOT_JSON
from app.contract.decoding.tree import Several


@pytest.mark.parametrize(
    ("content_type", "name"),
    [
        ("multipart/form-data; boundary=b", "multipart"),
        ("application/x-sentry-envelope", "envelope"),
        ("text/xml; charset=utf-8", "xml"),
        ("application/x-protobuf", "protobuf"),
        ("application/json", ""),
        ("", ""),
    ],
)
def test_carriers_by_type(content_type: str, name: str) -> None:
    assert named_by(content_type) == name


FORM = "application/x-www-form-urlencoded"
LOOKS = ["multipart", "xml", "jsonp"]


@pytest.mark.parametrize(
    ("data", "content_type", "decoders", "names"),
    [
        (b"{}", "", (), ["json", *LOOKS]),
        (b"{}", FORM, (), ["object", *LOOKS]),
        (b"{}\n{", "application/json", (), ["json", "envelope", "lines", *LOOKS]),
        (b"a=1&b=2", "", (), ["json", "form", *LOOKS]),
        (b"a=1", "", (), ["json", *LOOKS]),
        (b"a=1", FORM, (), ["object", "form", *LOOKS]),
        (b"a=1", "", ("form",), ["object", "form", *LOOKS]),
        (b"a=1&b=2", "application/json", (), ["json", *LOOKS]),
        (b"a=1&b=2\na=3&b=4", "", (), ["json", "forms", *LOOKS]),
        (b"a=1&b={", "", (), ["json", *LOOKS]),
        (b"a,b\n1,2", "text/csv", (), ["csv", "json", *LOOKS]),
        (b"a,b\n1,2", "text/plain", ("csv",), ["csv", "json", *LOOKS]),
        (b"\0", "", (), ["json", *LOOKS, "protobuf"]),
    ],
)
def test_what_a_body_may_be_in_the_order_in_which_it_is_tried(
    data: bytes, content_type: str, decoders: tuple[str, ...], names: list[str]
) -> None:
    assert [one.name for one in attempts(data, content_type, decoders)] == names


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ('{"a":1}', "json"),
        ("[1,]", "json"),
        ('{"a":1}\n{"b":2}', "json"),
        ('"a text"', "text"),
        ("eyJhIjoxfQ==", "base64"),
        ("7b2261223a317d", "hex"),
        ("a=1&b=22", "form"),
        ("%7B%22a%22%3A1%7D", "percent"),
        ("just words.", None),
        ("{no JSON", None),
        ("1", None),
    ],
)
def test_how_a_text_is_read_on(written: str, name: str | None) -> None:
    found = step(written)
    assert (found and found.name) == name


def test_json_is_told_as_the_lenient_reader_tells_it() -> None:
    assert json('{"a":1}') == json('{"a":1,}') == {"a": 1}
    assert isinstance(json("{}{}"), Several)
    assert json("{") is json("") is NOT_JSON
