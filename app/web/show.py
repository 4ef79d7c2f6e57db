"""Numbers, times and captured text for the templates, as filters."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup

from app.contract.instant import iso
from app.escape import paragraphs, plain
from app.store import SHORT_BOOT, Term, filter

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def href(path: str, **given: str | None) -> str:
    """An address of ours with those parameters that have a value."""
    asked = {name: value for name, value in given.items() if value}
    return f"{path}?{urlencode(asked)}" if asked else path


def seek(words: str, **terms: str) -> str:
    """The address of the captures that fit the words of a filter, and these terms."""
    more = [filter.word(Term(name, ":", (value,))) for name, value in terms.items() if value]
    return href("/captures", q=" ".join([*([words] if words else []), *more]))


def number(value: int) -> str:
    """12431 as 12,431."""
    return f"{value:,}"


def size(value: float) -> str:
    """Bytes in the unit that leaves one to four digits."""
    unit = 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value /= 1024
        unit += 1
    return (
        f"{value:.0f} {_UNITS[unit]}"
        if unit == 0 or value >= 100
        else f"{value:.1f} {_UNITS[unit]}"
    )


def moment(value: int | str) -> Markup:
    """A time in UTC, as people read it; the exact one is in the element's `datetime`."""
    exact = iso(value) if isinstance(value, int) else value
    return Markup('<time datetime="{}">{}</time>').format(exact, exact[:19].replace("T", " "))


def stamp(time_ns: int) -> str:
    """A time in UTC as a date field takes it."""
    return iso(time_ns)[:16]


def coded(value: str) -> Markup:
    """A sentence of ours, with what stands in backticks as code."""
    parts = plain(value, 600).split("`")
    code = Markup("<code>{}</code>")
    return Markup("").join(code.format(p) if n % 2 else p for n, p in enumerate(parts))


_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_BOOT = re.compile(r"[0-9a-f]{32}", re.ASCII)


def cell(value: str) -> Markup:
    """A text of a report's table: a time as people read it, of a boot its short form."""
    text = str(value)
    if _TIME.fullmatch(text):
        return moment(text)
    if _BOOT.fullmatch(text):
        return Markup('<span class="mono" title="{}">{}…</span>').format(text, text[:SHORT_BOOT])
    return Markup("<bdi>{}</bdi>").format(plain(text, 600))


def lines(value: str) -> str:
    """Text of several lines; nothing in it acts."""
    return paragraphs(value)


def plural(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


FILTERS: Mapping[str, Any] = {
    "cell": cell, "one": plain, "lines": lines, "number": number, "size": size, "moment": moment,
    "stamp": stamp, "coded": coded, "plural": plural, "pair": lambda value: (value, value),
}  # fmt: skip
