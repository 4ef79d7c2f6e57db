"""The masking of formats that cut a value into named parts: forms, multipart, envelopes, XML, CSV,
JSONP and protobuf, by `app.contract.decoding`.

Used by the masking of one record. Only parts that are masked change.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from app.contract.decoding.part import Part
from app.contract.masking.bounds import DEPTH, LAYER
from app.contract.masking.detection import detected
from app.contract.masking.documents import Documents
from app.contract.masking.fields import MASK
from app.contract.masking.naming import groups, named
from app.contract.masking.spelling import How
from app.contract.record import text

if TYPE_CHECKING:
    from app.contract.decoding.csv import Table
    from app.contract.decoding.xml import Item

CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f]")
_ODD = 16  # characters to one control character in what may still be text
_NO_FORM = re.compile(r"[\s\"'<>{}\\]")  # what a form has only encoded
_SHORT = 12  # bytes that are no secret by what they are
_NAME = 64  # characters of a text that may be a name

Join = Callable[[bytes, Sequence[Part], Sequence[bytes]], bytes]
Read = Callable[[bytes, Part], bytes]


def _span(data: bytes, part: Part) -> bytes:
    return data[part.start : part.end]


class Unreadable(Exception):
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
    if not CONTROL.search(found):
        return found
    few = odd and "\0" not in found and len(CONTROL.findall(found)) * _ODD <= len(found)
    return found if few else None


class Formats(Documents):
    """Of one record."""

    def flat(self, value: str, depth: int, cut: bool = False) -> str:
        """Text without a format, masked."""
        raise NotImplementedError

    def enclosed(self, data: bytes, depth: int, cut: bool = False, strict: bool = False) -> bytes:
        """Bytes that an encoding or a format holds, masked; withheld where they cannot be read."""
        raise NotImplementedError

    def beyond(self, bound: str) -> str:
        """Counts a bound that was hit, and returns what stands in place of the value."""
        self.names.beyond(bound)
        return self.withheld("bounds")

    def withheld(self, reason: str) -> str:
        """Counts a value that is not kept, and returns what stands in its place."""
        self.names.withheld(reason)
        return MASK

    def carried(self, data: bytes, depth: int, cut: bool) -> bytes | None:
        """Text in one of the formats that cut it into named parts, masked; None for other text."""
        from app.contract.decoding import csv, envelope, jsonp, multipart, protobuf, xml
        from app.contract.decoding.splice import splice

        if data[:1] in b"\n\x08\x12\x1a" and CONTROL.search(text(data)):
            fields = protobuf.split(data)
            return self._numbered(data, fields, depth, None) if fields else None
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
                raise Unreadable("unmaskable")
            return None
        if b"\n" in data or b"\r" in data:
            table = csv.table(data)
            if table is not None:
                if not table.whole:
                    self.names.beyond("parts")
                    raise Unreadable("bounds")
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
        return raw(
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
                values = [text(xml.value(data, parts[i])) for i in numbers]
                said = named(among, values.__getitem__, self.names.meaning)
                hows.update((numbers[n], how) for n, how in said.items())
        return self.parts(
            data, parts, xml.join, depth, cut, hows, xml.value
        )  # fmt: skip

    def _csv(self, data: bytes, table: "Table", depth: int, cut: bool) -> bytes:
        from app.contract.decoding import csv

        cells, width = table.cells, table.width
        hows: dict[int, How] = {}
        if among := groups([cell.name for cell in cells[:width]]):
            for row in range(0, len(cells) - width + 1, width):
                values = [text(csv.value(data, cell)) for cell in cells[row : row + width]]
                said = named(among, values.__getitem__, self.names.meaning)
                hows.update((row + n, how) for n, how in said.items())
        return self.parts(data, cells, csv.join, depth, cut, hows, csv.value)

    def parts(
        self,
        data: bytes,
        parts: Sequence[Part],
        join: Join,
        depth: int,
        cut: bool,
        hows: Mapping[int, How] = {},
        read: Read = _span,
        strict: bool = True,
    ) -> bytes:
        """A carrier with its parts masked; and without the secrets between them."""
        names = self.names
        if names.maybe_else(data):
            data, parts = self._between(data, parts)
        values, spans, last = [], [], len(parts) - 1
        for i, part in enumerate(parts):
            value = read(data, part)
            how = hows.get(i) or (
                names.of_field(part.name, part.name.lower())
                if names.paths else names.body.meaning(part.name)
            )  # fmt: skip
            if how == "keep" or not value.strip():
                new = value
            elif how is not None:
                new = raw(self.secret(how, text(value)))
            elif (plain := readable(value)) and (cut <= (i < last)):
                new = raw(self.nested(plain, depth + 1))
            else:
                new = self.enclosed(value, depth, cut and i == last, strict)
            values.append(new)
            spans.append(value)
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
            raise Unreadable("bounds")
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
                new = raw(self.secret(how, text(value)))
            else:
                new = self.enclosed(value, depth - LAYER + 1, strict=False)
                plain = readable(value)
                follows = self.names.meaning(plain) if plain and len(plain) <= _NAME else None
            values.append(new)
        return protobuf.join(data, parts, values)

    def _says(self, value: bytes) -> bool:
        """True for text; not for a message of which all bytes are characters by chance."""
        return readable(value) is not None and not (
            value[:1] == b"\n" and len(value) > 1 and value[1] == len(value) - 2
        )


def raw(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")
