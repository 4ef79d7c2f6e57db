"""What the tree of decoded values shows under a sensitive name, masking has masked, whatever the
body is and claims to be; and everything else in the tree stays as it came."""

import base64
import codecs
import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache
from random import Random
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.contract import rules as r
from app.contract.body import content, whole
from app.contract.decoding.pairs import inside
from app.contract.decoding.read import Content, read
from app.contract.decoding.tree import Opaque, Opened, attribute, is_attribute
from app.contract.masking.fields import SensitiveNames
from app.contract.masking.masker import Masker
from app.contract.record import Body, CaptureRecord, Request
from tests.conformance import ROWS, SECRET
from tests.layered import field as numbered

SENSITIVE = (r.Sensitive("any", "lic", "mask"),)
NAMES = SensitiveNames(SENSITIVE)
PLANTED = re.compile(rf"s3cr[0-9a-f]{{6}}Zq|{SECRET}")

UNSURE = "unsure"  # a step of a path
_WORD = 16  # characters of a text that is no document


@cache
def masker(decoders: tuple[str, ...] = ()) -> Masker:
    rule = r.Rule("x", "mock", r.Match(), "/x", r.Answer(), "sidecar", decoders=decoders)
    profile = r.Profile("acme", "Acme", (r.Host("h"),), (rule,), sensitive=SENSITIVE)
    return Masker(r.RuleSet((profile,)))


def sent(body: Body | None, content_type: str, query: list[tuple[str, str]]) -> CaptureRecord:
    return CaptureRecord(
        boot="0" * 16, seq=1, kind="exchange", time_ns=1, profile="acme", rule="x",
        request=Request(
            method="POST", host="h", body=body, query=query,
            headers=[("content-type", content_type)] if content_type else [],
        ),
    )  # fmt: skip


def leaves(node: Any, path: tuple[object, ...] = (), named: bool = False) -> Iterator[Any]:
    """Every value of a tree: its path, itself, and whether it stands under a sensitive name."""
    if isinstance(node, Opened):
        step = UNSURE if node.unsure else node.suffix
        if node.unsure and node.text:
            yield path, node.text, named
        yield from leaves(node.value, (*path, step), named)
    elif is_attribute(node):
        of = named or NAMES.meaning(node["key"]) is not None
        yield from leaves(attribute(node), (*path, node["key"]), of)
    elif isinstance(node, dict):
        for name, value in node.items():
            of = named or NAMES.body.meaning(name) is not None
            yield from leaves(value, (*path, name), of)
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from leaves(value, (*path, number), named)
    else:
        yield path, node, named


def faults(
    data: bytes, content_type: str, decoders: tuple[str, ...] = (), *, equal: bool = True,
    encoding: str = "",
) -> list[object]:  # fmt: skip
    """What masking left that the tree shows; and if `equal`, what else it changed."""
    record = sent(whole(data, encoding), content_type, [])
    assert record.request is not None and record.request.body is not None
    was = read(deepcopy(record.request.body), content_type, decoders)
    masker(decoders).record(record)
    body = record.request.body
    if body.withheld:
        return []
    now = read(body, content_type, decoders)
    return compared(was, now, content(body).decode("utf-8", "replace"), equal)


def compared(was: Content, now: Content, kept: str, equal: bool) -> list[object]:
    before, after = list(leaves(was.value)), list(leaves(now.value))
    shown = "\n".join([kept, *(str(value) for _, value, _ in after)])
    wrong: list[object] = [
        (path, value) for path, value, named in before
        if named and isinstance(value, str) and PLANTED.search(value) and value in shown
    ]  # fmt: skip
    # What bytes look like that cannot be read depends on all of them.
    if equal and not any(isinstance(value, Opaque) for _, value, _ in before):
        one, other = (
            [
                (path, _plain(value))
                for path, value, named in of
                if not named and path[-1:] != ("length",) and UNSURE not in path
            ]
            for of in (before, after)
        )
        wrong += [(was.chain, now.chain)] if was.chain != now.chain else []
        wrong += [pair for pair in zip(one, other, strict=False) if pair[0] != pair[1]]
        wrong += [(len(one), len(other))] if len(one) != len(other) else []
    return wrong


def _plain(value: object) -> str:
    """The value; of a text that the tree has not opened, which may hold anything, nothing."""
    written = PLANTED.sub("***", str(value))
    return written if len(written) <= _WORD and not isinstance(value, Opaque) else ""


TYPES = (
    "", "application/json", "text/plain", "application/x-www-form-urlencoded", "text/xml",
    "multipart/form-data; boundary=b", "text/csv", "application/x-ndjson", "text/javascript",
    "application/x-protobuf", "application/x-sentry-envelope", "application/octet-stream",
    "text/plain; charset=utf-16", "application/json; charset=utf-7",
)  # fmt: skip
DECODERS = ((), ("json",), ("ndjson",), ("form",), ("xml",), ("csv",), ("multipart",), ("jsonp",))


@pytest.mark.parametrize("row", [row for row in ROWS if row.secret], ids=lambda row: row.what)
def test_of_every_row_of_the_conformance_table(row: Any) -> None:
    encoding = dict(row.headers).get("content-encoding", "")
    data = row.body.replace(b"https://x@", b"https://")  # who calls is a secret, too
    for decoders in DECODERS:
        for content_type in (row.content_type, *TYPES):
            same = content_type == row.content_type and not decoders
            assert not faults(data, content_type, decoders, equal=same, encoding=encoding)
    for name, value in [p.partition("=")[::2] for p in row.query.split("&") if p]:
        record = sent(None, "", [(name, value)])
        was = inside(name, value)
        masker().record(record)
        assert record.request is not None
        now = inside(name, record.request.query[0][1])
        assert [x for x in leaves(was, (name,)) if not NAMES.meaning(name) and not x[2]] == [
            x for x in leaves(now, (name,)) if not NAMES.meaning(name) and not x[2]
        ]


class Made:
    """Makes bodies. If `odd`, their texts hold what other formats are told by."""

    def __init__(self, random: Random, odd: bool) -> None:
        self._random, self._odd = random, odd
        self.choice = random.choice

    def often(self, share: float) -> bool:
        return self._random.random() < share

    def many(self, most: int) -> range:
        return range(self._random.randint(1, most))

    def secret(self) -> str:
        return f"s3cr{self._random.getrandbits(24):06x}Zq"

    def word(self) -> str:
        if not self._odd:
            return self.choice(["start", "4.10", "x y", "é", "18", "linux/x64"])
        return self.choice([
            "a", "4.10", "x y", "1&2", "a=b", "c,d", "e;f", "<g>", "h%20i", "j\nk", "{", "}",
            "\n--b\nX: 1\n\nq", "[1,", "cb(", '"', "é", "--b", "lic", "key", "\t", "a=1&b=2",
            "\r\n", "(", ")", "?q=1#f", "data:,", "&amp;", "%7B", "0",
        ])  # fmt: skip

    def name(self, sensitive: bool) -> str:
        if sensitive:
            return self.choice(["lic", "Lic", "user[lic]", "a.lic", "password"])
        plain = ["a", "b", "c d", "data", "x", "é"]
        return self.choice(plain + ["key", "value", "name", "p&q", "type"] * self._odd)

    def json(self) -> bytes:
        members = []
        for number in self.many(4):
            sensitive = self.often(0.4)
            name, value = self.name(sensitive), self.secret() if sensitive else self.word()
            if not sensitive and self.often(0.3):
                value = self.text()
            name += str(number) * (not sensitive)
            written = json.dumps(name, ensure_ascii=False)
            if self.often(0.5):
                written = '"' + "".join(f"\\u{ord(c):04x}" for c in name) + '"'
            quoted = json.dumps(value, ensure_ascii=self.often(0.5))
            if self._odd and self.often(0.3):
                quoted = quoted.replace("\\n", "\n").replace("\\t", "\t")
            members.append(written + self.choice([":", " : ", ":\n"]) + quoted)
        document = "{" + self.choice([",", ",\n"]).join(members) + self.choice(["", ","]) + "}"
        return (f"[{document}]" if self.often(0.2) else document).encode()

    def text(self) -> str:
        made = self.packed(2)
        try:
            return made.decode()
        except UnicodeDecodeError:
            return base64.b64encode(made).decode()

    def ndjson(self) -> bytes:
        return b"\n".join(self.json().replace(b"\n", b" ") for _ in self.many(3))

    def jsonp(self) -> bytes:
        return b"cb(%b);" % self.json()

    def form(self) -> bytes:
        # Base64 of a short text is not told from other words, and a mask is short.
        fields = [] if self._odd else ["version=4.10.1"]
        for _ in self.many(4):
            sensitive = self.often(0.4)
            value = self.secret() if sensitive else self.word()
            if not sensitive and self.often(0.3):
                value = self.text()
            fields.append(quote_plus(self.name(sensitive)) + "=" + quote(value, safe=""))
        return (";" if self._odd and self.often(0.3) else "&").join(fields).encode()

    def multipart(self) -> bytes:
        made = b""
        for _ in self.many(3):
            sensitive = self.often(0.4)
            value = self.secret().encode() if sensitive else self.packed(2)
            name = self.name(sensitive).encode()
            made += b'--b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (
                name,
                value,
            )
        return made + b"--b--\r\n"

    def xml(self) -> bytes:
        made = "<r>"
        for _ in self.many(3):
            name = self.choice(["lic", "a", "b", "entry"])
            value = self.secret() if name == "lic" else self.word()
            written = value.replace("&", "&amp;").replace("<", "&lt;")
            if self.often(0.3) and "]]>" not in value:
                written = f"<![CDATA[{value}]]>"
            made += f"<{name} x='1'>{written}</{name}>"
        return (made + "</r>").encode()

    def csv(self) -> bytes:
        names = ["event", "lic", "a"][: self._random.randint(2, 3)]
        separator = self.choice([",", ";", "\t"])
        rows = [names]
        for _ in self.many(2):
            values = [self.secret() if name == "lic" else self.word() for name in names]
            rows.append(['"' + value.replace('"', '""') + '"' for value in values])
        return "".join(separator.join(row) + "\n" for row in rows).encode()

    def envelope(self) -> bytes:
        packed = self.packed(1)
        return b'{"event_id":"1","dsn":"x"}\n{"type":"event"}\n%b\n%b\n%b\n' % (
            self.json().replace(b"\n", b" "),
            b'{"type":"attachment","length":%d}' % len(packed), packed,
        )  # fmt: skip

    def protobuf(self) -> bytes:
        made = b""
        for number in self.many(3):
            name, value = numbered(1, b"lic"), numbered(2, self.secret().encode())
            if self.often(0.4):
                made += numbered(number + 1, self.choice([name + value, value + name]))
            else:
                made += numbered(number + 1, self.word().encode())
        return made

    def packed(self, depth: int) -> bytes:
        """Any of these, or a word, encoded."""
        kinds: list[Callable[[], bytes]] = [
            self.json, self.ndjson, self.jsonp, self.form, self.multipart, self.xml, self.csv,
            self.envelope,
        ]  # fmt: skip
        if self._odd:
            kinds.append(self.protobuf)
        made = self.choice(kinds)() if depth and self.often(0.8) else self.word().encode()
        encodings: list[Callable[[bytes], bytes]] = [
            *[lambda data: data] * 6, base64.b64encode, base64.encodebytes, zlib.compress,
            lambda data: base64.urlsafe_b64encode(data).rstrip(b"="),
            lambda data: data.hex().encode(), lambda data: gzip.compress(data, mtime=0),
            lambda data: base64.b64encode(gzip.compress(data, mtime=0)), zstandard.compress,
            lambda data: quote(data, safe="").encode(), lambda data: codecs.BOM_UTF8 + data,
        ]  # fmt: skip
        return self.choice(encodings)(made)


@given(st.randoms(use_true_random=False), st.sampled_from(TYPES), st.sampled_from(DECODERS))
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_of_bodies_that_look_like_several_formats(
    random: Random, content_type: str, decoders: tuple[str, ...]
) -> None:
    made = Made(random, odd=True)
    data = made.packed(3)
    if made.often(0.1):
        ahead, behind = made.choice(["\n", " ", "a=1&", "--", "0 "]), made.choice(["", "\n", ","])
        data = ahead.encode() + data + behind.encode()
    assert not faults(data, content_type, decoders, equal=False)


@given(st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_all_else_stays_as_it_came(random: Random) -> None:
    assert not faults(Made(random, odd=False).packed(3), "")


def test_the_same_search_finds_what_is_not_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Masker, "record", lambda self, record: record)
    random = Random(1)
    found = sum(bool(faults(Made(random, odd=True).packed(3), "", equal=False)) for _ in range(200))
    assert found > 50
