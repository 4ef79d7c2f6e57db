"""What is observed of a request: names, types and shapes, never values, and only so many."""

import base64
import gzip
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.body import whole
from app.contract.masking.fields import MASK
from app.contract.record import Body, encode
from app.ingest.digest import digest
from app.store import inventory
from app.store.inventory import SHAPES, TYPES, Field, classify, observe, route_of
from app.store.values import values_of
from tests import surfaces
from tests.records import exchange, log, spliced
from tests.unit.app.contract.records import exchange as sent


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", ("empty", "")),
        ("12", ("integer", "")),
        ("-12", ("integer", "")),
        ("1.5", ("number", "")),
        ("1e9", ("number", "")),
        ("1700000000", ("integer", "timestamp")),
        ("1700000000123", ("integer", "timestamp")),
        ("9" * 40, ("integer", "")),
        ("true", ("boolean", "")),
        ("null", ("null", "")),
        ("4.16.1-20904e45", ("string", "version")),
        ("v1.2.3", ("string", "version")),
        ("10.1.2.3", ("string", "ip")),
        ("fe80::1", ("string", "ip")),
        ("6f9619ff-8b86-d011-b42d-00cf4fc964ff", ("string", "guid")),
        ("2026-11-24T10:00:00.5Z", ("string", "timestamp")),
        ("someone@example.com", ("string", "email")),
        ("https://example.com/x?y", ("string", "url")),
        ("0123456789abcdef0123", ("string", "hex")),
        ("aGVsbG8gd29ybGQsIGhlbGxvIQ==", ("string", "base64")),
        ("tok_0123456789abcdef01234567", ("string", "token")),
        (MASK, ("string", "masked")),
        ("ubuntu-24.04", ("string", "")),
        ("a free licence", ("string", "")),
        ("x" * 100_000, ("string", "")),
        ("²", ("string", "")),
    ],
)
def test_classify(value: str, expected: tuple[str, str]) -> None:
    assert classify(value) == expected


@given(st.text(max_size=200))
def test_classify_any_text(value: str) -> None:
    type, shape = classify(value)
    assert type in TYPES and shape in SHAPES


@given(st.text("0123456789٣²-+.e", max_size=12) | st.text(max_size=140))
def test_value_has_its_own_kind_wherever_it_stands(value: str) -> None:
    body = body_of([value, {"in": value}])
    for _ in range(2):  # the second time from memory
        seen = observe(exchange(1, query=[("q", value)], headers=[("H", value)], body=body))
        assert seen is not None
        kinds = {(f.path, f.type, f.shape) for f in seen.fields}
        assert {("query.q", *classify(value)), ("header.h", *classify(value))} < kinds
        shape = classify(value)[1] if classify(value)[0] == "string" else None
        assert any(path == "body[].in" and type == ("string" if value else "empty")
                   and shape in (None, found) for path, type, found in kinds)  # fmt: skip


@given(st.integers() | st.integers(10**9 - 2, 10**9 + 2))
def test_number_in_json_has_its_own_kind(value: int) -> None:
    seen = observe(exchange(1, query=[], headers=[], body=body_of({"n": value})))
    assert seen is not None
    assert Field("body.n", *classify(str(value))) in seen.fields


def body_of(document: object) -> Body:
    text = msgspec.json.encode(document).decode()
    return Body(text=text, size=len(text))


def test_query_headers_and_json() -> None:
    record = exchange(
        1,
        method="POST",
        query=[("v", "4.16.1"), ("fc.giv", "3"), ("fc.giv", "4"), ("on", "true")],
        headers=[("Content-Type", "application/json"), ("X-Empty", "")],
        body=body_of({"events": [{"name": "a", "n": 1}, {"name": None}], "at": 1.5, "ok": True}),
    )
    seen = observe(record)
    assert seen is not None and seen.others == 0
    assert seen.fields == {
        Field("query.v", "string", "version"),
        Field("query.fc.giv", "integer", ""),
        Field("query.on", "boolean", ""),
        Field("header.content-type", "string", ""),
        Field("header.x-empty", "empty", ""),
        Field("body", "object", ""),
        Field("body.events", "array", ""),
        Field("body.events[]", "object", ""),
        Field("body.events[].name", "string", ""),
        Field("body.events[].name", "null", ""),
        Field("body.events[].n", "integer", ""),
        Field("body.at", "number", ""),
        Field("body.ok", "boolean", ""),
    }


def test_a_form_is_read_where_it_is_one_or_the_rule_says_so() -> None:
    body = Body(text="a=1&b=x", size=7)
    for decoders in ((), ("form",)):
        opened = observe(exchange(1, body=body, query=[], headers=[]), decoders)
        assert opened is not None
        assert {field.path for field in opened.fields} == {"body", "body.a", "body.b"}
    body = Body(text="a=1", size=3)
    plain = observe(exchange(1, body=body, query=[], headers=[]))
    assert plain is not None and plain.fields == {Field("body", "string", "")}
    opened = observe(exchange(1, body=body, query=[], headers=[]), ("form",))
    assert opened is not None and Field("body.a", "string", "") in opened.fields


def test_nothing_to_learn_from() -> None:
    for record in (spliced(1), log(1, "x"), exchange(1, action="pass")):
        assert observe(record) is None
    assert observe(exchange(1, kind="refused", action="block")) is not None


def test_limits() -> None:
    keys = body_of({f"k{n}": 1 for n in range(3_000)})
    headers = [("content-type", "application/json")]
    many = observe(exchange(1, query=[], headers=headers, body=keys))
    assert many is not None
    assert (len(many.fields), many.others) == (inventory.FIELDS + 1, 3_001 - inventory.FIELDS)
    long = observe(exchange(1, query=[("k" * 500, "1")], headers=[]))
    assert long == (set(), 1)
    deep: object = 1
    for _ in range(200):
        deep = {"d": deep}
    seen = observe(exchange(1, query=[], headers=headers, body=body_of(deep)))
    assert seen is not None
    assert max(f.path.count(".d") for f in seen.fields) == inventory.DEPTH and seen.others == 1
    wide = observe(exchange(1, query=[], headers=headers, body=body_of([[1, 2]] * 30_000)))
    assert wide is not None and wide.others > 10_000
    assert {f.path for f in wide.fields} == {"header.content-type", "body", "body[]", "body[][]"}


@pytest.mark.parametrize("route", ["", "/*"])
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/dl/4.17/file.tgz", "/dl/{version}/file.tgz"),
        ("/dl", "/dl"),
        ("/", "/"),
        ("/o/7", "/o/{id}"),
    ],
)
def test_route_without_a_narrow_rule_is_the_path_as_a_template(
    path: str, expected: str, route: str
) -> None:
    assert route_of(exchange(1, route=route, path=path)) == expected
    assert route_of(exchange(1, path=path)) == "/telemetry/index.html"
    outlined = exchange(1, route="/dl/*", path="/dl/*", rule="", action="pass")
    assert route_of(outlined) == "/dl/*"
    assert route_of(spliced(1)) == ""


@pytest.mark.parametrize(
    ("data", "headers", "field"),
    [
        (gzip.compress(b"x" * 99, mtime=0)[:-9], [], Field("body", "opaque", "gzip, damaged")),
        (b"\x89PNG\r\n\x1a\n\0", [], Field("body", "opaque", "image")),
        (b'{"a":', [("content-type", "a/json")], Field("body", "opaque", "json, damaged")),
        (b"\0\xff\x01", [], Field("body", "opaque", "")),
        (b'{"a":"%s"}' % base64.b64encode(gzip.compress(b"x" * 99, mtime=0)[:-9]), [],
         Field("body.a›base64", "opaque", "gzip, damaged")),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(
    data: bytes, headers: list[tuple[str, str]], field: Field
) -> None:
    record = exchange(1, query=[], headers=headers, body=whole(data))
    seen = observe(record)
    assert seen is not None and field in seen.fields
    logged = digest(encode(record), lambda profile, rule: ()).log_line
    assert (
        f"{field.type} {field.shape}".rstrip() in json.loads(logged)["request_fields"][field.path]
    )


def test_what_is_cut_or_withheld_is_named() -> None:
    for body, shape in (
        (Body(text='{"a":', size=999, truncated=True), "json, cut"),
        (Body(size=9, withheld="encoding"), "withheld"),
    ):
        seen = observe(exchange(1, query=[], headers=[("content-type", "a/json")], body=body))
        assert seen is not None and Field("body", "opaque", shape) in seen.fields


def test_names_have_the_decodings_that_led_there() -> None:
    inner = base64.b64encode(b'{"properties":{"$lib":"web"}}').decode()
    record = exchange(
        1, path="/v1/4.10/linux", route="/v1/{version}/{platform}", query=[("data", inner)],
        headers=[("User-Agent", "hf_hub/0.20; torch/2.1")],
        body=body_of({"data": inner, "a": [inner]}),
    )  # fmt: skip
    seen = observe(record)
    assert seen is not None
    assert {
        Field("query.data", "string", "base64"),
        Field("query.data›base64›json.properties.$lib", "string", ""),
        Field("header.user-agent›pairs.torch", "string", "version"),
        Field("path.version", "number", ""),
        Field("path.platform", "string", "platform"),
        Field("body.data", "string", "base64"),
        Field("body.data›base64›json", "object", ""),
        Field("body.data›base64›json.properties.$lib", "string", ""),
        Field("body.a[]›base64›json.properties.$lib", "string", ""),
    } <= seen.fields


def test_attributes_of_opentelemetry_are_names() -> None:
    listed = [
        {"key": "service.version", "value": {"stringValue": "4.10"}},
        {"key": "n", "value": "***"},
    ]
    seen = observe(exchange(1, query=[], headers=[], body=body_of({"attributes": listed})))
    assert seen is not None
    assert {f.path for f in seen.fields} == {
        "body", "body.attributes", "body.attributes.service.version", "body.attributes.n",
    }  # fmt: skip


@pytest.mark.parametrize("name", surfaces.NAMES)
def test_every_place_of_a_request_has_a_field(name: str) -> None:
    place = surfaces.places()[name]
    record = surfaces.record(place, sent)
    seen = observe(record)
    assert seen is not None and seen.others == 0
    path = place.field.replace("{}", surfaces.VALUE)
    kinds = {field.type for field in seen.fields if field.path == path}
    if place.opaque:
        assert "opaque" in kinds, seen.fields
    else:
        assert kinds - {"opaque"}, seen.fields
        held = [value for field, value in values_of(record) if field == path]
        is_told = "{}" in place.field or name == "Basic, its user"
        assert is_told or any(surfaces.VALUE in value for value in held)
