"""The masking of formats that cut a value into named parts: forms, multipart, envelopes, XML, CSV,
JSONP and protobuf, by `app.contract.decoding`.

Used by the masking of one record. Only parts that are masked change.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from app.contract.decoding.part import Part
from app.contract.masking.bounds import DEPTH, LAYER
from app.contract.masking.documents import Documents
from app.contract.masking.fields import MASK
from app.contract.masking.naming import NAMING, VALUED, groups, named
from app.contract.masking.spelling import How
from app.contract.masking.values import CONTROL, Unreadable, raw, readable
from app.contract.record import text

if TYPE_CHECKING:
    from app.contract.decoding.csv import Table
    from app.contract.decoding.xml import Item

_NO_FORM = re.compile(r"[\s\"'<>{}\\]")  # what a form has only encoded
_SHORT = 12  # bytes that are no secret by what they are
_NAME = 64  # bytes of a text that may be a name
_FEW = 4  # fields of a message that may be a name, its value and a word on them

Join = Callable[[bytes, Sequence[Part], Sequence[bytes]], bytes]
Read = Callable[[bytes, Part], bytes]


def _span(data: bytes, part: Part) -> bytes:
    return data[part.start : part.end]


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
        """Text that looks like one of the formats that cut it into named parts, masked; None for
        other text."""
        if data[:1] in b"\n\x08\x12\x1a" and CONTROL.search(text(data)):
            return self.carrier("protobuf", data, depth, cut)
        if data[:1] == b"{":
            return self.carrier("envelope", data, depth, cut)
        for name in ("jsonp", "multipart"):
            if (new := self.carrier(name, data, depth, cut)) is not None:
                return new
        if data.lstrip()[:1] == b"<":
            new = self.carrier("xml", data, depth, cut)
            if new is None and b"<!DOCTYPE" in data and self.names.reads_bodies:
                raise Unreadable("unmaskable")
            return new
        if b"\n" in data or b"\r" in data:
            return self.carrier("csv", data, depth, cut)
        if b"=" in data and not _NO_FORM.search(text(data)):
            return self._address(text(data), depth, cut)
        return None

    def carrier(
        self, name: str, data: bytes, depth: int, cut: bool, strict: bool = False
    ) -> bytes | None:
        """The same for one carrier of `app.contract.decoding`."""
        from app.contract.decoding import csv, envelope, jsonp, multipart, semicolons, xml
        from app.contract.decoding.splice import splice

        if name == "xml":
            items = xml.items(data)
            return None if items is None else self._xml(data, items, depth, cut)
        if name == "csv":
            table = csv.table(data)
            if table is None:
                return None
            if not table.whole:
                self.names.beyond("parts")
                raise Unreadable("bounds")
            return self._csv(data, table, depth, cut)
        if name == "protobuf":
            return self.message(data, depth, cut, strict)
        if name == "envelope":
            parts = envelope.split(data)
            if not parts:
                return None
            return self.parts(data, parts, envelope.join, depth, cut, documents=True)
        if name == "jsonp":
            parts = jsonp.split(data)
            if not parts:
                return None
            return self.parts(data, parts, splice, depth, cut, documents=True)
        if name == "pairs":
            parts = semicolons.split(data)
            if not parts:
                return None
            said = self.among([p.name for p in parts], lambda i: text(_span(data, parts[i])))
            return self.parts(data, parts, splice, depth, cut, said, strict=strict)
        if b"--" not in data or not (split := multipart.split(data)):
            return None
        hows = self.among([p.name for p in split], lambda i: text(_span(data, split[i])))
        return self.parts(data, split, splice, depth, cut, hows, strict=strict)

    def message(self, data: bytes, depth: int, cut: bool, strict: bool) -> bytes | None:
        """A message of protobuf, or several behind gRPC's prefixes."""
        from app.contract.decoding import protobuf
        from app.contract.decoding.messages import is_evident

        framed, fields = protobuf.framed(data), protobuf.split(data)
        if not framed and not fields:
            return None
        # A value that only happens to read as such is no message, for the decoded tree either.
        nameless = self.names.reads_bodies and not self.numbered and (strict or is_evident(data))
        if nameless and not self.telemetry(data):
            raise Unreadable("nameless")
        if framed:
            return self.parts(data, framed, protobuf.join_framed, depth, cut, strict=strict)
        return self._numbered(data, fields or (), depth, None)

    numbered = False  # messages without names may be kept in a profile that has sensitive names

    def telemetry(self, data: bytes) -> bool:
        """True for a message of OpenTelemetry's, if none of its own names is sensitive: what else
        is has a name in text before it."""
        from app.contract.decoding.messages import NAMES, is_named, message
        from app.contract.decoding.opening import Opener

        of_field = self.names.of_field
        own = any(of_field(name, name.lower()) not in (None, "keep") for name in NAMES)
        return not own and is_named(message(data, Opener()))

    def among(self, names: Sequence[str], value: Callable[[int], str]) -> dict[int, How]:
        """The treatment of values whose name stands in another value, by their positions."""
        found = groups(names) if len(names) > 1 else ()
        return named(found, value, self.names.meaning) if found else {}

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
        for i, part in enumerate(parts):  # elements in one of a sensitive name, and its `value=`
            *ahead, last = part.name.split(".")
            if ahead and (last[:1] != "@" or last[1:].lower() in VALUED):
                means = [how for step in ahead if (how := self.names.body.meaning(step))]
                hows |= {i: means[0]} if means else {}
        for numbers, names in of.values():
            values = [text(xml.value(data, parts[i])) for i in numbers]
            said = self.among(names, values.__getitem__)
            hows.update((numbers[n], how) for n, how in said.items())
        if cut and items and self.names.known:
            hows |= self._cut_element(data, items)
        return self.parts(data, parts, xml.join, depth, cut, hows, xml.value)

    def _cut_element(self, data: bytes, items: Sequence["Item"]) -> dict[int, How]:
        """Values of an element that was cut before the name that says what they are."""
        last = items[-1].element
        if data.find(b">", last) >= 0:
            return {}
        own = [i for i, item in enumerate(items) if item.element == last]
        roles = {i: items[i].part.name.rpartition("@")[2].lower() for i in own}
        if NAMING.isdisjoint(list(roles.values())[:-1]):
            return {i: "mask" for i, role in roles.items() if role in ("value", "val")}
        return {}

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
        documents: bool = False,
    ) -> bytes:
        """A carrier with its parts masked, which are `documents` as a rule; and without the secrets
        between them."""
        names = self.names
        if names.maybe(data):
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
            elif not documents and (plain := readable(value)) and (cut <= (i < last)):
                new = raw(self.nested(plain, depth + 1))
            else:
                new = self.enclosed(value, depth, cut and i == last, strict)
            values.append(new)
            spans.append(value)
        return join(data, parts, values) if values != spans else data

    def _between(self, data: bytes, parts: Sequence[Part]) -> tuple[bytes, list[Part]]:
        """The carrier without secrets in what lies between its parts, and where these are then."""
        out, moved, done, size = list[bytes](), list[Part](), 0, 0

        def masked(gap: bytes) -> bytes:
            if len(gap) <= _SHORT or not self.names.maybe(gap):
                return gap
            return self.names.replace(gap, self.text_secret)

        for part in (*parts, Part("", len(data), len(data))):
            gap = data[done : part.start]
            out += [masked(gap), _span(data, part)]
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
        spans = [_span(data, part) for part in parts]
        said = [
            self._names(span) if field.wire == protobuf.BYTES else None
            for field, span in zip(fields, spans, strict=True)
        ]
        # A pair, in either order, and what stands with it: a type, a comment.
        few = len(fields) <= _FEW and len({field.number for field in fields}) == len(fields)
        naming = next((i for i, how in enumerate(said) if how), -1) if few else -1
        values: list[bytes] = []
        follows: How | None = None
        for i, (field, part, value) in enumerate(zip(fields, parts, spans, strict=True)):
            how = forced or follows or self.names.of_field(part.name, part.name)
            if how is None and i != naming >= 0:
                how = said[naming]
            if field.wire != protobuf.BYTES:
                zero = (
                    b"\x80" * (len(value) - 1)
                    if field.wire == protobuf.VARINT
                    else bytes(len(value) - 1)
                )
                if how is not None and how != "keep":
                    self.say(how)
                    value = zero + b"\0"
                values.append(value)
                continue
            inner = None if self._says(value) else protobuf.split(value)
            if inner:
                new = self._numbered(value, inner, depth + 1, how)
            elif how not in (None, "keep"):
                new = raw(self.secret(how, text(value)))
            else:
                new = self.enclosed(value, depth - LAYER + 1, strict=False)
                follows = said[i]
            values.append(new)
        return protobuf.join(data, parts, values)

    def _names(self, value: bytes) -> How | None:
        """The treatment of what stands beside a text that is a sensitive name."""
        plain = readable(value) if len(value) <= _NAME else None
        return self.names.meaning(plain) if plain else None

    def _says(self, value: bytes) -> bool:
        """True for text; not for a message of which all bytes are characters by chance."""
        return readable(value) is not None and not (
            value[:1] == b"\n" and len(value) > 1 and value[1] == len(value) - 2
        )
