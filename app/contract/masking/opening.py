"""The masking of what values carry: encoded text, compressed bytes, and documents in any format of
`app.contract.decoding`, inside each other. What was opened is closed again as it was.

Used by the masking of one record. Bounded by depth, and by decoded bytes and opened values of one
record: what lies beyond is withheld, never kept unread.
"""

import re
from typing import TYPE_CHECKING

from app.contract.masking import coded
from app.contract.masking.bounds import DECODED, DEPTH, LAYER, OPENED
from app.contract.masking.formats import Formats, Unreadable, raw, readable
from app.contract.masking.spans import end_of
from app.contract.masking.spelling import How
from app.contract.record import BODY_CAP, text

if TYPE_CHECKING:
    pass

_BEGINS = re.compile(rb"[\t\r\n\x20-\x7e]{9}")
_OPENINGS = '{[<-"\ufeff \n\t\r(\x1f\x08\x12\x1a'
_WIDE = re.compile(r"[^\0]\0[^\0]\0|\0[^\0]\0[^\0]")
# gzip and zstd in a text, which has lost some of their bytes.
_LOST = re.compile("\x1f(?:\\\\x8b|\ufffd)\x08|\\((?:\\\\xb5|\ufffd)/(?:\\\\xfd|\ufffd)")
_ENDS = 4  # at which a word may end
_MARK = re.compile("\ue000([0-9]{1,6})\ue001")
_TOKEN = re.compile(r"[^\s\"'<>&=?#;,]+")


class HeldWords:
    """Words of a text that were masked by themselves, and must not be taken for a value again when
    the text is: marks stand for them meanwhile."""

    def __init__(self) -> None:
        self._words: list[str] = []

    def hold(self, old: str, new: str) -> str:
        """A mark for the new word where it is another than the old one."""
        if new == old:
            return old
        self._words.append(new)
        return f"\ue000{len(self._words) - 1}\ue001"

    def release(self, value: str) -> str:
        return _MARK.sub(self._word, value) if self._words else value

    def _word(self, mark: re.Match[str]) -> str:
        number = int(mark.group(1))
        return self._words[number] if number < len(self._words) else mark.group()


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

    def _lines(self, value: str, depth: int, cut: bool) -> str:
        """Text with a document in some of its lines."""
        lines = value.split("\n")
        for i, line in enumerate(lines):
            if line.strip():
                last = cut and i == len(lines) - 1
                read = self.nested if line[:1] in "{[" else self.flat
                lines[i] = read(line, depth + 1, last)
        return self.plain("\n".join(lines))

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
        from app.contract.decoding import base64, compressed

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
            if end < len(word) and not (readable(undone) or compressed.named(undone)):
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
        if undone is None or not self.sense(undone, cut):
            return None
        new = self.enclosed(undone, depth, cut)
        return data if new == undone else base64.redo(new, data)

    def sense(self, data: bytes, cut: bool) -> bool:
        """True if somebody may have encoded these bytes: others are by chance what base64 reads."""
        from app.contract.decoding import charset, compressed, protobuf

        return bool(
            _BEGINS.match(data)
            or readable(data, cut)
            or compressed.named(data)
            or charset.name(data)
            or (len(data) >= 12 and protobuf.split(data))
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
        if (plain := readable(data, cut)) is not None:
            new = raw(self.read(plain, depth, cut))
            return new if new != raw(plain) else data
        from app.contract.decoding import charset, compressed, envelope, multipart, protobuf
        from app.contract.decoding.splice import splice

        if compressed.named(data):
            return self._compressed(data, depth, cut, strict)
        for split, join in ((envelope.split, envelope.join), (multipart.split, splice)):
            if parts := split(data):
                return self.parts(data, parts, join, depth, cut, strict=strict)
        if undone := charset.undo(data, BODY_CAP * 4, cut):
            new = self.enclosed(undone, depth, cut, strict)
            return data if new == undone else charset.redo(new, data)
        fields = protobuf.split(data)
        if fields is None and (plain := readable(data, cut, odd=True)) is not None:
            return raw(self.read(plain, depth, cut))
        if strict and self.names.reads_bodies and not self.numbered and not self._telemetry(data):
            framed = protobuf.framed(data)
            raise Unreadable("nameless" if fields or framed else "unmaskable")
        if framed := protobuf.framed(data):
            return self.parts(data, framed, protobuf.join_framed, depth, cut, strict=strict)
        if fields:
            return self._numbered(data, fields, depth, None)
        if strict and self.names.reads_bodies:
            raise Unreadable("unmaskable")
        return self.names.replace(data, self.text_secret) if self.names.maybe(data) else data

    def _telemetry(self, data: bytes) -> bool:
        """True for a message of OpenTelemetry's, if none of its own names is sensitive: what else
        is has a name in text before it."""
        from app.contract.decoding.messages import NAMES, is_named, message
        from app.contract.decoding.opening import Opener

        of_field = self.names.of_field
        own = any(of_field(name, name.lower()) not in (None, "keep") for name in NAMES)
        return not own and is_named(message(data, Opener()))

    numbered = False  # messages without names may be kept in a profile that has sensitive names

    def _compressed(self, data: bytes, depth: int, cut: bool, strict: bool) -> bytes:
        from app.contract.decoding import compressed

        cap = max(min(self.left, 4 * BODY_CAP), 1)
        found = compressed.opened(data, cap)
        if found is None:
            if self.names.reads_bodies:
                raise Unreadable("encoding")
            return data
        undone, whole = found
        if len(undone) >= cap and not whole:
            self.names.beyond("decoded")
            raise Unreadable("bounds")
        all_ = whole and compressed.is_all(data)
        new = self.enclosed(undone, depth, cut or not all_, strict)
        # Bytes that nobody could read go where they may hold what is sensitive.
        kept = new == undone and (all_ or not self.names.reads_bodies)
        return data if kept else compressed.redo(new, data)
