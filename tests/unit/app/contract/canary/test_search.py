import base64
import hashlib
import json
import re
from pathlib import Path

import pytest
from msgspec import structs

from app.contract import body as bodies
from app.contract.canary.search import FOUND, Search
from app.contract.canary.spec import Canary, Spec
from app.contract.masking.masker import Masker
from app.contract.record import CaptureRecord, Message, Request, Tls, decode, encode
from app.contract.rules import RuleSet
from tests import surfaces
from tests.ways import WAYS

HOST = "hk3v8x9q2m7w"
SPEC = Spec(
    (
        Canary("host name", (HOST, f"{HOST}.example.test"), core=HOST[:10]),
        Canary("user", ("uz7d4f2k9p3c",), core="uz7d4f2k9p"),
        Canary("user (real)", ("root",)),
        Canary("machine id (real)", ("0123456789abcdef0123456789abcdef",)),
    ),
    ("product",),
)


@pytest.fixture(scope="module")
def search() -> Search:
    return Search(SPEC, RuleSet)


def record(**request: object) -> CaptureRecord:
    return CaptureRecord(
        boot="0" * 32, seq=1, kind="exchange", time_ns=1,
        request=Request(**{"method": "POST", "host": "t.example"} | request),  # type: ignore[arg-type]
    )  # fmt: skip


def found(search: Search, one: CaptureRecord) -> list[tuple[str, str, str]]:
    search.record(one)
    assert one.canary is not None
    assert HOST[:10] not in encode(one)[encode(one).find(b'"canary"') :].decode()
    return one.canary.found


def whole_way(field: str, how: str) -> str:
    """The way with the decodings that the field's name has."""
    names = {"percent": "percent-encoding"}
    layers = [f"in {names.get(n, n)}" for n in re.findall("›([^.›]+)", field) if n != "json"]
    said = [how, *reversed(layers)]
    return ", ".join(said[1:] if said[1:] and how == "as it is" else said)


@pytest.mark.parametrize("way", WAYS)
def test_each_way_in_a_field_of_a_body(search: Search, way: str) -> None:
    write, said = WAYS[way]
    written = write(HOST)
    if isinstance(written, bytes):
        one = record(body=bodies.whole(written))
    else:
        one = record(body=bodies.whole(json.dumps({"a": {"id": written}, "n": 1}).encode()))
    got = found(search, one)
    assert {source for source, _, _ in got} == {"host name"}
    assert said in {whole_way(field, how) for _, field, how in got}, got
    if isinstance(written, str):
        assert got[0][1].startswith("body.a.id"), got


@pytest.mark.parametrize("way", [w for w in WAYS if isinstance(WAYS[w][0](HOST), str)])
def test_each_way_in_a_query_and_a_header(search: Search, way: str) -> None:
    write, said = WAYS[way]
    written = str(write(HOST))
    got = found(search, record(query=[("id", written)], headers=[("X-Id", written)]))
    assert {("host name", "query.id", said), ("host name", "header.x-id", said)} <= set(got)


def test_the_other_places(search: Search) -> None:
    one = record(path=f"/v1/{HOST}")
    one.tls = Tls(sni=f"{HOST}.t.example")
    assert [field for _, field, _ in found(search, one)] == ["TLS name", "path"]
    sent = Message(of="x", sender="client", body=bodies.whole(HOST.encode()))
    said = CaptureRecord(boot="0" * 32, seq=1, kind="ws_message", time_ns=1, message=sent)
    assert found(search, said) == [("host name", "message", "as it is")]
    sent.sender = "server"
    said.canary = None
    assert found(search, said) == []


def test_a_name_is_searched_and_never_told(search: Search) -> None:
    body = bodies.whole(json.dumps({"hosts": {HOST: {"up": HOST}}}).encode())
    got = found(search, record(body=body, query=[(HOST, "1")]))
    assert {field for _, field, _ in got} == {"query.*", "body.hosts.*", "body.hosts.*.up"}


def test_fields_whose_names_begin_alike_are_told_apart(search: Search) -> None:
    body = bodies.whole(json.dumps({"ab": HOST, "a": HOST, "abc": {"x": HOST}}).encode())
    fields = [field for _, field, _ in found(search, record(body=body))]
    assert fields == ["body.ab", "body.a", "body.abc.x"]


def test_short_real_values_are_found_by_their_digests_alone(search: Search) -> None:
    assert found(search, record(query=[("u", "root"), ("p", "/root")])) == []
    md5 = "63a9f0ea7bb98050796b649e85481845"
    assert found(search, record(query=[("u", md5)])) == [("user (real)", "query.u", "MD5")]


def test_a_pair(search: Search) -> None:
    digest = hashlib.sha1(f"uz7d4f2k9p3c@{HOST}".encode(), usedforsecurity=False).hexdigest()
    assert found(search, record(query=[("id", digest)])) == [
        ("user and host name", "query.id", "SHA-1")
    ]


def test_attributes_have_the_name_of_their_key(search: Search) -> None:
    sent = {"resource": {"attributes": [{"key": "host.name", "value": {"stringValue": HOST}}]}}
    got = found(search, record(body=bodies.whole(json.dumps(sent).encode())))
    assert got == [("host name", "body.resource.attributes.host.name", "as it is")]


def test_nothing_is_found_where_nothing_is(search: Search) -> None:
    text = "The quick brown fox 2026-11-29T23:00:00Z 1764458777 deadbeef cafebabe 12345678"
    assert found(search, record(body=bodies.whole(text.encode()), query=[("t", text)])) == []


def test_what_could_not_be_searched_is_said(search: Search) -> None:
    one = record(body=bodies.keep(b"x", size=9, sha256="", encoding="gzip", cap=100))
    one.request.left_out = 3  # type: ignore[union-attr]
    search.record(one)
    assert one.canary is not None and len(one.canary.skipped) == 2
    cut = record(body=bodies.whole(f"{'a' * 50} {HOST}".encode(), cap=20))
    search.record(cut)
    assert cut.canary is not None
    assert (cut.canary.found, cut.canary.skipped) == ([], ["body: only its beginning is kept"])


def test_the_bounds(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    many = record(query=[(f"q{n}", HOST) for n in range(FOUND + 5)])
    search.record(many)
    assert many.canary is not None and len(many.canary.found) == FOUND
    assert many.canary.skipped == ["5 findings more are not listed"]
    monkeypatch.setattr("app.contract.canary.search.SECONDS", -1)
    late = record(query=[("a", HOST)])
    search.record(late)
    assert late.canary is not None and late.canary.skipped == ["host: time is over"]


def test_a_search_that_fails_keeps_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Search(SPEC, RuleSet)
    monkeypatch.setattr(broken, "_hits", lambda *_: 1 / 0)
    one = record(query=[("a", HOST)])
    broken.record(one)
    assert one.canary is not None and one.canary.skipped == ["all of it: the search failed"]


def test_the_record_carries_it_and_masking_leaves_it(search: Search) -> None:
    one = record(query=[("token", base64.b64encode(HOST.encode()).decode())])
    search.record(one)
    again = decode(encode(Masker(RuleSet()).record(one)))
    assert again.canary == one.canary
    assert again.canary.found == [("host name", "query.token", "in base64")]  # type: ignore[union-attr]


def test_salts_and_ids_that_the_command_keeps(tmp_path: Path) -> None:
    home = Search(structs.replace(SPEC, places={str(tmp_path): "~"}), RuleSet)
    (tmp_path / "c.json").write_text('{"id": "d3482b37f8ef80dd9e02", "salt": "9fac69ddd001df27"}')
    digest = hashlib.sha256(f"9fac69ddd001df27{HOST}".encode()).hexdigest()
    got = found(home, record(query=[("a", "d3482b37f8ef80dd9e02"), ("p", digest)]))
    assert got == [
        ("id that it keeps in ~/c.json", "query.a", "as it is"),
        ("host name", "query.p", "SHA-256 with a salt that it keeps in ~/c.json"),
    ]


def test_a_name_that_is_a_secret_is_masked_in_the_name_of_the_field(search: Search) -> None:
    secret = "hunter2-of-somebody"
    body = bodies.whole(json.dumps({"password": secret, secret: {"h": HOST}}).encode())
    one = record(body=body, query=[("AKIAIOSFODNN7EXAMPLE", HOST)])
    search.record(one)
    line = encode(Masker(RuleSet()).record(one))
    assert secret.encode() not in line and b"AKIAIOSFODNN7EXAMPLE" not in line
    found = decode(line).canary.found  # type: ignore[union-attr]
    assert [source for source, _, _ in found] == ["host name", "host name"]


@pytest.mark.parametrize("name", surfaces.NAMES)
def test_every_place_of_a_request_is_searched_or_named(search: Search, name: str) -> None:
    place = surfaces.places(HOST)[name]
    one = surfaces.record(place, lambda route="", **sent: record(**sent))
    told = found(search, one)
    assert one.canary is not None
    if place.searched:
        assert {source for source, _, _ in told} == {"host name"}
    if place.opaque:
        assert one.canary.skipped


def test_a_method_is_searched(search: Search) -> None:
    one = record()
    assert one.request is not None
    one.request.method = HOST.upper()
    assert found(search, one) == [("host name", "method", "as it is")]
