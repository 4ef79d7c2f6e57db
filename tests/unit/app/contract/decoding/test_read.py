"""What a body is read as, and what conditions on it are judged on."""

import base64
import gzip
import time
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from app.contract import body as b
from app.contract.decoding.compression import Aside, with_asides
from app.contract.decoding.read import for_conditions, read
from app.contract.decoding.tree import UNREADABLE, opened_up, values
from app.contract.record import BODY_CAP, Body

CAP = 4096


def kept(data: bytes, encoding: str = "", size: int | None = None, cap: int = CAP) -> Body:
    full = len(data) if size is None else size
    return b.keep(data[:cap], size=full, sha256="abc", encoding=encoding, cap=cap)


def reading(body: Body | None, content_type: str) -> Any:
    return for_conditions(read(body, content_type))


def documents(body: Body, content_type: str, decoders: Sequence[str] = ()) -> list[Any]:
    return [opened_up(one) for one in read(body, content_type, decoders).documents]


@pytest.mark.parametrize(
    ("data", "kind", "decoders", "expected"),
    [
        (b'{"a":1}', "application/json; charset=utf-8", (), [{"a": 1}]),
        (b"[1]", "application/vnd.api+json", (), [[1]]),
        (b'"x"', "application/json", (), ["x"]),
        (b'{"a":1}', "text/plain", (), [{"a": 1}]),
        (b'{"a":1}\n\n{"a":2}\r\n', "application/x-ndjson", (), [{"a": 1}, {"a": 2}]),
        (b'{"a":1}\n{"a":2}', "application/json", (), [{"a": 1}, {"a": 2}]),
        (b"a=1&a=2&b=", "application/x-www-form-urlencoded", (), [{"a": ["1", "2"], "b": ""}]),
        (b"a=1", "text/plain", ("form",), [{"a": "1"}]),
        (b'{"a":"b=c"}', "application/x-www-form-urlencoded", (), [{"a": "b=c"}]),
        (b"1\n2", "text/plain", ("ndjson",), [1, 2]),
        (b'{"a":1}\nno', "application/x-ndjson", (), []),
        (b'{"a":', "application/json", (), []),
        (b'{"a":"\xff\xc3\xbc"}', "application/json", (), [{"a": "ÿü"}]),
        (b"[" * 100_000, "application/json", (), []),
        (b"a=1", "text/plain", (), ["a=1"]),
        (b"\xff=1", "application/x-www-form-urlencoded", (), [{"ÿ": "1"}]),
        (b"", "application/json", ("json",), []),
        (gzip.compress(b'{"a":1}', mtime=0), "", ("gzip", "json"), [{"a": 1}]),
        (zstandard.ZstdCompressor().compress(b"[1]"), "", ("zstd",), [[1]]),
        (b'{"a":1}', "", ("gzip", "json"), [{"a": 1}]),  # opened when it was masked
        (gzip.compress(b'{"a":1}', mtime=0), "", (), [{"a": 1}]),
        (gzip.compress(b'{"a":1}', mtime=0)[:-12], "", ("gzip",), []),
    ],
)
def test_documents(
    data: bytes, kind: str, decoders: tuple[str, ...], expected: list[object]
) -> None:
    assert documents(kept(data, cap=BODY_CAP), kind, decoders) == expected


def test_a_cut_or_withheld_body_has_no_documents() -> None:
    assert documents(Body(text='{"a":1}', truncated=True), "application/json") == []
    assert documents(Body(withheld="encoding"), "application/json") == []


def test_base64_in_json_is_opened() -> None:
    inner = base64.b64encode(b'{"b":[1]}').decode().rstrip("=")
    outer = base64.urlsafe_b64encode(msgspec.json.encode({"a": inner, "t": "text"})).decode()
    body = kept(msgspec.json.encode({"data": [outer]}))
    opened = {"data": [{"a": {"b": [1]}, "t": "text"}]}
    assert documents(body, "application/json", ("base64-in-json",)) == [opened]
    assert documents(body, "application/json") == [opened]
    assert values(read(body, "").value, "data.0.a.b.0") == ["1"]
    assert outer in values(read(body, "").value, "data.0")


START = b'{"event":"start"}'


@pytest.mark.parametrize(
    "data",
    [
        START,
        b'{"event":"start","x":NaN,"y":-Infinity,"z":1e999}',
        b'{"x":"\\ud83d","event":"start"}',
        b'{"x":"\xff\xfe","event":"start"}',
        b'{"x":"\x01\n","event":"start"}',
        b"\xef\xbb\xbf" + START,
        START.decode().encode("utf-16"),
        START.decode().encode("utf-16-be"),
        START.decode().encode("utf-32"),
        b'{"event":"end","event":"start"}',
        b'{"event":"start","event":"end"}',
        b'{"a":1}\n' + START,
        b'{"a":1}' + START,
        b"\x1e" + START + b"\n",
        b'[{"event":"x"}],' + START,
        b"event=start",
        b"x=1&event=st%61rt",
        gzip.compress(START, mtime=0),
        zstandard.ZstdCompressor().compress(START),
    ],
)
def test_conditions_are_judged_on_whatever_a_reader_could_make_of_it(data: bytes) -> None:
    assert "start" in values(reading(kept(data), ""), "event")


def test_a_body_is_read_whatever_its_type_is_said_to_be() -> None:
    lie = kept(b'{"event":"start","x":"a=b"}')
    for kind in ("application/x-www-form-urlencoded", "text/plain", "application/json"):
        assert values(reading(lie, kind), "event") == ["start"]
    odd = kept(b"{'event':'start','x':'a=b'}")
    assert reading(odd, "application/x-www-form-urlencoded") is UNREADABLE
    form = reading(kept(b"data=%7B%22event%22:%22start%22%7D"), "")
    assert values(form, "data.event") == ["start"]


def test_a_text_is_read_as_it_is_and_as_the_document_that_it_holds() -> None:
    inner = base64.b64encode(b"\xef\xbb\xbf" + START).decode()
    found = reading(kept(msgspec.json.encode({"a": [inner]})), "application/json")
    assert values(found, "a.0.event") == ["start"]
    assert inner in values(found, "a.0")
    form = reading(kept(b"data=" + inner.encode()), "application/x-www-form-urlencoded")
    assert values(form, "data.event") == ["start"]


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (b'{"event":"start"', ""),
        (b"{'event':'start'}", ""),
        (b")]}'," + START, ""),
        (b"hello", "application/json"),
        (b"hello", "application/x-ndjson; charset=x"),
        (b"a" * 9, "application/x-www-form-urlencoded"),
        (b"\x82\xa5event\xa5start", ""),
        (b"event=+AHM-tart", "application/x-www-form-urlencoded; charset=utf-7"),
        (b'{"event":"+AHM-tart"}', "application/json; Charset = 'UTF-7'"),
        (b'{"event":"+AHM-tart"}', "application/json; charset=utf-8; charset=utf-7"),
        (b"--b\r\n\r\nname=start\r\n--b--", "text/plain, multipart/form-data; boundary=b"),
        (b"{}" * 100_000, ""),
        (b"a=1&" * 60_000, "application/x-www-form-urlencoded"),
        (b"[" + b'"{}",' * 50_000 + b"1]", ""),
        (b"--b\r\n\r\nstart\r\n--b--", "Multipart/form-data; boundary=b"),
        (b"[" * 100_000, ""),
        (b'{"a":' + b"1" * 9_000 + b"}", ""),
        (gzip.compress(START, mtime=0)[:-12], ""),
    ],
)
def test_what_cannot_be_read_is_no_empty_body(data: bytes, content_type: str) -> None:
    body = kept(data, cap=BODY_CAP)
    assert reading(body, content_type) is UNREADABLE
    assert values(UNREADABLE, "event") == []


def test_what_is_cut_or_encoded_beyond_reading_cannot_be_read() -> None:
    assert reading(kept(START, size=999), "") is UNREADABLE
    assert reading(kept(START, "aes128gcm"), "") is UNREADABLE
    assert reading(kept(START, "gzip"), "") is UNREADABLE
    thrice = gzip.compress(gzip.compress(gzip.compress(START)))
    assert reading(kept(thrice, "gzip, gzip, gzip"), "") is UNREADABLE


@pytest.mark.parametrize("data", [b"", b" \r\n", b"hello", b'"text"', b"12", b"<a>1</a>", b"{}"])
def test_a_body_may_have_no_fields(data: bytes) -> None:
    assert values(reading(kept(data), "text/plain"), "event") == []
    assert reading(None, "") is None


@given(st.binary(max_size=200), st.sampled_from(["", "application/json", "text/plain"]))
def test_any_body_is_read_somehow(data: bytes, content_type: str) -> None:
    found = reading(kept(data), content_type)
    for path in ("a", "0", "*.a", "a.*"):
        assert all(isinstance(v, str) for v in values(found, path))


SCALARS = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=5)


FLAT = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.text(max_size=3), SCALARS)


@given(FLAT | st.lists(FLAT, max_size=3) | st.dictionaries(st.text(max_size=3), FLAT, max_size=5))
def test_ordinary_json_reads_as_ever(document: object) -> None:
    data = msgspec.json.encode(document)
    read = reading(kept(data), "application/json")
    if isinstance(document, dict):
        for key in document:
            if "." not in key:
                assert values(read, key)[:1] == values(document, key)[:1]


def test_each_value_of_a_key_that_stands_many_times_is_read() -> None:
    """In one pass: by comparing each key with all, this body would take half a minute."""
    pairs = b",".join(b'"k%d":1,"k%d":"last"' % (i, i) for i in range(12_000))
    found = reading(kept(b"{" + pairs + b"}", cap=1 << 20), "application/json")
    assert values(found, "k11999") == ['[1,"last"]', "1", "last"]


def test_a_field_of_a_form_is_a_value_and_a_list() -> None:
    found = reading(kept(b"a=x&b=1&b=2"), "application/x-www-form-urlencoded")
    assert values(found, "a") == ['["x"]', "x"] and values(found, "a.0") == ["x"]
    assert values(found, "b.*") == ["1", "2"] and opened_up(found) == {"a": "x", "b": ["1", "2"]}


def test_a_form_is_read_with_either_separator() -> None:
    for data in (b"x=1;event=start", b"x=1&event=start", b"event=end;event=start"):
        found = reading(kept(data), "application/x-www-form-urlencoded; charset=UTF-8")
        assert "start" in values(found, "event")


@pytest.mark.parametrize(
    "data", [b"1 " * 130_000, b"[" + b'"e30=AAAA",' * 22_000 + b"1]", b'{"event":1' * 20_000]
)
def test_no_body_keeps_others_waiting(data: bytes) -> None:
    started = time.process_time()
    reading(kept(data, cap=BODY_CAP), "application/x-www-form-urlencoded")
    assert time.process_time() - started < 0.5


def test_one_document_stands_for_itself_and_many_for_a_list() -> None:
    def seen(text: str) -> Any:
        return opened_up(read(Body(text=text, size=len(text)), "application/x-ndjson").value)

    assert seen('{"a":1}') == {"a": 1}
    assert seen('{"a":1}\n{"a":2}') == [{"a": 1}, {"a": 2}]
    assert seen("no json") is None
    assert read(None, "application/json").value is None


@pytest.mark.parametrize("content", [b'{"a":1}', b'[{"a":1}]', b'{"a":1}\n{"b":2}'])
@pytest.mark.parametrize(("beside", "sure"), [("name", True), ("behind", False)])
def test_what_is_beside_a_compressed_body_changes_no_value(
    content: bytes, beside: str, sure: bool
) -> None:
    """Bytes behind the end are read by some servers, and the name of a file by none."""
    plain = read(kept(content), "application/json")
    path = "*.a" if content[:1] == b"[" else "a"
    wire = with_asides("gzip", gzip.compress(content), (Aside(beside, b"x.json"),))
    for body in (kept(wire, "gzip"), kept(wire)):
        found = read(body, "application/json")
        assert opened_up(found.value) == opened_up(plain.value)
        assert values(found.value, path) == values(plain.value, path) == ["1"]
        assert found.sure is sure
        assert for_conditions(found) is (found.value if sure else UNREADABLE)
