"""A profile's papers: what a report hands to an auditor about it, as its file says.

Called with the files that `app.profiles` has read: by the API, and by those who read a store
themselves.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:  # loads slowly, and most commands get their papers from the API
    from app.profiles.schema import ProfileFile


class Claim(msgspec.Struct, kw_only=True):
    """`verified`: the day or month in which the source was last read."""

    claim: str
    source: str
    verified: str


class SensitiveField(msgspec.Struct, kw_only=True):
    """`how`: drop, mask, token or keep."""

    field: str
    how: str


class Paper(msgspec.Struct, kw_only=True):
    """`cadence_s`: seconds between two requests of one instance, 0 if the profile does not tell."""

    profile: str
    title: str
    hosts: list[str]
    licence: str
    licence_note: str
    evidence: list[Claim]
    unknown: list[str]
    sensitive: list[SensitiveField]
    cadence_s: int = 0


def papers_of(files: Iterable["ProfileFile"]) -> list[Paper]:
    return list(map(_paper, files))


def _paper(written: "ProfileFile") -> Paper:
    return Paper(
        profile=written.id,
        title=written.title,
        hosts=[host.name for host in written.hosts],
        licence=written.licence.class_,
        licence_note=_line(written.licence.note),
        evidence=[
            Claim(claim=_line(e.claim), source=_line(e.source), verified=e.verified)
            for e in written.evidence
        ],
        unknown=list(map(_line, written.unknown)),
        sensitive=[SensitiveField(field=s.field, how=s.as_) for s in written.sensitive],
        cadence_s=_seconds(written.cadence) if written.cadence else 0,
    )


def _seconds(cadence: str) -> int:
    from app.profiles.schema import seconds  # here, for it loads slowly

    return seconds(cadence)


def _line(text: str) -> str:
    return " ".join(text.split())
