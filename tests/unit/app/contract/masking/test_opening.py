"""app/contract/masking/opening.py: what values carry is masked, in every format and encoding."""

import base64
import gzip
import json
import os
import re
import time
from collections.abc import Iterator
from itertools import islice

import pytest
import zstandard

from app.contract import record as r
from app.contract.record import CaptureRecord
from tests import layered
from tests.layered import DEEP, Layers, Sent, layers, opened, posted, texts
from tests.unit.app.contract.records import ORACLE, received

PLACES = [*layered.PLACES, *layered.BODIES]


def found(record: CaptureRecord, value: str) -> bool:
    data = value.encode()
    return any(data in each for text in texts(r.encode(record)) for each in opened(text))


def shown(record: CaptureRecord) -> str:
    """The request as it is kept; padding of base64 depends on what is padded."""
    asked = record.request
    assert asked is not None
    body = asked.body and (asked.body.text, asked.body.base64)
    kept = repr((asked.path, asked.query, asked.headers, body))
    return re.sub(r'=|%3D|"length":[0-9]+', "", kept)


def withheld(record: CaptureRecord) -> str:
    return record.request.body.withheld if record.request and record.request.body else ""


def at(place: str, name: str, prefix: str) -> Iterator[Layers]:
    return (one for one in layers(name, prefix) if one.what.endswith(f"; {place}"))


def some(place: str, name: str, prefix: str, share: int) -> Iterator[Layers]:
    """One of so many; all of them in `make nightly`."""
    share = 1 if os.environ.get("LAYERS") == "all" else share
    there = (one for one in layers(name, prefix) if one.what.endswith(f"; {place}"))
    return islice(there, 0, None, share)


@pytest.mark.parametrize("place", PLACES)
def test_a_value_in_layers_is_masked_and_nothing_else(place: str) -> None:
    left, changed = [], []
    for one in some(place, "lic", DEEP, 5):
        masked = ORACLE.record(received(one.sent))
        expected = shown(received(one.make("***")))
        if found(masked, DEEP):
            left.append(one.what)
        elif one.exact and "protobuf" not in one.what and not withheld(masked):
            changed += [one.what] if shown(masked) != expected and "***" in expected else []
    assert left == [] and changed == []


@pytest.mark.parametrize("place", PLACES)
def test_the_same_search_finds_each_value_where_nothing_is_masked(place: str) -> None:
    sent = list(some(place, "lic", DEEP, 11))
    assert len(sent) > 25
    assert [one.what for one in sent if not found(received(one.sent), DEEP)] == []


@pytest.mark.parametrize("place", PLACES)
def test_a_value_of_another_name_stays_as_it_came(place: str) -> None:
    changed = []
    for one in some(place, "license_count", "readable", 7):
        masked = ORACLE.record(received(one.sent))
        if masked != received(one.sent) and not withheld(masked) and "protobuf" not in one.what:
            changed.append(one.what)
    assert changed == []


@pytest.mark.parametrize("place", ["header", "path", "referer"])
def test_lines_and_details_are_opened_too(place: str) -> None:
    left = []
    for one in some(place, "lic", DEEP, 9):
        if "folded" in one.what or one.what.startswith(
            ("xml, entry; plain", "csv, semicolons; plain")
        ):
            continue  # within a line of text only JSON is a document
        said = "seen " + (one.sent.path if place == "path" else one.sent.headers[0][1]) + " here"
        record = received(Sent())
        record.detail = said
        made = (ORACLE.line(said), ORACLE.record(record).detail)
        if any(DEEP.encode() in each for text in made for each in opened(text.encode())):
            left.append(one.what)
    assert left == []


SECRET = "d33pnaryZq7-0123456789-canary"
_LONG = json.dumps({"v": "4.16.1", "pad": "x" * 40, "lic": SECRET, "z": 1}).encode()
CUT = {
    "base64": base64.b64encode(_LONG),
    "base64, URL-safe": base64.urlsafe_b64encode(_LONG).rstrip(b"="),
    "folded": base64.encodebytes(_LONG),
    "escaped": _LONG.replace(b"lic", b"\\u006cic"),
    "gzip": gzip.compress(_LONG, 0, mtime=0),
    "compressed": gzip.compress(_LONG, mtime=0),
    "zstd": zstandard.compress(_LONG),
    "base64 of gzip": base64.b64encode(gzip.compress(_LONG, mtime=0)),
    "base64 in json": json.dumps({"p": base64.b64encode(_LONG).decode()}).encode(),
    "json in json": json.dumps({"p": _LONG.decode()}).encode(),
    "form": b"a=1&p=" + base64.b64encode(_LONG),
    "xml": b"<r><v>1</v><lic>" + SECRET.encode() + b"</lic></r>",
    "csv": b"a,lic\n1," + SECRET.encode() + b"\n",
    "multipart": b"--b\r\nContent-Disposition: form-data; name='lic'\r\n\r\n"
    + SECRET.encode()
    + b"\r\n--b--",
}


@pytest.mark.parametrize("kind", CUT)
def test_a_value_that_was_cut_is_masked_from_its_start(kind: str) -> None:
    data = CUT[kind]
    seen = 0
    for end in range(8, len(data)):
        record = received(posted(data[:end], truncated=True))
        seen += found(record, SECRET[:8])
        assert not found(ORACLE.record(record), SECRET[:8]), end
        if data.isascii() and b"\n" not in data:
            query = received(Sent(headers=(("x-d", data[:end].decode() + "…"),)))
            assert not found(ORACLE.record(query), SECRET[:8]), end
    assert seen or kind in ("compressed", "zstd", "base64 of gzip")


def test_a_copy_in_what_is_compressed_goes_too() -> None:
    copy = base64.b64encode(gzip.compress(json.dumps({"other": SECRET}).encode(), mtime=0)).decode()
    record = received(posted(json.dumps({"p": copy, "lic": SECRET}), layered.JSON))
    assert record.request is not None
    record.request.query = [("q", copy)]
    assert found(record, SECRET)
    assert not found(ORACLE.record(record), SECRET)


@pytest.mark.parametrize(
    "path",
    [
        "/lic=" + SECRET, "/lic=" + SECRET + "/*", "/%7B%22l%69c%22%3A%22" + SECRET + "%22%7D/*",
        "/" + base64.b64encode(_LONG).decode().replace("/", "_") + "/*",
        "/AKIA" "IOSFODNN7EXA…/*",
    ],
)  # fmt: skip
def test_an_outline_has_no_secret_in_its_path_and_its_route(path: str) -> None:
    record = received(Sent(path=path))
    record.route = path
    masked = ORACLE.record(record)
    assert masked.request is not None and masked.request.path == masked.route != path
    assert not found(masked, SECRET[:8]) and "AKIA" not in masked.route


@pytest.mark.parametrize(
    "value",
    [
        "3f2b8a0e-6c1d-4b57-9a55-0a1b2c3d4e5f", "d41d8cd98f00b204e9800998ecf8427e",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", "a/b/c/telemetry/index.html",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "gzip, deflate, br", "100%", "%zz", "50% of 3", "telemetry-worker-configuration-default",
        base64.b64encode(bytes(range(256))).decode(), "aGVsbG8gd29ybGQsIGhvdyBhcmUgeW91",
        "eyJhIjoxfQ==", "<b>", "[1,2", "{", "cb({})", "a,b\n1,2", "x\ue0000\ue001",
    ],
)  # fmt: skip
def test_what_hides_nothing_stays_as_it_came(value: str) -> None:
    sent = posted(json.dumps({"a": value, "list": [value]}), layered.JSON, ("x-d", value))
    assert ORACLE.record(received(sent)) == received(sent)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x1f\x8b\x08damaged-----------", "encoding"),
        (b"\x00\x01\x02\x03\xff\xfe", "unmaskable"),
        (layered.field(1, b"abc") + layered.field(3, b"d"), "nameless"),
        (base64.b64encode(layered.field(1, b"abcdefgh") + layered.field(3, b"d")), "nameless"),
        (b'{"dsn":"x"}\n{"type":"attachment","length":3}\n\x00\xff\x01\n', ""),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "unmaskable"),
    ],
)
def test_what_cannot_be_read_is_withheld_and_says_why(data: bytes, reason: str) -> None:
    assert withheld(ORACLE.record(received(posted(data)))) == reason


@pytest.mark.parametrize(
    "value",
    [
        lambda n: base64.b64encode(b"{" * n).decode(),
        lambda n: "eyJ" * n,
        lambda n: "%7B" * n,
        lambda n: "a-" * n,
        lambda n: json.dumps([base64.b64encode(b'{"a":1}').decode()] * (n // 10)),
        lambda n: "<a>" * n,
        lambda n: "--b\r\nA: b\r\n\r\n" * (n // 4),
        lambda n: "a,b\n" * n,
        lambda n: "a=%41&" * n,
        lambda n: "cb({" * n,
        lambda n: '{"a":' * n,
        lambda n: "[" * n,
    ],
)
def test_hostile_values_take_no_time_to_speak_of(value) -> None:
    start = time.process_time()
    for truncated in (False, True):
        ORACLE.record(received(posted(value(40_000), truncated=truncated)))
    assert time.process_time() - start < 4
