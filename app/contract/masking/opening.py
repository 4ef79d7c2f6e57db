"""The masking of what values carry: encoded text, compressed bytes, and documents in any format of
`app.contract.decoding`, inside each other. What was opened is closed again as it was.

Used by the masking of one record. Bounded by depth, and by decoded bytes and opened values of one
record: what lies beyond is withheld, never kept unread.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from app.contract.decoding.part import Part
from app.contract.masking import coded
from app.contract.masking.detection import detected
from app.contract.masking.documents import Documents
from app.contract.masking.fields import MASK
from app.contract.masking.naming import groups, named
from app.contract.masking.spelling import How
from app.contract.masking.sweep import DEPTH
from app.contract.record import BODY_CAP, text

if TYPE_CHECKING:
    from app.contract.decoding.csv import Table
    from app.contract.decoding.xml import Item

DECODED = 8 * BODY_CAP  # bytes that the values of one record may decode to
OPENED = 16_384  # encoded values of one record that are opened
_LAYER = 8  # of DEPTH, that one encoding or carrier takes
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f]")
_ODD = 16  # characters to one control character in what may still be text
_SHORT = 12  # bytes that are no secret by what they are
_OPENINGS = '{[<-"\ufeff \n\t\r'
_TOKEN = re.compile(r"[^\s\"'<>&=?#;,]+")
_NO_FORM = re.compile(r"[\s\"'<>{}\\]")  # what a form has only encoded

Join = Callable[[bytes, Sequence[Part], Sequence[bytes]], bytes]
Change = Callable[[bytes], bytes]


class Unread(Exception):
    """A value that cannot be read; with the id of the reason, of REASONS."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def readable(data: bytes, cut: bool = False, odd: bool = False) -> str | None:
    """The bytes as text; None where they are none. A character that was cut in half is left out.
    In `odd` text there may be some control characters."""
    try:
        found = data.decode()
    except UnicodeDecodeError as e:
        if not (cut and e.end == len(data) and e.start >= len(data) - 3 and e.start):
            return None
        found = data[: e.start].decode()
    if not _CONTROL.search(found):
        return found
    few = odd and "\0" not in found and len(_CONTROL.findall(found)) * _ODD <= len(found)
    return found if few else None


class Opening(Documents):
    """Of one record."""

    left = DECODED
    opened = 0

    def nested(self, value: str, depth: int = 0, cut: bool = False) -> str:
        if not cut and value[0] not in _OPENINGS and not self.names.maybe(_raw(value)):
            return value
        try:
            return self.read(value, depth, cut)
        except Unread as unread:
            return self.withheld(unread.reason)

    def read(self, value: str, depth: int, cut: bool = False) -> str:
        """The same of a value that is worth a look. Raises Unread."""
        if depth > DEPTH:
            self.names.beyond("depth")
            raise Unread("bounds")
        data = _raw(value)
        new = self.carried(data, depth, cut)
        if new is None and value[0] in _OPENINGS:
            found = self.document(value, depth, cut)
            if found is not None:
                return found
        if new is not None:
            return value if new == data else text(new)
        if (new := self.decoded(data, depth, cut)) not in (None, data):
            return text(new)
        if "\n{" in value or "\n[" in value:
            return self._lines(value, depth, cut)
        return self.flat(value, depth, cut)

    def beyond(self, bound: str) -> str:
        """Counts a bound that was hit, and returns what stands in place of the value."""
        self.names.beyond(bound)
        return self.withheld("bounds")

    def withheld(self, reason: str) -> str:
        """Counts a value that is not kept, and returns what stands in its place."""
        self.names.withheld(reason)
        return MASK

    def flat(self, value: str, depth: int, cut: bool = False) -> str:
        """Text without a format: values under names in it, and encoded words."""
        if "%" in value:
            value = self._percent(value, depth)
        new = self.plain(value)
        if coded.RUN.search(new):
            last = len(new)
            new = coded.RUN.sub(lambda run: self._run(run, depth, cut and run.end() == last), new)
        return text(self.names.cut(_raw(new), self.text_secret)) if cut else new

    def _lines(self, value: str, depth: int, cut: bool) -> str:
        """Text with a document in some of its lines."""
        lines = value.split("\n")
        for i, line in enumerate(lines):
            if line.strip():
                last = cut and i == len(lines) - 1
                read = self.nested if line[:1] in "{[" else self.flat
                lines[i] = read(line, depth + 1, last)
        return self.plain("\n".join(lines))

    def _percent(self, value: str, depth: int) -> str:
        """Percent-encoded words are read as what they stand for, and so are names before a `=`."""
        from app.contract.decoding import percent

        out: list[str] = []
        done = 0
        how: How | None = None
        for token in _TOKEN.finditer(value):
            word, equals = token.group(), value[token.end() : token.end() + 1] == "="
            follows, how = how, None
            if "%" not in word:
                if follows and not equals:
                    out += [value[done : token.start()], self.secret(follows, word)]
                    done = token.end()
                continue
            raw = word.encode("utf-8", "surrogatepass")
            if (undone := percent.undo(raw, BODY_CAP)) is None:
                continue
            if equals:
                how = self.names.meaning(text(undone))
            if follows:
                new = self.secret(follows, text(undone)).encode()
            else:
                new = self.enclosed(undone, depth)
            if new != undone:
                out += [value[done : token.start()], percent.redo(new, raw).decode()]
                done = token.end()
        return "".join([*out, value[done:]])

    def _run(self, run: re.Match[str], depth: int, cut: bool) -> str:
        word = run.group()
        at = coded.start(word)
        if at < 0:
            return word
        new = self.decoded(word[at:].encode(), depth, cut)
        return word if new is None else word[:at] + text(new)

    def decoded(self, data: bytes, depth: int, cut: bool) -> bytes | None:
        """Base64 or hexadecimal text, masked in what it stands for; None where it is none, or
        stands for nothing that could be read."""
        from app.contract.decoding import base64

        if len(data) < base64.SHORTEST:
            return None
        undone = base64.undo(data, max(self.left, 0) + 1, cut)
        if undone is None or not self.sense(undone, cut):
            return None
        new = self.enclosed(undone, depth, cut)
        return data if new == undone else base64.redo(new, data)

    def sense(self, data: bytes, cut: bool) -> bool:
        """True if somebody may have encoded these bytes: others are by chance what base64 reads."""
        from app.contract.decoding import charset, compressed, protobuf

        return bool(
            readable(data, cut, odd=True)
            or compressed.named(data)
            or (data[:2] in (b"\xff\xfe", b"\xfe\xff") and charset.name(data))
            or (len(data) >= 12 and protobuf.split(data))
        )

    def enclosed(self, data: bytes, depth: int, cut: bool = False, strict: bool = False) -> bytes:
        """What an encoding or a carrier holds, masked; withheld where it cannot be read."""
        self.opened += 1
        self.left -= len(data)
        if self.opened > OPENED:
            return self.beyond("opened").encode()
        if self.left < 0:
            return self.beyond("decoded").encode()
        try:
            return self.content(data, depth + _LAYER, cut, strict)
        except Unread as unread:
            return self.withheld(unread.reason).encode()

    def content(self, data: bytes, depth: int, cut: bool = False, strict: bool = True) -> bytes:
        """Bytes of any kind, masked. Raises Unread where they cannot be read and may hold what the
        profile calls sensitive; if not `strict`, only where they claim to be readable."""
        if not data:
            return data
        if depth > DEPTH:
            self.names.beyond("depth")
            raise Unread("bounds")
        if (plain := readable(data, cut)) is not None:
            new = _raw(self.read(plain, depth, cut))
            return new if new != _raw(plain) else data
        from app.contract.decoding import charset, compressed, envelope, multipart, protobuf
        from app.contract.decoding.splice import splice

        if compressed.named(data):
            return self._compressed(data, depth, cut, strict)
        for split, join in ((multipart.split, splice), (envelope.split, envelope.join)):
            if parts := split(data):
                return self.parts(data, parts, join, depth, cut, strict=strict)
        if undone := charset.undo(data, BODY_CAP * 4, cut):
            new = self.enclosed(undone, depth, cut, strict)
            return data if new == undone else charset.redo(new, data)
        fields = protobuf.split(data)
        if fields is None and (plain := readable(data, cut, odd=True)) is not None:
            return _raw(self.read(plain, depth, cut))
        if strict and self.names.reads_bodies and not self.numbered:
            raise Unread("unmaskable")
        if framed := protobuf.framed(data):
            return self.parts(data, framed, protobuf.join_framed, depth, cut, strict=strict)
        if fields:
            return self._numbered(data, fields, depth, None)
        if strict and self.names.reads_bodies:
            raise Unread("unmaskable")
        return self.names.replace(data, self.text_secret) if self.names.maybe(data) else data

    numbered = False  # messages without names may be kept in a profile that has sensitive names

    def _compressed(self, data: bytes, depth: int, cut: bool, strict: bool) -> bytes:
        from app.contract.decoding import compressed

        cap = max(min(self.left, 4 * BODY_CAP), 1)
        found = compressed.opened(data, cap)
        if found is None:
            if self.names.reads_bodies:
                raise Unread("encoding")
            return data
        undone, whole = found
        if len(undone) >= cap and not whole:
            self.names.beyond("decoded")
            raise Unread("bounds")
        new = self.enclosed(undone, depth, cut or not whole, strict)
        return data if new == undone else compressed.redo(new, data)

    def carried(self, data: bytes, depth: int, cut: bool) -> bytes | None:
        """Text in one of the formats that cut it into named parts, masked; None for other text."""
        from app.contract.decoding import csv, envelope, jsonp, multipart, xml
        from app.contract.decoding.splice import splice

        if data[:1] == b"{":
            parts = envelope.split(data)
            return self.parts(data, parts, envelope.join, depth, cut) if parts else None
        if (parts := jsonp.split(data)) or (b"--" in data and (parts := multipart.split(data))):
            return self.parts(data, parts, splice, depth, cut)
        if data.lstrip()[:1] == b"<":
            items = xml.items(data)
            if items is not None:
                return self._xml(data, items, depth, cut)
            if b"<!DOCTYPE" in data and self.names.reads_bodies:
                raise Unread("unmaskable")
            return None
        if b"\n" in data or b"\r" in data:
            table = csv.table(data)
            if table is not None:
                if not table.whole:
                    self.names.beyond("parts")
                    raise Unread("bounds")
                return self._csv(data, table, depth, cut)
        elif b"=" in data and not _NO_FORM.search(text(data)):
            return self._address(text(data), depth, cut)
        return None

    def _address(self, value: str, depth: int, cut: bool) -> bytes | None:
        """A form, or an address with one behind its `?`."""
        head, mark, fields = value.partition("?")
        if not mark:
            head, fields = "", value
        if "=" not in fields or ("&" not in fields and not mark and "%" not in fields):
            return None
        fields, hash_, end = fields.partition("#")
        new = self.fields(fields, self.names.meaning, depth + 1, cut and not hash_)
        return _raw(
            (head and self.flat(head, depth)) + mark + new + hash_
            + (end and self.nested(end, depth + 1, cut))
        )  # fmt: skip

    def _xml(self, data: bytes, items: Sequence["Item"], depth: int, cut: bool) -> bytes:
        from app.contract.decoding import xml

        parts = [item.part for item in items]
        of: dict[int, tuple[list[int], list[str]]] = {}
        for i, item in enumerate(items):
            last = item.part.name.rpartition(".")[2]
            # In an element's own attributes its text is the value.
            own = last if last[:1] == "@" else "value"
            for element, name in ((item.element, own), (item.parent, last)):
                if name[:1] != "@" or element == item.element:
                    numbers, names = of.setdefault(element, ([], []))
                    numbers.append(i)
                    names.append(name.lstrip("@"))
        hows: dict[int, How] = {}
        for numbers, names in of.values():
            if len(numbers) > 1 and (among := groups(names)):
                values = [text(_span(data, parts[i])) for i in numbers]
                said = named(among, values.__getitem__, self.names.meaning)
                hows.update((numbers[n], how) for n, how in said.items())
        return self.parts(
            data, parts, xml.join, depth, cut, hows, (xml.unescape, xml.escape)
        )  # fmt: skip

    def _csv(self, data: bytes, table: "Table", depth: int, cut: bool) -> bytes:
        from app.contract.decoding import csv

        cells, width = table.cells, table.width
        hows: dict[int, How] = {}
        if among := groups([cell.name for cell in cells[:width]]):
            for row in range(0, len(cells) - width + 1, width):
                values = [text(_span(data, cell)) for cell in cells[row : row + width]]
                said = named(among, values.__getitem__, self.names.meaning)
                hows.update((row + n, how) for n, how in said.items())
        return self.parts(data, cells, csv.join, depth, cut, hows, (csv.unescape, bytes))

    def parts(
        self,
        data: bytes,
        parts: Sequence[Part],
        join: Join,
        depth: int,
        cut: bool,
        hows: Mapping[int, How] = {},
        escaping: tuple[Change, Change] = (bytes, bytes),
        strict: bool = True,
    ) -> bytes:
        """A carrier with its parts masked; and without the secrets between them."""
        names, (unescape, escape) = self.names, escaping
        if names.maybe_else(data):
            data, parts = self._between(data, parts)
        values, spans, last = [], [], len(parts) - 1
        for i, part in enumerate(parts):
            raw = _span(data, part)
            value = unescape(raw)
            how = hows.get(i) or (
                names.of_field(part.name, part.name.lower())
                if names.paths else names.body.meaning(part.name)
            )  # fmt: skip
            if how == "keep" or not value.strip():
                new = value
            elif how is not None:
                new = _raw(self.secret(how, text(value)))
            elif (plain := readable(value)) and (cut <= (i < last)):
                new = _raw(self.nested(plain, depth + 1))
            else:
                new = self.enclosed(value, depth, cut and i == last, strict)
            values.append(escape(new) if new != value else raw)
            spans.append(raw)
        return join(data, parts, values) if values != spans else data

    def _between(self, data: bytes, parts: Sequence[Part]) -> tuple[bytes, list[Part]]:
        """The carrier without secrets in what lies between its parts, and where these are then."""
        out, moved, done, size = list[bytes](), list[Part](), 0, 0

        def masked(secret: bytes) -> bytes:
            return self.text_secret("mask", text(secret)).encode()

        for part in (*parts, Part("", len(data), len(data))):
            gap = data[done : part.start]
            out += [detected(gap, masked) if len(gap) > _SHORT else gap, _span(data, part)]
            size += len(out[-2])
            moved.append(Part(part.name, size, size := size + len(out[-1])))
            done = part.end
        return b"".join(out), moved[:-1]

    def _numbered(
        self, data: bytes, parts: Sequence[Part], depth: int, forced: How | None
    ) -> bytes:
        """A message of protobuf: texts in it, and those beside a sensitive name; all of it where
        its own name is."""
        from app.contract.decoding import protobuf

        if depth > DEPTH:
            self.names.beyond("depth")
            raise Unread("bounds")
        fields = protobuf.fields(data) or ()
        values: list[bytes] = []
        follows: How | None = None
        for field, part in zip(fields, parts, strict=True):
            value = _span(data, part)
            how = forced or follows or self.names.of_field(part.name, part.name)
            if field.wire != protobuf.BYTES:
                zero = (
                    b"\x80" * (len(value) - 1)
                    if field.wire == protobuf.VARINT
                    else bytes(len(value) - 1)
                )
                values.append(zero + b"\0" if how not in (None, "keep") else value)
                continue
            inner = None if self._says(value) else protobuf.split(value)
            if inner:
                new = self._numbered(value, inner, depth + 1, how)
            elif how not in (None, "keep"):
                new = _raw(self.secret(how, text(value)))
            else:
                new = self.enclosed(value, depth - _LAYER + 1, strict=False)
                plain = readable(value)
                follows = self.names.meaning(plain) if plain and len(plain) <= 64 else None
            values.append(new)
        return protobuf.join(data, parts, values)

    def _says(self, value: bytes) -> bool:
        """True for text; not for a message of which all bytes are characters by chance."""
        return readable(value) is not None and not (
            value[:1] == b"\n" and len(value) > 1 and value[1] == len(value) - 2
        )


def _span(data: bytes, part: Part) -> bytes:
    return data[part.start : part.end]


def _raw(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")
