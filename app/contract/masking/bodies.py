"""The masking of whole bodies, each in the format in which the tree of decoded values reads it.

Used by the masking of one record.
"""

from app.contract import body as bodies
from app.contract.decoding import base64, charset, compressed
from app.contract.masking.opening import Opening
from app.contract.masking.sweep import claims_text, hides
from app.contract.masking.values import Unreadable, readable
from app.contract.record import BODY_CAP

_PAIR = 4096  # bytes in which a value and its name stand


class Bodies(Opening):
    """Of one record; `decoders` are its rule's."""

    decoders: tuple[str, ...] = ()

    def whole(self, data: bytes, claimed: str, cut: bool) -> bytes:
        """All bytes of a body, masked in the format in which the tree of decoded values reads it.
        Raises Unreadable."""
        from app.contract.decoding import formats

        unusual = formats.unusual(charsets := formats.charsets(claimed))
        paired = cut and b"val" in data[-_PAIR:].lower()  # whose name may have been cut
        if not paired and not unusual and not self.names.maybe(data) and not hides(data):
            return data
        if (
            b"\0" in data
            and claims_text(claimed)
            and not (charset.name(data) or compressed.named(data))
        ):
            raise Unreadable("unmaskable")
        if self.packed(data, cut):
            return self._compressed(
                data, 0, cut, True, lambda undone, cut: self.whole(undone, claimed, cut)
            )
        for name, _ in formats.attempts(data, claimed, self.decoders):
            if (new := self.of_format(name, data, cut)) is not None:
                if unusual and name in ("form", "forms"):
                    raise Unreadable("encoding")  # its names are written in it
                return new
        if unusual and (new := self.recoded(data, charsets[0], cut)) is not None:
            return new
        if data.isascii():
            undone = base64.undo(data, BODY_CAP)
            if undone is not None and readable(undone, cut) is None and self.sense(undone, cut):
                self.content(undone, 0, cut)  # raises what may not be kept in base64 either
        return self.content(data, 0, cut)

    def recoded(self, data: bytes, charset: str, cut: bool) -> bytes | None:
        """Text in a charset that only its name tells; None where that is none."""
        try:
            written = data.decode(charset)
            new = self.read(written, 0, cut) if written else written
            if written.encode(charset) != data:
                raise Unreadable("encoding")
            return data if new == written else new.encode(charset)
        except (UnicodeError, LookupError):
            return None

    def of_format(self, name: str, data: bytes, cut: bool) -> bytes | None:
        """The body in the format; None where it is in another."""
        from app.contract.decoding import formats

        if name in ("json", "object"):
            found = formats.json(data)
            if isinstance(found, list) and (new := self.carrier("envelope", data, 0, cut, True)):
                return new
            told = isinstance(found, dict | list) or (
                name == "json" and found is not bodies.NOT_JSON
            )
            return self.unicode(data) if told else None
        if name == "lines":
            return None if cut else self.lines(data)
        if name == "forms":
            return b"\n".join(self.form(line) for line in data.split(b"\n"))
        if name == "form":
            return self.form(data)
        return self.carrier(name, data, 0, cut, True)
