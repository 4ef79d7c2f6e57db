"""The masking of what values carry: encoded text, compressed bytes, and documents in any format of
`app.contract.decoding`, inside each other. What was opened is closed again as it was.

Used by the masking of one record. Bounded by depth, and by decoded bytes and opened values of one
record: what lies beyond is withheld, never kept unread.
"""

import re
from collections.abc import Callable

from app.contract.masking import coded
from app.contract.masking.bounds import DECODED, DEPTH, LAYER, OPENED
from app.contract.masking.fields import MASK
from app.contract.masking.formats import Formats
from app.contract.masking.spans import end_of
from app.contract.masking.spelling import How
from app.contract.masking.values import CONTROL, HeldWords, Unreadable, raw, readable
from app.contract.record import BODY_CAP, text

_BEGINS = re.compile(rb"[\t\r\n\x20-\x7e]{9}")
_OPENINGS = '{[<-"\ufeff \n\t\r(\x1f\x08\x12\x1a'
_WIDE = re.compile(r"[^\0]\0[^\0]\0|\0[^\0]\0[^\0]")
# gzip and zstd in a text, which has lost some of their bytes.
_LOST = re.compile("\x1f(?:\\\\x8b|\ufffd)\x08|\\((?:\\\\xb5|\ufffd)/(?:\\\\xfd|\ufffd)")
_ENDS = 4  # at which a word may end
_EVENT = re.compile(r"(?:^data:[^\r\n]*(?:\r?\n|\Z))+", re.MULTILINE)
_DATA = re.compile(r"((?:\A|\r?\n)data: ?|\r?\n\Z)")
_HALF = re.compile(rb"%[0-9A-Fa-f]?\Z")
_NAMED = re.compile(rb"passw(?:or)?d|secret|api_?key|private_?key|access_?token", re.IGNORECASE)
_TOKEN = re.compile(r"[^\s\"'<>&=?#;,]+")


class Opening(Formats):
    """Of one record."""

    left = DECODED
    opened = 0

    def nested(self, value: str, depth: int = 0, cut: bool = False) -> str:
        if not (cut or value[0] in _OPENINGS or "\0" in value) and self.names.empty(value):
            return value
        try:
            return self.read(value, depth, cut)
        except Unreadable as unread:
            return self.withheld(unread.reason)

    def read(self, value: str, depth: int, cut: bool = False) -> str:
        """The same of a value that is worth a look. Raises Unreadable."""
        if depth > DEPTH:
            self.names.beyond("depth")
            raise Unreadable("bounds")
        if self.names.reads_bodies:
            if value[0] in "(\x1f" and _LOST.match(value):
                raise Unreadable("encoding")
            if _WIDE.search(value):  # UTF-16 in a text, which has lost some of its bytes
                raise Unreadable("unmaskable")
        data = raw(value)
        if not cut and (read := self._step(value, data, depth)) is not None:
            return read
        new = self.carried(data, depth, cut)
        if new is not None:
            return value if new == data else text(new)
        if value[0] in _OPENINGS and (read := self.document(value, depth, cut)) is not None:
            return read
        for undo in (self.decoded, self._unquoted) if cut else ():
            if (new := undo(data, depth, cut)) not in (None, data):
                return text(new or b"")
        if value.startswith(("data:", "event:", "id:", ":")) or "\ndata:" in value:
            value = self._events(value, depth)
        if "\n{" in value or "\n[" in value:
            return self._lines(value, depth, cut)
        return self.flat(value, depth, cut)

    def _step(self, value: str, data: bytes, depth: int) -> str | None:
        """The text masked as the tree of decoded values reads it on; None where that has no more
        than the text."""
        from app.contract.decoding import formats, percent

        match formats.step(value):
            case formats.Step("json" | "text"):
                new = self.carrier("envelope", data, depth, cut=False)
                return self.documents(value, depth) if new is None else text(new)
            case formats.Step("form"):
                return self.fields(value, self.names.body.meaning, depth + 1)
            case formats.Step("base64" | "hex"):
                new = self.decoded(data, depth, cut=False)
                return None if new in (None, data) else text(new or b"")
            case formats.Step("percent", undone) if self._holds(undone):
                new = self.enclosed(undone, depth)
                return value if new == undone else text(percent.redo(new, data))
        return None

    def _unquoted(self, data: bytes, depth: int, cut: bool) -> bytes | None:
        """Percent-encoded text that was cut, perhaps within a character."""
        from app.contract.decoding import percent

        whole = _HALF.sub(b"", data)
        if (undone := percent.undo(whole, BODY_CAP)) is None:
            return None
        new = self.enclosed(undone, depth, cut)
        return data if new == undone else percent.redo(new, whole)

    def _holds(self, data: bytes) -> bool:
        """True for bytes that are more than a text."""
        from app.contract.decoding import compressed, formats

        if compressed.named(data) or self.told(data) is not None:
            return True
        plain = readable(data)
        found = formats.step(plain) if plain is not None else None
        return found is not None and (found.name != "percent" or self._holds(found.value))

    def told(self, data: bytes) -> object:
        """The documents of JSON that the bytes are, in any encoding of Unicode; None for others."""
        from app.contract.decoding import formats

        found = formats.json(data) if formats.may_be_documents(data) else None
        return found if isinstance(found, dict | list) else None

    def flat(self, value: str, depth: int, cut: bool = False) -> str:
        """Text without a format: values under names in it, and encoded words."""
        held = HeldWords()
        if '{"' in value:
            value = self._within(value, depth)
        new = self.plain(self._percent(value, depth, held) if "%" in value else value)
        if coded.RUN.search(new):
            last = len(new)
            new = coded.RUN.sub(lambda run: self._run(run, depth, cut and run.end() == last), new)
        new = text(self.names.cut(raw(new), self.text_secret)) if cut else new
        return held.release(new)

    def lines(self, data: bytes) -> bytes | None:
        """Lines of which most are documents; None where few are."""
        from app.contract.decoding import formats

        found, good, said = list[bytes](), 0, 0
        for line in data.splitlines(keepends=True):
            if written := line.strip(b"\r\n").strip():
                said += 1
                good += (document := isinstance(formats.json(written), dict | list))
                new = self.json(written) if document else self.enclosed(written, 0)
                line = line.replace(written, new, 1)
            found.append(line)
        return b"".join(found) if good > said / 2 else None

    def _lines(self, value: str, depth: int, cut: bool) -> str:
        """Text with a document in some of its lines."""
        lines = value.splitlines(keepends=True)
        for i, line in enumerate(lines):
            if written := line.strip("\r\n"):
                read = self.nested if line[:1] in "{[" else self.flat
                new = read(written, depth + 1, cut and i == len(lines) - 1)
                lines[i] = new + line[len(written) :]
        return self.plain("".join(lines))

    def _events(self, value: str, depth: int) -> str:
        """Server-sent events: the lines of `data:` of one are one text."""

        def masked(event: re.Match[str]) -> str:
            lines = _DATA.split(event.group())
            joined = "\n".join(lines[2::2])
            if not joined.strip():
                return event.group()
            new = self.nested(joined, depth + 1).split("\n")
            if len(new) != len(lines[2::2]):
                return f"{lines[1]}{MASK}"
            lines[2::2] = new
            return "".join(lines)

        return _EVENT.sub(masked, value)

    def _percent(self, value: str, depth: int, held: HeldWords) -> str:
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
                    out += [
                        value[done : token.start()],
                        held.hold(word, self.secret(follows, word)),
                    ]
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
                out += [
                    value[done : token.start()],
                    held.hold(word, percent.redo(new, raw).decode()),
                ]
                done = token.end()
        return "".join([*out, value[done:]])

    def _run(self, run: re.Match[str], depth: int, cut: bool) -> str:
        from app.contract.decoding import base64, charset

        word, whole = run.group(), run.string
        if "%" in (whole[run.start() - 1 : run.start()], whole[run.end() : run.end() + 1]):
            return word  # part of a percent-encoded word, which was read
        at = coded.start(word)
        if at < 0:
            return word
        # What follows a slash may be another step of a path.
        end, ends = len(word), [len(word)]
        while len(ends) < _ENDS and (end := word.rfind("/", at, end)) > at:
            ends.append(end)
        for end in ends:
            said = word[at:end].encode()
            undone = base64.undo(said, BODY_CAP) or b""
            if end < len(word) and not (
                readable(undone)
                or _is_whole(undone)
                or self.told(undone) is not None
                or charset.name(undone)[:3] == "utf"
            ):
                continue
            new = self.decoded(said, depth, cut)
            if new is not None and text(new) != word[at:end]:
                return word[:at] + text(new) + word[end:]
        return word

    def _within(self, value: str, depth: int) -> str:
        """Text with JSON somewhere in it."""
        out, done = list[str](), 0
        while (at := value.find("{", done)) >= 0:
            end = end_of(value, at)
            new = self.document(value[at:end], depth + 1) or value[at:end]
            out += [value[done:at], new]
            done = end
        return "".join([*out, value[done:]])

    def decoded(self, data: bytes, depth: int, cut: bool) -> bytes | None:
        """Base64 or hexadecimal text, masked in what it stands for; None where it is none, or
        stands for nothing that could be read."""
        from app.contract.decoding import base64

        if len(data) < base64.SHORTEST:
            return None
        undone = base64.undo(data, max(self.left, 0) + 1, cut)
        if undone is None:
            return None
        if not self.sense(undone, cut):
            # Of another format of bytes, in which names stand as they are: MessagePack, CBOR, BSON.
            named = _NAMED.search(undone) and self.names.known
            return self.withheld("unmaskable").encode() if named else None
        new = self.enclosed(undone, depth, cut)
        return data if new == undone else base64.redo(new, data)

    def sense(self, data: bytes, cut: bool) -> bool:
        """True if somebody may have encoded these bytes: others are by chance what base64 reads."""
        from app.contract.decoding import charset, compressed, protobuf

        return bool(
            _BEGINS.match(data)
            or self.told(data) is not None
            or readable(data, cut)
            or compressed.named(data)
            or charset.name(data)
            or (len(data) >= 12 and (protobuf.split(data) or protobuf.framed(data)))
            or (cut and _is_cut(data))
        )

    def enclosed(self, data: bytes, depth: int, cut: bool = False, strict: bool = False) -> bytes:
        """Masks what an encoding or a carrier holds; withheld where it cannot be read."""
        self.opened += 1
        self.left -= len(data)
        if self.opened > OPENED:
            return self.beyond("opened").encode()
        if self.left < 0:
            return self.beyond("decoded").encode()
        try:
            return self.content(data, depth + LAYER, cut, strict)
        except Unreadable as unread:
            return self.withheld(unread.reason).encode()

    def content(self, data: bytes, depth: int, cut: bool = False, strict: bool = True) -> bytes:
        """Bytes of any kind, masked. Raises Unreadable where they cannot be read and may hold what
        the profile calls sensitive; if not `strict`, only where they claim to be readable."""
        if not data:
            return data
        if depth > DEPTH:
            self.names.beyond("depth")
            raise Unreadable("bounds")
        from app.contract.decoding import charset, protobuf

        if self.packed(data, cut):
            return self._compressed(data, depth, cut, strict)
        if not cut and self.told(data) is not None:
            found = self.carrier("envelope", data, depth, cut, strict)
            return self.json(data, depth) if found is None else found
        if (plain := readable(data, cut)) is not None:
            new = raw(self.read(plain, depth, cut))
            return new if new != raw(plain) else data
        for name in ("envelope", "multipart"):
            if (new_ := self.carrier(name, data, depth, cut, strict)) is not None:
                return new_
        if undone := charset.undo(data, BODY_CAP * 4, cut):
            new = self.enclosed(undone, depth, cut, strict)
            return data if new == undone else charset.redo(new, data)
        if (
            cut
            and (self.names.reads_bodies or self.names.maybe(data))
            and (protobuf.fields(data) is None and _is_cut(data))
        ):
            raise Unreadable("nameless")
        if protobuf.split(data) is None and (plain := readable(data, cut, odd=True)) is not None:
            return raw(self.read(plain, depth, cut))
        if (new_ := self.message(data, depth, cut, strict)) is not None:
            return new_
        if strict and (self.names.reads_bodies or (self.names.known and _NAMED.search(data))):
            raise Unreadable("unmaskable")
        return self.names.replace(data, self.text_secret) if self.names.maybe(data) else data

    def packed(self, data: bytes, cut: bool) -> bool:
        """True for compressed bytes; text may begin as they do."""
        from app.contract.decoding import compressed

        return bool(compressed.named(data)) and (
            readable(data, cut) is None or compressed.undo(data, BODY_CAP) is not None
        )

    def _compressed(
        self,
        data: bytes,
        depth: int,
        cut: bool,
        strict: bool,
        masked: Callable[[bytes, bool], bytes] | None = None,
    ) -> bytes:
        """Masks what is compressed, by `masked` if that is given."""
        from app.contract.decoding import compressed

        cap = max(min(self.left, 4 * BODY_CAP), 1)
        found = compressed.opened(data, cap)
        if found is None:
            if self.names.reads_bodies:
                raise Unreadable("encoding")
            return data
        undone, whole, asides = found
        if len(undone) >= cap and not whole:
            self.names.beyond("decoded")
            raise Unreadable("bounds")
        cut |= not whole
        if masked is not None:
            self.left -= len(undone)
            new = masked(undone, cut)
        else:
            new = self.enclosed(undone, depth, cut, strict)
        beside = tuple(one._replace(value=self.enclosed(one.value, depth)) for one in asides)
        # Bytes that nobody could read go where they may hold what is sensitive.
        kept = (new, beside) == (undone, asides) and (whole or not self.names.reads_bodies)
        return data if kept else compressed.redo(new, data, beside)


def _is_whole(data: bytes) -> bool:
    """True for compressed bytes with their end, and nothing behind it."""
    from app.contract.decoding import compressed

    return compressed.undo(data, BODY_CAP) is not None and compressed.is_all(data)


def _is_cut(data: bytes) -> bool:
    """True if a message of protobuf may begin so, or one in one."""
    from app.contract.decoding import protobuf

    found = protobuf.fields(data, cut=True)
    if found or data[:1] not in (b"\n", b"\x12", b"\x1a"):
        return bool(found)
    length, start = protobuf.varint(data, 1)  # its first field was cut
    return (
        start > 0 and length > len(data) - start and CONTROL.search(text(data[start:])) is not None
    )
