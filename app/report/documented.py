"""Compares what a vendor documents with what was seen: in three columns, of each profile that has
the vendor's list; of others it says that the vendor publishes none.

Called by `app.report.build`; contracts take the same comparison (`app.gate.freeze`).
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import re2

from app.report.papers import Claim, Paper, Statement
from app.store import OTHER, FieldRow

# Headers that every request has, and that tell nothing of who sends it.
_TRANSPORT = frozenset(
    f"header.{name}" for name in (
        "accept", "accept-encoding", "connection", "content-encoding", "content-length",
        "content-type", "date", "host", "te", "transfer-encoding",
    )
)  # fmt: skip
_HOLDERS = frozenset(("object", "array"))  # their fields are compared, not they
_DECODED = re.compile(r"›[\w›-]+|\[\]")


class DeclaredField(msgspec.Struct, kw_only=True):
    """A field that was seen, and the vendor's words for it."""

    field: str
    words: list[str]


class Declared(msgspec.Struct, kw_only=True):
    """`seen`: documented and seen. `undocumented`: paths of fields that were seen and are in no
    statement. `unseen`: statements of which no field was seen; without patterns nobody knows
    which would carry it. `no_list`: the vendor has none, so that there is nothing to compare."""

    profile: str
    seen: list[DeclaredField]
    undocumented: list[str]
    unseen: list[Statement]
    no_list: list[Claim] = []


def declared(fields: Iterable[FieldRow], papers: Sequence[Paper]) -> list[Declared]:
    """A profile of which nothing was seen is left out, unless it is the only one."""
    paths: dict[str, dict[str, set[str]]] = {}
    for row in fields:
        if row.path != OTHER:
            paths.setdefault(row.profile, {}).setdefault(row.path, set()).add(row.type)
    return [
        compared(paper, paths.get(paper.profile, {}))
        for paper in papers
        if (paper.documented or paper.no_list)
        and (paper.profile in paths or (len(papers) == 1 and not paths))
    ]


def compared(paper: Paper, types: Mapping[str, set[str]]) -> Declared:
    """`types` are those of each path that was seen."""
    said = statements(paper)
    found = Declared(
        profile=paper.profile, seen=[], undocumented=[], unseen=[], no_list=paper.no_list
    )
    if paper.no_list:
        return found
    met: set[int] = set()
    for path in carriers(types):
        numbers = said(path)
        met.update(numbers)
        if numbers:
            words = [paper.documented[n].words for n in numbers]
            found.seen.append(DeclaredField(field=path, words=words))
        else:
            found.undocumented.append(path)
    found.unseen = [one for n, one in enumerate(paper.documented) if n not in met]
    return found


def no_list(found: Iterable[Claim]) -> str:
    """The sentence on a vendor without a list, "" without anything found in its place."""
    sources = "; ".join(f"{one.source}, {one.verified}" for one in found)
    return f"the vendor publishes no list of what is sent ({sources})" if sources else ""


def unseen(said: Statement) -> str:
    """The words of a statement of which nothing was seen."""
    return said.words + ("" if said.fields else " (which field carries it is not known)")


def carriers(types: Mapping[str, set[str]]) -> list[str]:
    """The paths that carry something of the sender's: no containers, no headers of transport."""
    opened = {path.partition("›")[0] for path in types if "›" in path}
    return [
        path for path in sorted(types)
        if path not in _TRANSPORT and path not in opened and not types[path] <= _HOLDERS
    ]  # fmt: skip


def statements(paper: Paper) -> Callable[[str], Sequence[int]]:
    """Finds the statements on a path, by their numbers in the paper."""
    patterns = [
        (number, *_pattern(field))
        for number, one in enumerate(paper.documented)
        for field in one.fields
    ]

    def said(path: str) -> Sequence[int]:
        part, _, name = _DECODED.sub("", path).lower().partition(".")
        last = name.rpartition(".")[2]
        return list(dict.fromkeys(
            number for number, where, pattern, is_whole in patterns
            if where in (part, "any")
            and (pattern.fullmatch(name) or (not is_whole and pattern.fullmatch(last)))
        ))  # fmt: skip

    return said


@lru_cache(maxsize=4_096)
def _pattern(field: str) -> tuple[str, Any, bool]:
    """The part of the request, the name as a regular expression, and True for a whole path. RE2 is
    linear, however many stars there are."""
    part, _, name = field.lower().partition(".")
    text = ".*".join(map(re2.escape, name.split("*")))
    return part, re2.compile(f"(?s){text}"), "." in name
