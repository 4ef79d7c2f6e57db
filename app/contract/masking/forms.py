"""The masking of forms, as bodies and queries have them, and of plain text.

Used by the masking of documents. A field that is not masked stays as it came.
"""

import re
from collections.abc import Callable
from urllib.parse import quote, quote_plus, unquote_plus

from app.contract.masking.naming import groups, named
from app.contract.masking.spelling import How
from app.contract.masking.values import Values
from app.contract.record import text

_NO_FORM = re.compile(rb"[\"'<{\s]")  # what a form has only encoded


class Forms(Values):
    """Of one record."""

    def nested(self, value: str, depth: int = 0, cut: bool = False) -> str:
        """A text value, masked in all that it carries; of one that was `cut` the beginning of a
        secret at its end goes too."""
        raise NotImplementedError

    def plain(self, value: str) -> str:
        if self.names.empty(value):
            return value
        data = value.encode("utf-8", "surrogatepass")
        new = self.names.replace(data, self.text_secret)
        return value if new == data else text(new)

    def form(self, data: bytes) -> bytes:
        """A body's fields."""
        written = data.decode("utf-8", "surrogateescape")
        masked = self.fields(written, self.names.body.meaning).encode("utf-8", "surrogateescape")
        # A form in name only, such as cut JSON with a `=` in it.
        if _NO_FORM.search(masked) and self.names.maybe(masked):
            return self.names.replace(masked, self.text_secret)
        return masked

    def fields(
        self, written: str, meaning: Callable[[str], How | None], depth: int = 0, cut: bool = False
    ) -> str:
        """Fields whose value changed are written anew, the others stay as they came."""
        fields = written.split("&")
        last = len(fields) - 1 if cut else -1
        said = [f.partition("=") for f in fields]
        among = groups([unquote_plus(name) for name, _, _ in said]) if last else ()
        hows = named(among, lambda i: unquote_plus(said[i][2]), self.names.meaning)
        for i, (name, equals, value) in enumerate(said):
            plain = unquote_plus(value)
            how = meaning(unquote_plus(name)) or hows.get(i)
            if equals and plain and how != "keep":
                if ";" in value and not how and (new := self._semicolons(value, meaning, depth)):
                    fields[i] = f"{name}={new}"
                    continue
                new = self.secret(how, plain) if how else self.nested(plain, depth, i == last)
                if new != plain:
                    fields[i] = f"{name}={_requoted(new, value)}"
            elif not equals and name:
                new = self.nested(plain_name := unquote_plus(name), depth, i == last)
                if new != plain_name:
                    fields[i] = _requoted(new, name)
        return "&".join(fields)

    def _semicolons(self, written: str, meaning: Callable[[str], How | None], depth: int) -> str:
        """The same for who takes `;` for the end of a field, too; "" where that finds no name."""
        found = [field.partition("=") for field in written.split(";")]
        hows = [meaning(unquote_plus(name)) if equals else None for name, equals, _ in found]
        if not any(how not in (None, "keep") for how in hows):
            return ""
        fields = []
        for (name, equals, value), how in zip(found, hows, strict=True):
            last = value if equals else name
            plain = unquote_plus(last)
            if not plain or how == "keep":
                new = plain
            else:
                new = self.secret(how, plain) if how else self.nested(plain, depth)
            said = last if new == plain else _requoted(new, last)
            fields.append(name + equals + said if equals else said)
        return ";".join(fields)


def _requoted(new: str, old: str) -> str:
    """The field encoded, with spaces as the old one had them."""
    how = quote if "%20" in old and "+" not in old else quote_plus
    return how(new, safe="*", errors="surrogateescape")
