import base64
import json
from collections.abc import Callable
from html import escape
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.contract import body as bodies
from app.contract import record as r
from app.contract.canary.views import views
from app.contract.masking.sweep import may_nest
from app.contract.masking.traces import chased
from app.contract.record import (
    BODY_CAP,
    VALUE_CAP,
    Body,
    CaptureRecord,
    Log,
    Message,
    Response,
    Tls,
)
from tests import surfaces
from tests.canary import find_secret
from tests.unit.app.contract.records import MASKER, PLAIN, SECRET, everything, exchange

# How the other side repeats it, next to the query that gives the value away.
ECHOES = {
    "raw": lambda s: s,
    "url": lambda s: quote(s, safe=""),
    "lower url": lambda s: quote(s, safe="").replace("%2F", "%2f"),
    "every character": lambda s: "".join(f"%{b:02x}" for b in s.encode()),
    "hex": lambda s: s.encode().hex(),
    "upper hex": lambda s: s.encode().hex().upper(),
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64url": lambda s: base64.urlsafe_b64encode(s.encode()).decode().rstrip("="),
    "base64 at 1": lambda s: base64.b64encode(b"x" + s.encode() + b"yz").decode(),
    "base64 at 2": lambda s: base64.b64encode(b"xy" + s.encode() + b"z").decode(),
    "base64 twice": lambda s: base64.b64encode(base64.b64encode(s.encode())).decode(),
    "base64 of json": lambda s: base64.b64encode(json.dumps({"seen": s}).encode()).decode(),
    "json": lambda s: json.dumps({"seen": s}),
    "php json": lambda s: json.dumps({"seen": s}).replace("/", "\\/"),
    "every character escaped": lambda s: (
        '{"seen":"' + "".join(f"\\u{ord(c):04x}" for c in s) + '"}'
    ),
    "json in json": lambda s: json.dumps({"seen": json.dumps({"deeper": s})}),
    "json in json, in a list": lambda s: json.dumps([json.dumps([s])]),
    "json in json, as a key": lambda s: json.dumps({json.dumps([s]): [1]}),
    "json key": lambda s: json.dumps({s: 1}),
    "html": lambda s: "<p>" + escape(s, quote=False),
    "html attribute": lambda s: f'<p a="{escape(s)}">',
    "html of Go": lambda s: f'<p a="{escape(s, quote=False).replace(chr(34), "&#34;")}">',
    "not utf-8": lambda s: s,
}


@pytest.mark.parametrize("secret", [SECRET, PLAIN])
@pytest.mark.parametrize("echo", ECHOES)
def test_what_the_other_side_repeats_is_removed(echo: str, secret: str) -> None:
    said = ECHOES[echo](secret)

    def record() -> CaptureRecord:
        opaque = base64.b64encode(b"\xff" + said.encode()).decode()
        body = Body(base64=opaque) if echo == "not utf-8" else Body(text=said)
        answer = Response(status=302, headers=[("Location", f"/x/{said}")], body=body)
        profile = "headers" if echo == "not utf-8" else "vendor"
        header = ("X-Guid", secret)
        query = [("echo", said), ("lic", secret)]
        if echo == "not utf-8":
            return exchange(profile=profile, headers=[header], response=answer)
        return exchange(query=query, response=answer)

    assert find_secret(everything(record()), secret)
    assert find_secret(everything(MASKER.record(record())), secret) == []


def asked(place: Callable[[CaptureRecord, str], None], said: str) -> bytes:
    """What is left of a record whose query gives the value away, and that says this elsewhere."""
    record = exchange(query=[("lic", SECRET)], response=Response(status=200))
    place(record, said)
    return everything(MASKER.record(record))


def in_request(name: str, value: Callable[[str], object]) -> Callable[[CaptureRecord, str], None]:
    return lambda record, said: setattr(record.request, name, value(said))


def in_response(name: str, value: Callable[[str], object]) -> Callable[[CaptureRecord, str], None]:
    return lambda record, said: setattr(record.response, name, value(said))


def in_record(name: str, value: Callable[[str], object]) -> Callable[[CaptureRecord, str], None]:
    return lambda record, said: setattr(record, name, value(said))


# Where a record says what, as it is cut there.
PLACES = {
    "path": in_request("path", lambda s: r.cut("/" + s, VALUE_CAP)),
    "query value": lambda record, s: record.request.query.extend(r.clip([("a", s)], 9)[0]),
    "query name": lambda record, s: record.request.query.extend(r.clip([(s, "a")], 9)[0]),
    "header": in_request("headers", lambda s: r.clip([("a", s)], 9)[0]),
    "host": in_request("host", r.short),
    "answer's header": in_response("headers", lambda s: r.clip([("a", s)], 9)[0]),
    "answer's reason": in_response("reason", r.short),
    "detail": in_record("detail", lambda s: r.cut(s, VALUE_CAP)),
    "version": in_record("product_version", r.short),
    "name in TLS": in_record("tls", lambda s: Tls(sni=r.short(s))),
    "line of the log": in_record("log", lambda s: Log(level="info", message=r.cut(s, VALUE_CAP))),
    "body": in_request("body", lambda s: Body(text=s[:VALUE_CAP], truncated=len(s) > VALUE_CAP)),
    "answer's body": in_response("body", lambda s: Body(text=s)),
    "message": in_record("message", lambda s: Message(of="x", sender="client", body=Body(text=s))),
}
SHORTS = {"host", "answer's reason", "version", "name in TLS"}
CUT = PLACES.keys() - {"answer's body", "message"}


@pytest.mark.parametrize("place", PLACES)
def test_a_value_is_removed_wherever_it_stands(place: str) -> None:
    assert find_secret(asked(PLACES[place], f"seen {SECRET}."), SECRET) == []
    assert b"seen ***." in asked(PLACES[place], f"seen {SECRET}.")


@pytest.mark.parametrize("place", sorted(CUT))
@pytest.mark.parametrize("written", [lambda s: s, lambda s: quote(s, safe="")])
def test_the_start_of_a_value_that_was_cut_is_removed(
    place: str, written: Callable[[str], str]
) -> None:
    """Of a licence at the limit of what is kept, the beginning stays readable else."""
    room = (512 if place in SHORTS else VALUE_CAP) - len("/ ") - 9
    left = asked(PLACES[place], "x" * room + " " + written(SECRET) * 2)
    assert b"x" * 400 in left
    assert written(SECRET)[:4].encode() not in left


@pytest.mark.parametrize("echo", [e for e in ECHOES if e != "base64 of json"])
def test_a_value_longer_than_what_is_kept_of_it_leaves_no_end(echo: str) -> None:
    """Under its name stands its beginning; elsewhere all of it may."""
    start = "".join(f"{i:06}" for i in range(2000))[: VALUE_CAP - len(SECRET)]
    end = "tail-of-the-licence-0123456789"
    said = ECHOES[echo](start + SECRET + end)
    query, _ = r.clip([("lic", start + SECRET + end)], 9)
    for body in (said, f"x {said} y"):
        masked = MASKER.record(
            exchange(query=query, response=Response(status=200, body=Body(text=body)))
        )
        left = everything(masked)
        assert find_secret(left, end) == [] and find_secret(left, SECRET) == []
    document = json.dumps({"a": [start + SECRET + end], "b": "kept"})
    masked = MASKER.record(
        exchange(query=query, response=Response(status=200, body=Body(text=document)))
    )
    assert masked.response is not None and masked.response.body is not None
    assert masked.response.body.text == '{"a": ["***"], "b": "kept"}'


def test_what_was_not_cut_keeps_its_end() -> None:
    said = "x" * 20 + SECRET[:9]
    for place in CUT - {"query name"}:
        assert said.encode() in asked(PLACES[place], said), place


@given(st.text(st.characters(codec="utf-8"), min_size=8, max_size=60))
def test_any_value_leaves_no_trace(secret: str) -> None:
    def masked(secret: str) -> bytes:
        body = Body(text=json.dumps({"seen": [secret, {secret: 1}]}))
        query = [("lic", secret), ("echo", f"a {secret} b")]
        return r.encode(
            MASKER.record(exchange(query=query, response=Response(status=200, body=body)))
        )

    # One of few characters stands in many texts by chance, a word such as `exchange` in any record.
    assume(len(set(secret)) > 4 and chased(secret) and not find_secret(masked(PLAIN), secret))
    assert find_secret(masked(secret), secret) == []


@pytest.mark.parametrize("echo", ECHOES)
def test_what_comes_often_is_removed_as_what_comes_once(echo: str) -> None:
    """Bodies and values that are remembered from one record to the next."""
    answer = Body(text=ECHOES[echo](SECRET))
    for _ in range(80):
        record = exchange(
            query=[("lic", SECRET), ("v", "1")],
            response=Response(status=200, body=Body(text=answer.text)),
        )
        assert find_secret(r.encode(MASKER.record(record)), SECRET) == []
        alone = exchange(response=Response(status=200, body=Body(text=answer.text)))
        MASKER.record(alone)  # in which nothing says that it is one


@pytest.mark.parametrize("begins", ["{", "[", "<", '"', "("])
def test_a_line_may_nest_by_how_it_begins(begins: str) -> None:
    assert may_nest(f"{begins}a\nb")
    assert may_nest(f"a\n{begins}b")
    assert not may_nest(f"a{begins}\nb{begins}")


@pytest.mark.parametrize("control", ["\x1f", "\0"])
def test_a_line_with_the_bytes_of_a_compressed_one_may_nest(control: str) -> None:
    assert may_nest(f"a{control}")


@pytest.mark.parametrize("name", [*surfaces.NAMES, "a method"])
def test_no_place_of_a_request_keeps_a_secret(name: str) -> None:
    value = surfaces.VALUE
    method = surfaces.Place("", {"method": value})
    one = surfaces.record(surfaces.places().get(name, method), exchange)
    assert one.request is not None
    one.request.query = [*one.request.query, ("lic", value)]
    masked = MASKER.record(one)
    assert value not in r.encode(masked).decode()
    assert masked.request is not None
    for body in filter(None, [masked.request.body]):
        opened = views(bodies.content(body), BODY_CAP)
        assert [chain for chain, view in opened if value.encode() in view] == []
