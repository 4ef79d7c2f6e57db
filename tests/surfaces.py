"""Every place of a request in which a client can carry data, and the field that tells of it.

Each place is a function of the value to a request as a client sends it. Where nothing here decodes
what is there, the field's type is `opaque`: so the report says that it was not read. Used by the
tests of the inventory, the search for known values, and the masking. What never reaches a record
(framing of HTTP/2, TLS) is listed in docs/concepts/decoding.md.
"""

import base64
import gzip
import json
import struct
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import brotli
import zstandard

from app.contract import body as bodies
from app.contract.record import CaptureRecord, Pair, Request, Tls, joined

VALUE = "zebra7431quokka"
HOST = "vendor.example"
_JSON = b'{"a":1}'


class Place(NamedTuple):
    """`field` tells of the value: it is the path of it, or of what is opaque; `{}` stands for the
    value itself. `method` and `path` are the endpoint, by which a contract judges, too."""

    field: str
    sent: dict[str, Any]
    opaque: bool = False
    searched: bool = True  # the value stands there in bytes that can be searched


def _with(kind: str, body: bytes, encoding: str = "") -> dict[str, Any]:
    headers = [("content-type", kind), ("content-encoding", encoding)]
    return {"method": "POST", "body": body, "headers": [pair for pair in headers if pair[1]]}


def _member(flag: int, beside: bytes) -> bytes:
    """A gzip member whose head has this beside."""
    raw = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    end = struct.pack("<II", zlib.crc32(_JSON), len(_JSON))
    head = b"\x1f\x8b\x08" + bytes((flag,)) + bytes(6) + beside
    return head + raw.compress(_JSON) + raw.flush() + end


def _skipped(data: bytes) -> bytes:
    return struct.pack("<II", 0x184D2A5E, len(data)) + data


def _part(
    head: bytes = b'Content-Disposition: form-data; name="x"', content: bytes = b"1",
    before: bytes = b"", behind: bytes = b"",
) -> dict[str, Any]:  # fmt: skip
    body = before + b"--b\r\n" + head + b"\r\n\r\n" + content + b"\r\n--b--" + behind
    return _with("multipart/form-data; boundary=b", body)


def _field(number: int, data: bytes) -> bytes:
    """Of protobuf, with bytes."""
    return bytes((number << 3 | 2, len(data))) + data


def _otlp(*fields: bytes) -> dict[str, Any]:
    span = _field(5, b"span") + b"".join(fields)
    return _with("application/x-protobuf", _field(1, _field(2, _field(2, span))))


def _compressed(value: bytes) -> dict[str, Place]:
    found = {}
    behind = b"user=" + value
    for name, data in {
        "gzip": gzip.compress(_JSON), "deflate": zlib.compress(_JSON),
        "zstd": zstandard.compress(_JSON),
    }.items():  # fmt: skip
        there = f"body›{name}›json›behind"
        found[f"{name}, behind"] = Place(there, _with("application/json", data + behind, name))
        found[f"{name} without a header, behind"] = Place(there, _with("", data + behind))
        coded = base64.b64encode(data + behind).decode()
        inner = _with("application/json", json.dumps({"d": coded}).encode())
        found[f"{name} in base64, behind"] = Place(f"body.d›base64›{name}›json›behind", inner)
    raw = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    opaque = {"br": brotli.compress(_JSON), "deflate": raw.compress(_JSON) + raw.flush()}
    for name, data in opaque.items():
        sent = _with("application/json", data + behind, name)
        found[f"{name} without a head, behind"] = Place("body", sent, True, searched=False)
    beside = {
        "name": (8, value + b"\0"), "comment": (16, value + b"\0"),
        "extra": (4, struct.pack("<H", len(value)) + value),
    }  # fmt: skip
    for name, (flag, data) in beside.items():
        for more, member in (("", b""), (" of a second member", gzip.compress(b" "))):
            sent = _with("application/json", member + _member(flag, data), "gzip")
            found[f"gzip's {name}{more}"] = Place(f"body›gzip›json›{name}", sent)
    frame = zstandard.compress(_JSON)
    for name, data in (("before", _skipped(value) + frame), ("behind", frame + _skipped(value))):
        sent = _with("application/json", data, "zstd")
        found[f"a skippable frame {name}"] = Place("body›zstd›json›skipped", sent)
    mixed = gzip.compress(_JSON) + zlib.compress(value)
    sent = _with("application/json", mixed, "gzip")
    found["deflate behind gzip"] = Place("body›gzip›json›behind›deflate", sent)
    return found


def _multipart(value: bytes) -> dict[str, Place]:
    named = b'Content-Disposition: form-data; name="x"'
    inner = b'--i\r\nContent-Disposition: file; filename="%s"; name=y\r\n\r\n1\r\n--i--' % value
    hidden = b'Content-Disposition: form-data; filename="; name=x"; name=%s' % value
    return {
        "a part's head": Place("body.x.@x-user", _part(named + b"\r\nX-User: " + value)),
        "a line of a head": Place("body.x.@", _part(named + b"\r\n" + value)),
        "a folded head": Place("body.x.@x-user", _part(named + b"\r\nX-User: a\r\n " + value)),
        "a file's name": Place("body.x.@filename", _part(named + b'; filename="%s"' % value)),
        "a file's long name": Place(
            "body.x.@filename", _part(named + b"; filename*=UTF-8''" + value)
        ),
        "a parameter": Place("body.x.@user", _part(named + b"; user=" + value)),
        "a second name": Place("body.x.@name", _part(hidden)),
        "a disposition": Place(
            "body.x.@content-disposition", _part(b"Content-Disposition: %s; name=x" % value)
        ),
        "a part's type": Place(
            "body.x.@content-type", _part(named + b"\r\nContent-Type: text/plain; u=" + value)
        ),
        "preamble": Place("body.@preamble", _part(before=value + b"\r\n")),
        "epilogue": Place("body.@epilogue", _part(behind=b"\r\n" + value)),
        "a last delimiter": Place("body.@epilogue", _part(behind=b" " + value)),
        "a part's name": Place(
            "body.{}", _part(b'Content-Disposition: form-data; name="%s"' % value)
        ),
        "a part without an end of its head": Place(
            "body.", _with("multipart/form-data; boundary=b", b"--b\r\nX: %s\r\n--b--" % value)
        ),
        "a file in a part": Place("body.x.y.@filename", _part(content=inner)),
        "a boundary": Place(
            "header.content-type",
            _with(
                f"multipart/form-data; boundary={value.decode()}",
                b"--%s\r\nA: b\r\n\r\n1\r\n--%s--" % (value, value),
            ),
        ),
    }


def _written(
    kind: str, content_type: str, rows: dict[str, tuple[str, bytes]], value: bytes
) -> dict[str, Place]:
    return {
        f"{kind}, {name}": Place(field, _with(content_type, data.replace(b"%s", value)))
        for name, (field, data) in rows.items()
    }


def _documents(value: bytes) -> dict[str, Place]:
    json = {
        "repeated key": ("body.a", b'{"a":1,"a":"%s"}'),
        "second document": ("body", b'{"a":1}"%s"'),
        "mark ahead": ("body.a", b'\xef\xbb\xbf{"a":"%s"}'),
        "name": ("body.{}", b'{"%s":1}'),
    }
    found = _written("JSON", "application/json", json, value)
    for name, data in {
        "behind": b'{"a":1} user=%s',
        "comment": b'{"a":1/*%s*/}',
        "line ahead": b'//%s\n{"a":1}',
        "a line of several": b'{"a":1}\n%s\n{"a":1}',
    }.items():
        sent = _with("application/json", data.replace(b"%s", value))
        found[f"JSON, {name}"] = Place("body", sent, opaque=True)
    xml = {
        "attribute": ("body.a.@b", b'<a b="%s">1</a>'),
        "attribute without a value": ("body.a.@", b"<a %s>1</a>"),
        "attribute without quotes": ("body.a.@", b"<a b=%s>1</a>"),
        "comment": ("body.a.#comment", b"<a>1<!-- %s --></a>"),
        "CDATA": ("body.a", b"<a><![CDATA[%s]]></a>"),
        "processing instruction": ("body.a.#comment", b"<a>1<?x %s?></a>"),
        "declaration": ("body.#comment", b"<?xml version='1.0' %s?><a>1</a>"),
        "document type": ("body.#comment", b"<!DOCTYPE a SYSTEM '%s'><a>1</a>"),
        "namespace": ("body.a.@xmlns:x", b"<a xmlns:x='%s'>1</a>"),
        "element": ("body.a.{}", b"<a><%s>1</%s></a>"),
        "end of another element": ("body.a.#end", b"<a>1</%s></a>"),
        "behind": ("body.", b"<a>1</a>%s"),
        "unknown entity": ("body.a", b"<a>&%s;</a>"),
        "declared entity": ("body", b"<!DOCTYPE a [<!ENTITY x '%s'>]><a>&x;</a>"),
    }
    found |= _written("XML", "application/xml", xml, value)
    one = b"\x08\x01"
    for name, (field, data) in {
        "unknown field": ("body.9", one + _field(9, value)),
        "repeated number": ("body.1", one + _field(1, value)),
    }.items():
        found[f"protobuf, {name}"] = Place(field, _with("application/x-protobuf", data))
    for name, data in {
        "group": one + b"\x1b" + _field(9, value) + b"\x1c",
        "behind": one + b"\xff\xff" + value,
    }.items():
        sent = _with("application/x-protobuf", data)
        found[f"protobuf, {name}"] = Place("body", sent, opaque=True)
    packed = _with("application/x-protobuf", _field(4, b"\x01\x02\x03"))
    found["protobuf, packed"] = Place("body.4", packed, opaque=True, searched=False)
    return found


def _bodies(value: bytes) -> dict[str, Place]:
    span = "body.resourceSpans[].scopeSpans[].spans[]"
    form, size = "application/x-www-form-urlencoded", struct.pack(">I", len(value))
    whole = b"\0\0\0\0\x06\x0a\x04span"
    squeezed = gzip.compress(_field(1, value), mtime=0)
    envelope = b'{"event_id":"a"}\n{"type":"event","x":"%s"}\n{"a":1}\n' % value
    return {
        "OTLP, newer than known": Place(f"{span}.30", _otlp(b"\xf2\x01", size[3:], value)),
        "OTLP, a trace's state": Place(
            f"{span}.links[].traceState", _otlp(_field(13, _field(3, value)))
        ),
        "gRPC, trailers in the body": Place(
            "body", _with("application/grpc-web+proto", whole + b"\x80" + size + value), True
        ),
        "gRPC, compressed": Place(
            "body",
            _with("application/grpc", b"\1" + struct.pack(">I", len(squeezed)) + squeezed),
            True,
            searched=False,
        ),
        "form, repeated": Place("body.a", _with(form, b"a=1&a=" + value)),
        "form, no name": Place("body.", _with(form, b"a=1&=" + value)),
        "form, a name": Place("body.{}", _with(form, b"a=1&" + value)),
        "form in a charset": Place("body.b", _with(f"{form}; charset=latin-1", b"a=1&b=" + value)),
        "CSV, a cell": Place("body[].b", _with("text/csv", b"a,b\n1,%s\n2,3\n" % value)),
        "CSV, a cell too many": Place("body", _with("text/csv", b"a,b\n1,2,%s\n" % value)),
        "CSV, a comment": Place("body", _with("text/csv", b"#%s\na,b\n1,2\n" % value)),
        "JSONP, the call": Place(
            "body›call", _with("application/javascript", b'%s({"a":1});' % value)
        ),
        "JSONP, behind": Place("body", _with("application/javascript", b'cb({"a":1});//' + value)),
        "Sentry, a header": Place(
            "body.event header.x", _with("application/x-sentry-envelope", envelope)
        ),
        "server-sent events, a comment": Place(
            "body", _with("text/event-stream", b'data: {"a":1}\n: %s\n\n' % value)
        ),
        "pairs": Place("body.j", _with("", b"<14>k=v;j=" + value)),
        "msgpack, an extension": Place(
            "body",
            _with("application/msgpack", b"\x81\xa1a\xc7" + size[3:] + b"\x05" + value),
            True,
        ),
        "CBOR, a tag": Place("body", _with("application/cbor", b"\xa1\x61a\xd8\x20\x6f" + value)),
        "a body of GET": Place(
            "body.u", _with("application/json", b'{"u":"%s"}' % value) | {"method": "GET"}
        ),
        "a body of HEAD": Place(
            "body.u", _with("application/json", b'{"u":"%s"}' % value) | {"method": "HEAD"}
        ),
    }


def _head(value: str) -> dict[str, Place]:
    coded = base64.b64encode(b'{"u":"%s","v":"xxxxxxxxx"}' % value.encode()).decode()
    basic = base64.b64encode(f"{value}:p".encode()).decode()

    def header(name: str, written: str) -> Place:
        return Place(f"header.{name}", {"headers": [("x", "1"), (name, written)]})

    def query(field: str, *pairs: Pair) -> Place:
        return Place(field, {"query": list(pairs)})

    return {
        "query, a name": query("query.{}", (value, "")),
        "query, repeated": query("query.a", ("a", "1"), ("a", value)),
        "query, no name": query("query.", ("", value)),
        "query, JSON in base64": query("query.d›base64›json.u", ("d", coded)),
        "a header's name": header("{}", "1")._replace(sent={"headers": [(value, "1")]}),
        "header, repeated": header("x", value),
        "cookie": header("cookie", f"a=1; b={value}"),
        "Basic, its user": header("authorization", f"Basic {basic}"),
        "User-Agent, a comment": header("user-agent", f"curl/8 ({value})"),
        "User-Agent, a pair": Place(
            "header.user-agent›pairs.torch", {"headers": [("user-agent", f"a/1; torch/{value}")]}
        ),
        "Referer": header("referer", f"http://x/?u={value}"),
        "Range": header("range", f"{value}=0-1"),
        "If-None-Match": header("if-none-match", f'"{value}"'),
        "Sec-WebSocket-Protocol": header("sec-websocket-protocol", f"chat, {value}"),
        "path, a parameter": Place("path.;u", {"path": f"/v1;u={value}"}),
        "path, a parameter's name": Place("path.;{}", {"path": f"/v1;{value}"}),
        "path, a segment": Place("path.id", {"path": f"/v1/{value}", "route": "/v1/{id}"}),
        "path, a fragment": Place(
            "path.(another reading)", {"path": f"/v1#{value}", "judged_by": "path"}
        ),
        "path, userinfo": Place(
            "path.(another reading)", {"path": f"http://{value}@{HOST}/v1", "judged_by": "path"}
        ),
        "TLS, another name": Place("header.(TLS name)", {"sni": f"{value}.{HOST}"}),
        "trailers": Place("header.(trailers)", {"reason": "trailers"}, True, searched=False),
        "extensions of chunks": Place(
            "body.(chunk extensions)", {"chunk_extensions": True}, True, searched=False
        ),
    }


def places(value: str = VALUE) -> dict[str, Place]:
    raw = value.encode()
    return {
        **_compressed(raw), **_multipart(raw), **_documents(raw), **_bodies(raw), **_head(value)
    }  # fmt: skip


NAMES = tuple(places())


def record(place: Place, make: Callable[..., CaptureRecord]) -> CaptureRecord:
    """As the sidecar makes it. `make` takes the parts of a request, and `route`."""
    sent = dict(place.sent)
    of_record = {name: sent.pop(name) for name in ("judged_by", "reason") if name in sent}
    sni, body = sent.pop("sni", HOST), sent.pop("body", None)
    if body is not None:
        encoding = joined(sent.get("headers", ()), "content-encoding")
        sent["body"] = bodies.whole(body, encoding)
    made = make(**{"host": HOST} | sent)
    made.tls = Tls(sni=sni)
    for name, said in of_record.items():
        setattr(made, name, said)
    assert isinstance(made.request, Request)
    return made
