"""The class of a whole field; and the profiles' words laid over the detectors'.

Called by everything that prints fields. A person beats a profile, a profile beats a detector.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from app.contract.classes import SAYS_PERSON, SAYS_PROFILE, SURE, gravest
from app.contract.instant import iso
from app.store import FieldRow

if TYPE_CHECKING:
    from app.report.papers import Paper, SaidField


class FieldClass(msgspec.Struct, frozen=True):
    """`by` is a detector, `profile` or `person`; then `who` and `at` (ISO 8601) say more."""

    id: str = ""
    by: str = ""
    confidence: float = 0.0
    who: str = ""
    at: str = ""

    @property
    def said(self) -> str:
        """Who said so, in words."""
        if self.by == SAYS_PERSON:
            return f"{self.who or 'a person'}{f', {self.at}' if self.at else ''}"
        if self.by == SAYS_PROFILE:
            return "the profile"
        return f"{self.by}, {self.confidence:.0%}" if self.by else ""


NO_CLASS = FieldClass()


def class_of_field(rows: Iterable[FieldRow]) -> FieldClass:
    """The class of all rows of one field: the gravest that is sure, else the surest."""
    known = [row for row in rows if row.class_]
    if not known:
        return NO_CLASS
    sure = [row for row in known if row.confidence >= SURE]
    if sure:
        id = gravest({row.class_ for row in sure})
        known = [row for row in sure if row.class_ == id]
    best = max(known, key=lambda row: row.confidence)
    at = iso(best.class_at_ns) if best.class_at_ns else ""
    return FieldClass(best.class_, best.class_by, best.confidence, best.who, at)


def classed(rows: Sequence[FieldRow], papers: Iterable["Paper"]) -> list[FieldRow]:
    """The rows with the profiles' words, where no person said anything."""
    said = {paper.profile: paper.classes for paper in papers if paper.classes}
    if not said:
        return list(rows)
    return [_classed(row, said.get(row.profile, ())) for row in rows]


def _classed(row: FieldRow, said: Sequence["SaidField"]) -> FieldRow:
    if not row.class_ or row.class_by == SAYS_PERSON:
        return row
    for one in said:
        if one.names(row.path):
            return replace(row, class_=one.class_, class_by=SAYS_PROFILE, confidence=1.0)
    return row
