"""The masking oracle's second table: a value under a name in every format, in every encoding, at
every place of a request; and `opened`, which finds what an attacker does who decodes what is kept.

`lic` is the sensitive name, as in `tests.planted`.
"""

import base64
import codecs
import contextlib
import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus, unquote_to_bytes

import brotli
import zstandard

from tests.planted import FORM, JSON, TEXT, XML, Sent, posted

DEEP = "d33pnaryZq7"  # in every secret of this table
_B64 = base64.b64encode


def field(number: int, value: bytes) -> bytes:
    """A field of protobuf that holds bytes."""
    key = number << 3 | 2
    return (
        bytes((key, len(value))) + value
        if len(value) < 128
        else bytes((key, len(value) & 127 | 128, len(value) >> 7)) + value
    )


def _part(disposition: str, content: bytes) -> bytes:
    return (
        f"--b\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode()
        + content
        + (b"\r\n--b--\r\n")
    )


def _envelope(event: bytes, attachment: bytes) -> bytes:
    return b'{"dsn":"x"}\n{"type":"event"}\n%b\n{"type":"attachment","length":%d}\n%b\n' % (
        event, len(attachment), attachment,
    )  # fmt: skip


def _json(name: str, value: str) -> bytes:
    return f'{{"v":1.10,"event":{{"{name}":"{value}"}},"n":[1E2,-0]}}'.encode()


def _escaped(name: str) -> str:
    return "".join(f"\\u{ord(c):04x}" for c in name)


# How a value stands under a name.
FORMATS: dict[str, Callable[[str, str], bytes]] = {
    "json": _json,
    "json, escaped name": lambda n, v: _json(_escaped(n), v),
    "json, careless": lambda n, v: codecs.BOM_UTF8
        + f'{{"a":NaN,"{_escaped(n)}":"{v}","b":[1,],"b":-Infinity,}}'.encode(),
    "json, name as value": lambda n, v: f'[{{"key":"{n}","value":"{v}"}},{{"k":1.0}}]'.encode(),
    "json in json": lambda n, v: json.dumps({"p": _json(n, v).decode()}).encode(),
    "ndjson": lambda n, v: f'{{"a":1}}\n{{"{n}":"{v}"}}\n'.encode(),
    "form": lambda n, v: f"a=1&{n}={quote_plus(v, safe='*')}&b=2".encode(),
    "form, name as value": lambda n, v: f"name={n}&value={quote_plus(v, safe='*')}&b=2".encode(),
    "form, indexed": lambda n, v: (
        f"f[0][key]=a&f[0][val]=b&f[1][key]={n}&f[1][val]={quote_plus(v, safe='*')}".encode()),
    "xml": lambda n, v: f"<r><{n} a='1'>{v}</{n}><b>&lt;2</b></r>".encode(),
    "xml, attribute": lambda n, v: f"<r>\n <e a='1' {n}='{v}'/></r>".encode(),
    "xml, name as value": lambda n, v: f'<r><p value="{v}" name="{n}"/><p name="a"/></r>'.encode(),
    "xml, entry": lambda n, v: f'<r><entry key="{n}">{v}</entry></r>'.encode(),
    "xml, members": lambda n, v: f"<m><name>{n}</name><value>{v}</value></m>".encode(),
    "csv": lambda n, v: f'a,{n},b\n1,{v},2\n"x ""y""",,4\n'.encode(),
    "csv, semicolons": lambda n, v: f'"a";"{n}"\r\n"1";"{v}"\r\n'.encode(),
    "csv, name as value": lambda n, v: f"name,value\n{n},{v}\nb,2\n".encode(),
    "jsonp": lambda n, v: f'cb({{"{_escaped(n)}":"{v}"}});'.encode(),
    "multipart": lambda n, v: _part(f'name="{n}"', v.encode()),
    "multipart, single quotes": lambda n, v: _part(f"name='{n}'", v.encode()),
    "multipart, json": lambda n, v: _part('name="d"', _json(_escaped(n), v)),
    "multipart, nested": lambda n, v: b"--B\r\nContent-Disposition: form-data; name=x\r\n\r\n"
        + _part(f"name={n}", v.encode()) + b"\r\n--B--\r\n",
    "envelope": lambda n, v: _envelope(_json(_escaped(n), v), b"a\nb"),
    "envelope, attachment": lambda n, v: _envelope(b"{}", _json(_escaped(n), v)),
    "text": lambda n, v: f"{n}={v}".encode(),
    "protobuf, attribute": lambda n, v: field(
        1, field(1, n.encode()) + field(2, field(1, v.encode()))),
    "utf-16": lambda n, v: codecs.BOM_UTF16_LE + _json(n, v).decode().encode("utf-16-le"),
    "utf-16, no mark": lambda n, v: _json(n, v).decode().encode("utf-16-le"),
    "latin-1": lambda n, v: f'{{"Zürich":1,"ü":{{"{_escaped(n)}":"{v}"}}}}'.encode("latin-1"),
}  # fmt: skip

# Text of a document that may stand where only text may.
ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "": lambda d: d,
    "base64": _B64,
    "base64, URL-safe": lambda d: base64.urlsafe_b64encode(d).rstrip(b"="),
    "base64, unpadded": lambda d: _B64(d).rstrip(b"="),
    "base64, folded": base64.encodebytes,
    "base64, a line's end": lambda d: _B64(d) + b"\n",
    "base64, spaces": lambda d: _B64(d).replace(b"+", b" "),
    "base64 twice": lambda d: _B64(_B64(d)),
    "base64 in json in base64": lambda d: _B64(json.dumps({"p": _B64(d).decode()}).encode()),
    "data address": lambda d: b"data:x/y;base64," + _B64(d),
    "hex": lambda d: d.hex().encode(),
    "percent": lambda d: quote(d, safe="*").encode(),
    "base64 of gzip": lambda d: _B64(gzip.compress(d, mtime=0)),
    "base64 of zlib": lambda d: _B64(zlib.compress(d)),
    "base64 of zstd": lambda d: _B64(zstandard.compress(d)),
    "base64 of brotli": lambda d: _B64(brotli.compress(d)),
}
COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda d: gzip.compress(d, mtime=0),
    "zlib": zlib.compress,
    "zstd": zstandard.compress,
    "brotli": brotli.compress,
    "raw deflate": lambda d: zlib.compress(d, wbits=-15),
    "gzip of base64": lambda d: gzip.compress(_B64(d), mtime=0),
}
# Of these the whole can be written anew, and nothing else than the value may then differ.
EXACT = frozenset(name for name in ENCODINGS if not name.startswith("base64 of "))


def _headers(name: str, value: bytes) -> Sent:
    return Sent(headers=((name, value.decode()),))


# Where it stands in a request, as text.
PLACES: dict[str, Callable[[bytes], Sent]] = {
    "query": lambda d: Sent("v=1&d=" + quote(d, safe="*") + "&z=1"),
    "header": lambda d: _headers("x-d", d),
    "header, percent-encoded": lambda d: _headers("x-d", b"a=1; d=%b; z=2" % _quoted(d)),
    "referer": lambda d: _headers("referer", b"https://h/p?x=1&d=%b&z=2" % _quoted(d)),
    "path": lambda d: Sent(path="/v1/" + quote(d, safe="*") + "/x"),
    "form": lambda d: posted("a=1&d=" + quote_plus(d, safe="*") + "&z=1", FORM),
    "json": lambda d: posted(json.dumps({"a": 1, "d": d.decode(), "z": [1]}), JSON),
    "xml": lambda d: posted(f"<a><d>{_entities(d.decode())}</d></a>", XML),
    "csv": lambda d: posted('x,d\n1,"' + d.decode().replace('"', '""') + '"\n'),
}  # fmt: skip
# And as bytes.
BODIES: dict[str, Callable[[bytes], Sent]] = {
    "body": posted,
    "body, as JSON": lambda d: posted(d, JSON),
    "body, as text": lambda d: posted(d, TEXT),
    "multipart file": lambda d: posted(
        b'--C\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n' + d + b"\r\n--C--",
        ("content-type", "multipart/form-data; boundary=C")),
    "attachment": lambda d: posted(_envelope(b"{}", d)),
    "gRPC": lambda d: posted(b"\0" + (len(f := field(2, field(3, d))).to_bytes(4)) + f),
}  # fmt: skip


def _quoted(data: bytes) -> bytes:
    return quote(data, safe="*").encode()


def _entities(value: str) -> str:
    return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class Layers(NamedTuple):
    """A request with a value, and the same with another one in its place."""

    what: str
    value: str
    sent: Sent
    make: Callable[[str], Sent]
    exact: bool


def _fits(form: str, encoding: str, place: str, data: bytes) -> bool:
    text = place in PLACES
    if encoding.endswith(("brotli", "raw deflate")) and form.startswith(("utf-", "latin", "proto")):
        return False  # nothing but text in it tells that they are such
    if (
        text
        and encoding == ""
        and (form.startswith(("utf-16", "latin", "protobuf")) or b"\0" in data)
    ):
        return False  # no text: a client cannot send it so
    if encoding in ("brotli", "raw deflate") and place in ("multipart file", "attachment", "gRPC"):
        return False  # what searches for a value cannot tell where they begin
    return not (place == "header" and (b"\n" in data or b"\r" in data or not data.isascii()))


def layers(name: str, prefix: str) -> Iterator[Layers]:
    """Every format in every encoding at every place."""
    encodings, places = ENCODINGS | COMPRESSIONS, PLACES | BODIES
    number = 0
    for form, encoding, place in product(FORMATS, encodings, places):
        if encoding in COMPRESSIONS and place in PLACES:
            continue

        def make(value: str, f: Any = FORMATS[form], e: Any = encodings[encoding],
                 p: Any = places[place]) -> Sent:  # fmt: skip
            sent: Sent = p(e(f(name, value)))
            return sent

        if not _fits(form, encoding, place, encodings[encoding](FORMATS[form](name, "x" * 20))):
            continue
        number += 1
        value = f"{prefix}{number:05}+/Zq"
        what = f"{form}; {encoding or 'plain'}; {place}"
        yield Layers(what, value, make(value), make, encoding in EXACT)


def few(name: str, prefix: str) -> Iterator[Layers]:
    """Some of them: each format with each encoding, and each of both with each place."""
    seen: set[tuple[str, str]] = set()
    for one in layers(name, prefix):
        form, encoding, place = one.what.split("; ")
        pairs = {(form, encoding), (form, place), (encoding, place)}
        if not pairs <= seen:
            seen |= pairs
            yield one


_HEX = re.compile(rb"[0-9A-Fa-f]{16,}")
_WORD = re.compile(rb"[A-Za-z0-9+/_\- \r\n]{12,}={0,2}")


def opened(data: bytes, depth: int = 6) -> Iterator[bytes]:
    """The bytes, and all that they stand for: what `base64 -d`, `gunzip` and the like make of them
    and of every word in them."""
    yield data
    if not depth:
        return
    further: list[bytes] = []
    for undo in (
        lambda: zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(data),
        lambda: zstandard.ZstdDecompressor().decompressobj().decompress(data),
    ):
        if data[:1] in (b"\x1f", b"\x78", b"\x28"):
            with contextlib.suppress(zlib.error, zstandard.ZstdError):
                further.append(undo())
    further += _untold(data)
    if b"%" in data and (plain := unquote_to_bytes(data.replace(b"+", b" "))) != data:
        further.append(plain)
    if b"\0" in data:
        further += [data.replace(b"\0", b""), *data.split(b"\n", 4)[-1:]]
    for word in {m.group() for m in _WORD.finditer(data)}:
        further += _decoded(word)
    for mark in (b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\x78\x9c"):
        if data.find(mark) > 0:
            further.append(data[data.find(mark) :])
    for each in further:
        if each and each != data:
            yield from opened(each, depth - 1)


def _untold(data: bytes) -> list[bytes]:
    """What brotli and raw deflate make of the bytes, if that is text."""
    found = []
    with contextlib.suppress(brotli.error):
        found.append(brotli.decompress(data))
    with contextlib.suppress(zlib.error):
        found.append(zlib.decompress(data, wbits=-15))
    return [one for one in found if len(one) > 8]


def _decoded(word: bytes) -> list[bytes]:
    found = []
    digits = word.partition(b"\r\n--")[0].replace(b"\r", b"").replace(b"\n", b"").strip(b" ")
    digits = digits.translate(bytes.maketrans(b"-_ ", b"+/+")).rstrip(b"=")
    for written in (digits, digits[1:], digits[2:], digits[3:], digits.rpartition(b"/")[2]):
        if len(written) >= 8:
            whole = written[: len(written) - (len(written) % 4 == 1)]
            found.append(base64.b64decode(whole + b"=" * (-len(whole) % 4)))
    # A length before it may look like one more digit.
    found += [bytes.fromhex(run[len(run) % 2 :].decode()) for run in _HEX.findall(word)]
    return found


def texts(record: bytes) -> Iterator[bytes]:
    """All texts of an encoded record, and the bytes of its bodies."""

    def walk(node: Any) -> Iterator[bytes]:
        if isinstance(node, dict):
            for name, value in node.items():
                if name == "base64" and isinstance(value, str):
                    yield base64.b64decode(value)
                else:
                    yield from walk(value)
        elif isinstance(node, list):
            for value in node:
                yield from walk(value)
        elif isinstance(node, str):
            data = node.encode("utf-8", "surrogatepass")
            yield data
            yield from re.split(rb"[/&?=;<>\"]", data)
            with contextlib.suppress(ValueError):
                yield from walk(json.loads(node))

    yield from walk(json.loads(record))
