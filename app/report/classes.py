"""The class of a whole field, of its rows; and what profiles and people say, for `ClassWords`.

Called by everything that prints fields.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from app.contract.classes import CLASSES, SAYS_PERSON, SAYS_PROFILE, SURE, gravest
from app.contract.instant import iso
from app.store import FieldRow, SaidClass
from app.store.changes import InboxItem, NewReview
from app.store.classes import ClassWords, ProfileClasses

if TYPE_CHECKING:
    from app.report.papers import Paper


class FieldClass(msgspec.Struct, frozen=True):
    """`by` is a detector, `profile` or `person`; then `who` and `at` (ISO 8601) say more."""

    id: str = ""
    by: str = ""
    confidence: float = 0.0
    who: str = ""
    at: str = ""

    @property
    def said(self) -> str:
        """The source, in words."""
        if self.by == SAYS_PERSON:
            return f"{self.who or 'a person'}{f', {self.at}' if self.at else ''}"
        if self.by == SAYS_PROFILE:
            return "the profile"
        return f"{self.by}, {self.confidence:.0%}" if self.by else ""


NO_CLASS = FieldClass()
NOBODY = "none"  # in place of a class: what a person said is taken back


def word_on(item: InboxItem, name: str, who: str) -> SaidClass:
    """A person's word for the class of an item's field, as of now; NOBODY takes it back. Raises
    ValueError, a sentence and a hint."""
    if item.kind not in ("field", "class"):
        raise ValueError(
            f"change {item.id} has no class: it is about no field ({item.kind})"
            "\n\nhint: `telemock changes list --kind field` lists fields"
        )
    if name not in CLASSES and name != NOBODY:
        raise ValueError(
            f"{name[:60]!r} is no class of fields"
            f"\n\nhint: one of {', '.join(CLASSES)}; or {NOBODY}, to take a word back"
        )
    made = NewReview.by(who, "open", "")
    return SaidClass(
        item.profile, item.host, item.method, item.route, item.name,
        "" if name == NOBODY else name, made.who, made.at_ns,
    )  # fmt: skip


def said_of(word: SaidClass) -> FieldClass:
    """The class as a person's word says it."""
    by, sure = (SAYS_PERSON, 1.0) if word.class_ else ("", 0.0)
    return FieldClass(word.class_, by, sure, word.who, iso(word.at_ns))


def class_of_field(rows: Iterable[FieldRow]) -> FieldClass:
    """The class of all rows of one field: the gravest that is sure, else the surest."""
    known = [row for row in rows if row.class_]
    if not known:
        return NO_CLASS
    sure = [row for row in known if row.confidence >= SURE]
    if sure:
        id = gravest({row.class_ for row in sure})
        known = [row for row in sure if row.class_ == id]
    return _of_row(max(known, key=lambda row: row.confidence))


def _of_row(row: FieldRow) -> FieldClass:
    at = iso(row.class_at_ns) if row.class_at_ns else ""
    return FieldClass(row.class_, row.class_by, row.confidence, row.who, at)


def said_by(row: FieldRow) -> str:
    """The source of the row's class, in words; "-" where it has none."""
    return _of_row(row).said or "-"


def classed(rows: Sequence[FieldRow], papers: Iterable["Paper"]) -> list[FieldRow]:
    """The rows with the profiles' words, where no person said anything."""
    find = {paper.profile: paper for paper in papers}.get
    return ClassWords(profiles=profiles_word(find)).over_rows(rows)


def counted(rows: Iterable[FieldRow]) -> dict[tuple[str, str], int]:
    """The number of fields by profile and class."""
    found: dict[tuple[str, ...], list[FieldRow]] = {}
    for row in rows:
        key = (row.profile, row.host, row.method, row.route, row.path)
        found.setdefault(key, []).append(row)
    classes = ((key[0], class_of_field(of).id) for key, of in found.items())
    return dict(Counter(one for one in classes if one[1]))


def profiles_word(find: Callable[[str], "Paper | None"]) -> ProfileClasses:
    """The profiles' words on classes, for `ClassWords`."""

    @lru_cache(maxsize=4_096)
    def word(profile: str, path: str) -> str:
        paper = find(profile)
        of = (one.class_ for one in (paper.classes if paper else ()) if one.names(path))
        return next(of, "")

    return word
