"""The conformance table: what a client sends, and what everyone reads of it.

A row's request is sent to `/c/NUMBER`, where a rule takes it by the condition `field equals 4.10`;
`field` is also where its version stands. `name` is its full name in inventory, log and captures.
`SECRET` stands under `lic` in every row, but where `secret` says that there is none.
"""

import base64
import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus

import brotli
import zstandard
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from app.contract import rules as r
from tests.sidecar import HOST, LINE

VERSION = "4.10"
SECRET = "c0nf0rm4nceZq7x"
INNER: dict[str, Any] = {"event": "start", "app": {"v": VERSION, "e": "é?>~"}, "lic": SECRET}
TEXT = json.dumps(INNER, ensure_ascii=False)
DATA = TEXT.encode()


class Row(NamedTuple):
    what: str
    field: str  # place and path: body.app.v
    name: str
    body: bytes = b""
    content_type: str = ""
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    path: str = ""  # behind /c/NUMBER
    events: int = 1
    sure: bool = True  # a server can read no other fields
    secret: bool = True
    withheld: bool = False  # as a profile with sensitive names wants of what has no names


def b64(data: bytes) -> bytes:
    return base64.b64encode(data)


BASE64: dict[str, Callable[[bytes], bytes]] = {
    "base64": b64,
    "base64, URL-safe": base64.urlsafe_b64encode,
    "base64, unpadded": lambda data: b64(data).rstrip(b"="),
    "base64, folded": base64.encodebytes,
    "base64, a newline at its end": lambda data: b64(data) + b"\n",
    "base64, blanks for plus": lambda data: b64(data).replace(b"+", b" "),
}
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "deflate": zlib.compress,
    "zstd": zstandard.compress,
}
TRIED: dict[str, Callable[[bytes], bytes]] = {
    "br": brotli.compress,
    "deflate-raw": lambda data: zlib.compress(data, wbits=-15),
}
JSON, TEXT_PLAIN, NDJSON = "application/json", "text/plain", "application/x-ndjson"
FORM = "application/x-www-form-urlencoded"


def in_json(value: bytes, **more: Any) -> bytes:
    return json.dumps({"data": value.decode(), **more}, ensure_ascii=False).encode()


def in_form(value: bytes, **more: str) -> bytes:
    fields = {"data": value.decode(), **more}
    return "&".join(f"{n}={quote_plus(v)}" for n, v in fields.items()).encode()


def _json() -> Iterator[Row]:
    field, name = "body.app.v", "body.app.v"
    yield Row("JSON", field, name, DATA, JSON)
    yield Row("JSON without a type", field, name, DATA)
    yield Row("sendBeacon", field, name, DATA, "text/plain;charset=UTF-8")
    yield Row("JSON of a vendor's type", field, name, DATA, "application/vnd.acme+json")
    yield Row("JSON called a form", field, name, DATA, FORM)
    yield Row("a byte order mark", field, name, b"\xef\xbb\xbf" + DATA, JSON)
    yield Row("UTF-16", field, name, TEXT.encode("utf-16"), JSON)
    yield Row("UTF-16, big, no mark", field, name, TEXT.encode("utf-16-be"), JSON)
    yield Row("UTF-32", field, name, TEXT.encode("utf-32"), JSON)
    latin = TEXT.encode("latin-1")
    yield Row("Latin-1", field, name, latin, "application/json; charset=iso-8859-1")
    yield Row("Latin-1, unsaid", field, name, latin, JSON)
    for what, more in (
        ("NaN and infinity", ',"x":NaN,"y":-Infinity,"z":1e999}'),
        ("a lone surrogate", ',"x":"\\ud800"}'),
        ("a control character", ',"x":"a\tb"}'),
        ("trailing commas", ',"x":[1,2,],}'),
        ("a repeated key", ',"x":1,"x":2}'),
    ):
        yield Row(what, field, name, (TEXT[:-1] + more).encode(), JSON)
    number = TEXT.replace(f'"{VERSION}"', VERSION).encode()
    yield Row("a number", field, name, number, JSON)
    yield Row("NDJSON", field, name, DATA + b"\n" + DATA + b"\n", NDJSON, events=2)
    yield Row("NDJSON called JSON", field, name, DATA + b"\n{}\n", JSON, events=2)
    yield Row(
        "JSON with record separators", field, name, b"\x1e" + DATA + b"\n", "application/json-seq"
    )
    array = "body.*.app.v"
    yield Row("a list", array, "body[].app.v", b"[%b,%b]" % (DATA, DATA), JSON, events=2)
    within = "body.data.app.v"
    yield Row("JSON in a string", within, "body.data›json.app.v", in_json(DATA), JSON)
    yield Row("JSON in a string in a string", within, "body.data›json›json.app.v",
              in_json(json.dumps(TEXT).encode()), JSON)  # fmt: skip
    yield Row("percent-encoding in JSON", within, "body.data›percent›json.app.v",
              in_json(quote(json.dumps({"app": {"v": VERSION}}), safe="").encode()), JSON,
              secret=False)  # fmt: skip


def _base64() -> Iterator[Row]:
    field = "body.data.app.v"
    for what, encode in BASE64.items():
        coded = encode(DATA)
        name = "body.data›base64›json.app.v"
        yield Row(f"{what} in JSON", field, name, in_json(coded), JSON)
        yield Row(f"{what} in a form", field, name, in_form(coded, verbose="1"), FORM)
        yield Row(f"{what} as the body", "body.app.v", "body›base64›json.app.v", coded, TEXT_PLAIN)
        query = f"data={quote_plus(coded.decode())}"
        yield Row(f"{what} in a query", "query.data.app.v", "query.data›base64›json.app.v",
                  query=query)  # fmt: skip
        for packed, compress in PACKED.items():
            name = f"body.data›base64›{packed}›json.app.v"
            yield Row(
                f"{packed} in {what} in JSON", field, name, in_json(encode(compress(DATA))), JSON
            )
    coded = b64(DATA)
    yield Row(
        "a bare + in a form", field, "body.data›base64›json.app.v", b"a=1&data=" + coded, FORM
    )
    yield Row(
        "base64 in base64", field, "body.data›base64›base64›json.app.v", in_json(b64(coded)), JSON
    )
    yield Row("base64 in a form in JSON", field, "body.data›form.x›base64›json.app.v",
              in_json(b"y=1&x=" + quote_plus(coded.decode()).encode()), JSON)._replace(
        field="body.data.x.app.v"
    )  # fmt: skip
    yield Row(
        "hexadecimal in JSON", field, "body.data›hex›json.app.v", in_json(DATA.hex().encode()), JSON
    )


def _compressed() -> Iterator[Row]:
    field = "body.app.v"
    for name, compress in PACKED.items():
        full = f"body›{name}›json.app.v"
        yield Row(f"{name} without a header", field, full, compress(DATA), TEXT_PLAIN)
        yield Row(f"Content-Encoding {name}", field, field, compress(DATA), JSON,
                  headers=(("content-encoding", name),))  # fmt: skip
        yield Row(f"{name} in base64 as the body", field, f"body›base64›{name}›json.app.v",
                  b64(compress(DATA)), TEXT_PLAIN)  # fmt: skip
    yield Row("Content-Encoding br", field, field, brotli.compress(DATA), JSON,
              headers=(("content-encoding", "br"),))  # fmt: skip
    for name, compress in TRIED.items():
        inner = f"{name}›json.app.v"
        yield Row(f"{name} without a header", field, f"body›{inner}", compress(DATA), TEXT_PLAIN,
                  sure=False)  # fmt: skip
        yield Row(f"{name} in base64 in JSON", "body.data.app.v", f"body.data›base64›{inner}",
                  in_json(b64(compress(DATA))), JSON)  # fmt: skip
        yield Row(f"{name} in base64 in a query", "query.data.app.v",
                  f"query.data›base64›{inner}",
                  query=f"data={quote(b64(compress(DATA)))}")  # fmt: skip
    for name, data, full in (("JSON", DATA, "body.app.v"),
                             ("zstd", PACKED["zstd"](DATA), "body›zstd›json.app.v"),
                             ("brotli", brotli.compress(DATA), "body›br›json.app.v")):  # fmt: skip
        yield Row(f"{name} with Content-Encoding gzip", field, full, data, JSON,
                  headers=(("content-encoding", "gzip"),), sure=False)  # fmt: skip
    yield Row("gzip in gzip", field, "body›gzip›gzip›json.app.v",
              PACKED["gzip"](PACKED["gzip"](DATA)))  # fmt: skip


PART = 'Content-Disposition: form-data; name="%s"\r\n%s\r\n%s\r\n'


def multipart(*parts: tuple[str, str], head: str = PART) -> bytes:
    written = "".join(f"--b0und\r\n{head % (name, '', value)}" for name, value in parts)
    return (written + "--b0und--\r\n").encode()


def _carriers() -> Iterator[Row]:
    form = f"v={VERSION}&lic={SECRET}&x=a+b"
    yield Row("a form", "body.v", "body.v", form.encode(), FORM)
    yield Row("a form called text", "body.v", "body.v", form.encode(), TEXT_PLAIN)
    yield Row("JSON in a form", "body.data.app.v", "body.data›json.app.v", in_form(DATA), FORM)
    kind = "multipart/form-data; boundary=b0und"
    yield Row("multipart", "body.v", "body.v", multipart(("v", VERSION), ("lic", SECRET)), kind)
    yield Row("multipart with JSON", "body.data.app.v", "body.data›json.app.v",
              multipart(("data", TEXT)), kind)  # fmt: skip
    single = PART.replace('"', "'")
    odd = multipart(("v", VERSION), ("lic", SECRET), head=single)
    yield Row("multipart, single quotes", "body.v", "body.v", odd, kind, sure=False)
    xml = f'<r v="{VERSION}"><lic>{SECRET}</lic><app>{VERSION}</app></r>'
    yield Row("an XML element", "body.r.app", "body.r.app", xml.encode(), "application/xml")
    yield Row("an XML attribute", "body.r.@v", "body.r.@v", xml.encode(), "text/xml")
    rows = f"event,v,lic\r\nstart,{VERSION},{SECRET}\r\nstop,{VERSION},{SECRET}\r\n"
    yield Row("CSV", "body.*.v", "body[].v", rows.encode(), "text/csv", events=2)
    tabs = rows.replace(",", "\t").encode()
    yield Row("tabs", "body.0.v", "body[].v", tabs, "text/tab-separated-values", events=2)
    yield Row("CSV as Excel writes it", "body.0.v", "body[].v",
              f'\ufeff"event";"v";"lic"\r\n"st;art";"{VERSION}";"{SECRET}"\r\n'.encode(),
              "text/csv")  # fmt: skip
    yield Row("CSV in UTF-16", "body.0.v", "body[].v",
              rows.replace(",", "\t").encode("utf-16"), "text/csv", events=2,
              sure=False)  # fmt: skip
    yield Row("XML in UTF-16", "body.r.app", "body.r.app", xml.encode("utf-16"), "text/xml",
              sure=False)  # fmt: skip
    yield Row("JSONP behind comments", "body.app.v", "body.app.v",
              b"/* a */ // b\r\n/**/ cb(%b);" % DATA, "text/javascript", sure=False)  # fmt: skip
    yield Row("multipart without an end", "body.v", "body.v",
              multipart(("v", VERSION), ("lic", SECRET)).removesuffix(b"--b0und--\r\n"), kind,
              sure=False)  # fmt: skip
    yield Row("a form in Latin-1", "body.v", "body.v",
              f"v={VERSION}&lic={SECRET}&x=%FC&y=\xfc".encode("latin-1"),
              f"{FORM}; charset=iso-8859-1", sure=False)  # fmt: skip
    message = numbered(1, b"start") + numbered(2, VERSION.encode()) + numbered(3, b"linux")
    yield Row("protobuf in base64 in JSON", "body.data.2", "body.data›base64›protobuf.2",
              in_json(b64(message)), JSON, secret=False)  # fmt: skip
    yield Row("JSONP", "body.app.v", "body.app.v", b"cb(%b);" % DATA, "text/javascript", sure=False)
    yield Row("protobuf without a descriptor", "body.2.1", "body.2.1",
              numbered(1, b"start") + numbered(2, numbered(1, VERSION.encode())),
              "application/x-protobuf", sure=False, secret=False, withheld=True)  # fmt: skip


def numbered(number: int, value: bytes) -> bytes:
    return bytes([number << 3 | 2, len(value)]) + value


def _vendors() -> Iterator[Row]:
    event = {"event": "start", "properties": {"v": VERSION}, "lic": SECRET}
    batch = json.dumps({"batch": [event, event], "sentAt": "x"}).encode()
    field, name = "body.batch.0.properties.v", "body.batch[].properties.v"
    yield Row("Segment", field, name, batch, JSON, events=2)
    yield Row("PostHog", field, f"body›gzip›json{name[4:]}", PACKED["gzip"](batch), TEXT_PLAIN,
              query="compression=gzip-js&ver=1", events=2)  # fmt: skip
    yield Row("Amplitude", "body.events.*.app_version", "body.events[].app_version",
              json.dumps({"events": [{"event_type": "a", "app_version": VERSION, "lic": SECRET}]})
              .encode(), JSON)  # fmt: skip
    listed = b64(json.dumps([event, event]).encode())
    yield Row("Mixpanel", "body.data.0.properties.v", "body.data›base64›json[].properties.v",
              in_form(listed, verbose="1"), FORM, events=2)  # fmt: skip
    unstructured = b64(json.dumps({"data": {"v": VERSION, "lic": SECRET}}).encode()).decode()
    snowplow = {"schema": "iglu:x/payload_data/jsonschema/1-0-4",
                "data": [{"e": "ue", "ue_px": unstructured}, {"e": "pv", "p": "srv"}]}  # fmt: skip
    yield Row("Snowplow tp2", "body.data.*.ue_px.data.v", "body.data[].ue_px›base64›json.data.v",
              json.dumps(snowplow).encode(), JSON, events=2)  # fmt: skip
    yield Row("Snowplow by GET", "query.ue_px.data.v", "query.ue_px›base64›json.data.v",
              query=f"e=ue&ue_px={quote(unstructured)}")  # fmt: skip
    ga4 = {"client_id": "1", "events": [{"name": "login", "params": {"v": VERSION, "lic": SECRET}}]}
    yield Row("GA4", "body.events.0.params.v", "body.events[].params.v", json.dumps(ga4).encode(),
              JSON, query="measurement_id=G-1")  # fmt: skip
    lines = f"en=a&ep.v={VERSION}&lic={SECRET}\nen=b&ep.v={VERSION}&x=1".encode()
    yield Row("GA4, lines of Windows", "body.ep.v", "body.ep.v",
              f"en=a\r\nen=b&ep.v={VERSION}&lic={SECRET}\r\n".encode(), TEXT_PLAIN, events=2,
              query="v=2&tid=G-1")  # fmt: skip
    yield Row("GA4 of a browser", "body.ep.v", "body.ep.v", lines, TEXT_PLAIN, events=2)
    sentry = b'{"event_id":"1","dsn":"https://x@h/1"}\n{"type":"event"}\n' + DATA + b"\n"
    yield Row("Sentry", "body.event.app.v", "body.event.app.v", sentry,
              "application/x-sentry-envelope")  # fmt: skip
    lines = json.dumps(INNER, indent=1).replace("\n", "\r\n").encode()
    items = [b'{"dsn":"https://x@h/1"}', b'{"type":"event","length":%d}' % len(lines), lines,
             b'{"type":"session"}', b"{}", b""]  # fmt: skip
    yield Row("Sentry, lines of Windows", "body.event.app.v", "body.event.app.v",
              b"\r\n".join(items), "application/x-sentry-envelope", events=2)  # fmt: skip
    yield Row("Amplitude's form", "body.e.0.app_version", "body.e›json[].app_version",
              in_form(json.dumps([{"event_type": "a", "app_version": VERSION, "lic": SECRET}])
                      .encode()).replace(b"data=", b"api_key=1&e="), FORM)  # fmt: skip
    yield Row("Mixpanel in plain JSON", "body.data.0.properties.v", "body.data›json[].properties.v",
              in_form(json.dumps([event, event]).encode()), FORM, events=2)  # fmt: skip
    records = {"records": [{"data": b64(DATA).decode(), "partition-key": "1"}] * 3}
    yield Row("Kinesis", "body.records.*.data.app.v", "body.records[].data›base64›json.app.v",
              json.dumps(records).encode(), JSON, events=3)  # fmt: skip
    attributes = "resourceSpans.0.resource.attributes.service.version"
    otlp = {"resourceSpans": [{"resource": {"attributes": [
        {"key": "service.version", "value": {"stringValue": VERSION}},
        {"key": "lic", "value": {"stringValue": SECRET}},
    ]}, "scopeSpans": [{"spans": [{"name": "a"}, {"name": "b"}]}]}]}  # fmt: skip
    shown = "body.resourceSpans[].resource.attributes.service.version"
    yield Row(
        "OTLP in JSON", f"body.{attributes}", shown, json.dumps(otlp).encode(), JSON, events=2
    )
    yield Row("OTLP in protobuf", f"body.{attributes}", shown, traces(), "application/x-protobuf",
              events=2, secret=False)  # fmt: skip


def traces() -> bytes:
    request = ExportTraceServiceRequest()
    of = request.resource_spans.add()
    of.resource.attributes.add(key="service.version").value.string_value = VERSION
    spans = of.scope_spans.add().spans
    spans.add(name="a", trace_id=bytes(range(16)), span_id=bytes(range(8)))
    spans.add(name="b", trace_id=bytes(range(16)), span_id=bytes(range(8)))
    return request.SerializeToString()


def _heads() -> Iterator[Row]:
    lic = f"&lic={SECRET}"
    yield Row("a query", "query.v", "query.v", query=f"v={VERSION}{lic}")
    yield Row("JSON in a query", "query.data.app.v", "query.data›json.app.v",
              query=f"data={quote(TEXT)}")  # fmt: skip
    yield Row("gzip in a query", "query.data.app.v", "query.data›base64›gzip›json.app.v",
              query=f"data={quote(b64(PACKED['gzip'](DATA)))}")  # fmt: skip
    yield Row("a header", "header.x-version", "header.x-version", query=lic,
              headers=(("X-Version", VERSION),))  # fmt: skip
    yield Row("base64 in a header", "header.x-data.app.v", "header.x-data›base64›json.app.v",
              headers=(("X-Data", b64(DATA).decode()),))  # fmt: skip
    yield Row("a User-Agent", "header.user-agent.torch", "header.user-agent›pairs.torch", query=lic,
              headers=(("User-Agent", f"hf_hub/0.20; torch/{VERSION}"),))  # fmt: skip
    yield Row("a path", "path.version", "path.version", query=lic, path=f"/v1/{VERSION}/linux")


ROWS = [*_json(), *_base64(), *_compressed(), *_carriers(), *_vendors(), *_heads()]


def path_of(number: int) -> str:
    return f"/c/{number}{ROWS[number].path}"


def profile(action: str = "mock") -> r.Profile:
    """A rule a row, and one for what none of them takes."""
    rules: list[r.Rule] = []
    answer = r.Answer(headers=(("content-type", "text/plain"),), body=LINE)
    for number, row in enumerate(ROWS):
        place, _, path = row.field.partition(".")
        condition = (r.Value(path, "equals", VERSION),) if place == "body" else ()
        exact = r.Path("exact", path_of(number))
        route = f"/c/{number}" + ("/v1/{version}/linux" if row.path else "")
        rules.append(r.Rule(f"row-{number}", action, r.Match(paths=(exact,), body=condition),  # type: ignore[arg-type]
                            route, answer, "sidecar"))  # fmt: skip
    rules.append(r.Rule("none", action, r.Match(), "/", answer, "sidecar"))  # type: ignore[arg-type]
    places = dict.fromkeys(tuple(row.field.split(".", 1)) for row in ROWS)
    return r.Profile(
        "acme", "Acme", (r.Host(HOST),), tuple(rules),
        sensitive=(r.Sensitive("any", "lic", "mask"),),
        version_from=tuple(r.Extract(*place, regex="^4[.]10$") for place in places),  # type: ignore[arg-type]
    )  # fmt: skip


def bundle(action: str = "mock") -> r.Bundle:
    return r.Bundle(r.RuleSet((profile(action),), etag="conformance"))


def written() -> dict[str, Any]:
    """The same profile as a file says it."""

    def rule(one: r.Rule) -> dict[str, Any]:
        match: dict[str, Any] = {"path": [{p.kind: p.value} for p in one.match.paths]}
        if one.match.body:
            match["body"] = {v.name: v.value for v in one.match.body}
        answer = {"body": LINE.decode(), "headers": {"content-type": "text/plain"}}
        return {"id": one.id, "match": match if one.match.paths else {}, "action": one.action,
                "route": one.route, "answer": answer}  # fmt: skip

    of = profile()
    return {
        "id": of.id, "title": of.title, "licence": {"class": "none", "note": "made up"},
        "evidence": [{"claim": "made up", "source": "here", "verified": "2026-11"}],
        "hosts": [h.name for h in of.hosts],
        "version_from": [{"field": f"{e.where}.{e.name}", "regex": e.regex}
                         for e in of.version_from],
        "sensitive": [{"field": f"{s.where}.{s.name}", "as": s.how} for s in of.sensitive],
        "rules": [rule(one) for one in of.rules],
    }  # fmt: skip
