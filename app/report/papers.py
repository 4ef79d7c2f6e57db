"""A profile's papers: what a report hands to an auditor about it, as its file says.

Called with the files that `app.profiles` has read: by the API, and by those who read a store
themselves.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:  # loads slowly, and most commands get their papers from the API
    from app.profiles.about import Switch
    from app.profiles.schema import ProfileFile


ASKED = {
    "licence": "it is not stated whether a licence of the product asks for its telemetry",
    "evidence": "it is not stated where its rules were seen or documented, and when",
}


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
    """`licence` is "" where its file states none. `every`: how often an instance sends, "" where
    nothing is known. `opt_out`: the documented ways to switch the telemetry off, in words."""

    profile: str
    title: str
    hosts: list[str]
    licence: str
    licence_note: str
    evidence: list[Claim]
    unknown: list[str]
    sensitive: list[SensitiveField]
    every: str = ""
    opt_out: list[str] = []

    @property
    def asked(self) -> list[tuple[str, str]]:
        """Lists what its file does not state, and why that is asked for."""
        lacking = [name for name in ASKED if not getattr(self, name)]
        return [(name, ASKED[name]) for name in lacking]


def papers_of(files: Iterable["ProfileFile"]) -> list[Paper]:
    return list(map(_paper, files))


def _paper(written: "ProfileFile") -> Paper:
    return Paper(
        profile=written.id,
        title=written.title,
        hosts=[host.name for host in written.hosts],
        licence=written.licence.class_ if written.licence else "",
        licence_note=_line(written.licence.note) if written.licence else "",
        evidence=[
            Claim(claim=_line(e.claim), source=_line(e.source), verified=e.verified)
            for e in written.evidence
        ],
        unknown=list(map(_line, written.unknown)),
        sensitive=[SensitiveField(field=s.field, how=s.as_) for s in written.sensitive],
        every=written.cadence.every if written.cadence else "",
        opt_out=list(map(_switch, written.opt_out)),
    )


def _switch(switch: "Switch") -> str:
    parts = [" ".join(f"{name}={value}" for name, value in switch.env.items()),
             " ".join(switch.args), _line(switch.setting or "")]  # fmt: skip
    note = f" ({_line(switch.note)})" if switch.note else ""
    return " and ".join(filter(None, parts)) + note


def _line(text: str) -> str:
    return " ".join(text.split())
