"""JSON text of which only some values are replaced: all other bytes stay as they came.

Used by the masking on text that a JSON reader has accepted.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import NamedTuple

_BLANK = re.compile(r"[ \t\n\r]*")
_SCALAR = re.compile(r"[^\s\[\]{},:\"]+")
_STRUCTURE = re.compile(r'"(?:[^"\\]++|\\.)*+"|[\[\]{}]', re.DOTALL)
_MEMBER = re.compile(
    r'"([^"\\]*+)"[ \t\n\r]*+:[ \t\n\r]*+'
    r'(?:"([^"\\]*+)"|([^\s\[\]{},:"]++))[ \t\n\r]*+,?[ \t\n\r]*+'
)
_NUMBERS = re.compile(r'(?:[^\s\[\]{},:"]{1,12}+(?![^\s\[\]{},:"])[ \t\n\r]*+,?[ \t\n\r]*+)++')
_UNITS = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|.", re.DOTALL
)
_scan = json.JSONDecoder(strict=False).raw_decode
_SCALARS = re.compile(r'"(?:[^"\\]++|\\.)*+"|[^\s\[\]{},:"]+', re.DOTALL)


class Edit(NamedTuple):
    """A replacement for a part of the text."""

    start: int
    end: int
    by: str


def applied(text: str, edits: Sequence[Edit]) -> str:
    """The text with these edits, none of which overlap."""
    if not edits:
        return text
    out, done = [], 0
    for start, end, by in sorted(edits):
        out += [text[done:start], by]
        done = end
    return "".join([*out, text[done:]])


def outside(edits: Sequence[Edit], parts: Sequence[tuple[int, int]]) -> list[Edit]:
    """The edits that lie in none of these parts, which follow one another."""
    starts = [start for start, _ in parts]

    def inside(edit: Edit) -> bool:
        before = bisect_right(starts, edit.start) - 1
        return before >= 0 and edit.start < parts[before][1]

    return [edit for edit in edits if not inside(edit)] if parts else list(edits)


def blank(text: str, at: int) -> int:
    """The end of the white space that begins here."""
    found = _BLANK.match(text, at)
    return found.end() if found else at


def string(text: str, at: int) -> tuple[str, int]:
    """The string that begins here, and where it ends."""
    value, end = _scan(text, at)
    return str(value), end


def end_of(text: str, at: int) -> int:
    """The end of the value that begins here."""
    if text[at] == '"':
        return string(text, at)[1]
    if text[at] not in "{[":
        found = _SCALAR.match(text, at)
        return found.end() if found else at + 1
    depth = 0
    for token in _STRUCTURE.finditer(text, at):
        first = text[token.start()]
        depth += (first in "{[") - (first in "}]")
        if not depth:
            return token.end()
    return len(text)


def next_(text: str, at: int) -> int:
    """The start of the next member, or the end of the list or object."""
    at = blank(text, at)
    return blank(text, at + 1) if text[at] == "," else at


def plain_member(text: str, at: int) -> re.Match[str] | None:
    """The member that begins here, up to where the next one begins: its name, and its value as a
    string or as anything else. None where either is written in another way than it reads, or has
    members itself."""
    return _MEMBER.match(text, at)


def numbers(text: str, at: int) -> tuple[int, int]:
    """Counts the short numbers and literals of a list from here on; with the start of what follows
    them."""
    found = _NUMBERS.match(text, at)
    if found is None:
        return 1, next_(text, end_of(text, at))
    run = found.group()
    return run.count(",") + (not run.rstrip().endswith(",")), found.end()


def quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def requoted(new: str, old: str, raw: str) -> str:
    """The string `raw`, which says `old`, as it says `new`: what both begin and end with stays as
    it is written."""
    if "\\" not in raw:
        return quoted(new)
    ahead = _common(old, new)
    behind = _common(old[ahead:][::-1], new[ahead:][::-1])
    units = _UNITS.findall(raw[1:-1])
    if len(units) != len(old):  # half of a surrogate
        return quoted(new)
    changed = quoted(new[ahead : len(new) - behind])[1:-1]
    return "".join(['"', *units[:ahead], changed, *units[len(units) - behind :], '"'])


def _common(one: str, other: str) -> int:
    """The length of the common beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


def scalars_changed(text: str, change: Callable[[str], str]) -> str:
    """The text with each string (names of fields too), number and literal that `change` changes as
    the string that it gives."""

    def changed(match: re.Match[str]) -> str:
        token = match.group()
        plain = string(token, 0)[0] if token[0] == '"' else token
        new = change(plain)
        if new == plain:
            return token
        return requoted(new, plain, token) if token[0] == '"' else quoted(new)

    return _SCALARS.sub(changed, text)
