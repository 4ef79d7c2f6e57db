"""The masking oracle's fourth table: secrets in the formats of vendors, under names of many
languages, in lines as people write them, and in carriers that the other tables have not; and what
looks like them and must stay.

`formats`, `lines` and `places` are its parts. Each secret is made from its pattern by a seeded
generator, so that no scanner of secrets takes these files for a leak.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tests.at_large.formats import FORMATS
from tests.at_large.harmless import harmless
from tests.at_large.lines import LINES
from tests.at_large.made import made
from tests.at_large.places import NAMED, NAMES, PLACES, text
from tests.planted import ALONE, TEXT, Case, posted

__all__ = ["LARGE", "cases", "every", "harmless"]

LARGE = "Lq8vat"  # in every secret that stands under a name or in a line
# By which carrier a format is given: each format goes by three of them.
_BY = (
    "query", "header", "path", "json text", "json in json", "base64 in json", "form", "multipart",
    "xml", "text", "gzip", "json key",
)  # fmt: skip


class Made(NamedTuple):
    kind: str
    case: Case


def every() -> Iterator[Made]:
    """A secret in each."""
    for number, (what, pattern) in enumerate(FORMATS.items()):
        value = made(pattern)
        line = max(value.splitlines(), key=len)
        for step in range(3):
            carrier = _BY[(number + 5 * step) % len(_BY)]
            sent = ALONE[carrier](value)
            yield Made("format", Case(f"{what}, {carrier}", line.strip(), sent))
    number = 0
    for at, name in enumerate(NAMES):
        for carrier in list(NAMED)[at % 2 :: 2]:
            make, fits = NAMED[carrier]
            if fits is None or fits.fullmatch(name):
                number += 1
                value = f"{LARGE}{number:04}nR2w"
                yield Made("name", Case(f"{name}, {carrier}", value, make(name, value)))
    for at, (what, line) in enumerate(LINES.items()):
        value = f"{LARGE}L{at:04}xD5"
        sent = text(line.format(value)) if at % 2 else posted(line.format(value), TEXT)
        yield Made("line", Case(what, value, sent))
    for at, (what, make_) in enumerate(PLACES.items()):
        value = f"{LARGE}P{at:04}yC7"
        yield Made("place", Case(what, value, make_(value)))


def cases() -> Iterator[Case]:
    return (one.case for one in every())
