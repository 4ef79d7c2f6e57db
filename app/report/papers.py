"""A profile's papers: what a report hands to an auditor about it, as its file says.

Called with the files that `app.profiles` has read: by the API, and by those who read a store
themselves.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from app.report.classes import profiles_word
from app.report.coverage import Gap, profile_refused
from app.store.classes import ProfileClasses

if TYPE_CHECKING:  # loads slowly, and most commands get their papers from the API
    from app.profiles.about import Switch
    from app.profiles.known import KnownProfiles, Origin
    from app.profiles.schema import ProfileFile


_DECODED = re.compile(r"›[^.\[›]*|\[\d*\]")  # how a path's value was opened, and lists
ASKED = {
    "licence": "it is not stated whether a licence of the product asks for its telemetry",
    "evidence": "it is not stated where its rules were seen or documented, and when",
}


ORIGINS = {
    "kept": "not in use; captures are read by the one of this id that was in use last",
    "added": "not in use; captures are read by the one that was added",
    "shipped": "not in use; captures are read by the one that comes with telemock",
}


class Claim(msgspec.Struct, kw_only=True):
    """`verified`: the day or month in which the source was last read."""

    claim: str
    source: str
    verified: str


class NamedField(msgspec.Struct, kw_only=True):
    """A field as a profile names it: `query.NAME`, `header.NAME`, `path.NAME`, `body.NAME` (a key
    at any depth) or `any.NAME`."""

    field: str

    def names(self, path: str) -> bool:
        """True of a path of the inventory: by its whole name, or by its last ones in a body."""
        where, _, name = _DECODED.sub("", path.lower()).partition(".")
        part, _, wanted = self.field.lower().partition(".")
        if part not in (where, "any"):
            return False
        return name == wanted or (where == "body" and name.endswith(f".{wanted}"))


class SensitiveField(NamedField, kw_only=True):
    """`how`: drop, mask, token or keep."""

    how: str


class SaidField(NamedField, kw_only=True):
    """A field whose class the profile says."""

    class_: str = msgspec.field(name="class")


class Statement(msgspec.Struct, kw_only=True):
    """The vendor's `words` on what is sent, and the patterns of `fields` that carry it."""

    words: str
    fields: list[str]
    source: str
    verified: str


class Paper(msgspec.Struct, kw_only=True):
    """`licence` is "" where its file states none. `every`: how often an instance sends, "" where
    there is no such time or nothing is known; `when`: what its file says beside. `opt_out`: the
    documented ways to switch the telemetry off, in words.
    `no_list`: what was found in place of a list of what is sent, where the vendor has none.
    `origin`: "in use"; of one that is not, which one captures are read by, see ORIGINS."""

    profile: str
    title: str
    hosts: list[str]
    licence: str
    licence_note: str
    evidence: list[Claim]
    unknown: list[str]
    sensitive: list[SensitiveField]
    classes: list[SaidField] = []
    every: str = ""
    when: str = ""
    opt_out: list[str] = []
    documented: list[Statement] = []
    no_list: list[Claim] = []
    origin: str = "in use"

    @property
    def asked(self) -> list[tuple[str, str]]:
        """Lists what its file does not state, and why that is asked for."""
        lacking = [name for name in ASKED if not getattr(self, name)]
        return [(name, ASKED[name]) for name in lacking]

    @property
    def sends(self) -> str:
        """The times at which an instance sends, in words; "" where nothing is known."""
        return ". ".join(filter(None, (self.every and f"every {self.every}", self.when)))


PaperOf = Callable[[str], Paper | None]


def no_paper(profile: str) -> None:
    """Knows no profile."""


class Papers:
    """Of the profiles that captures are read by: those `in_use`, and others by their ids."""

    def __init__(self, known: "KnownProfiles") -> None:
        self.known = known
        self.in_use = papers_of(one.written for one in known.in_use)
        self._found = {paper.profile: paper for paper in self.in_use}

    def find(self, profile: str) -> Paper | None:
        if profile not in self._found and (found := self.known.find(profile)):
            self._found[profile] = _paper(found.written, self.known.origin(profile))
        return self._found.get(profile)

    def of(self, profiles: Iterable[str]) -> list[Paper]:
        """Those in use, and of the others those that are named."""
        return [*self.in_use, *named(profiles, self.in_use, self.find)]

    def titles(self, profiles: Iterable[str]) -> list[tuple[str, str]]:
        """Of those that `of` has: id and title."""
        return [(paper.profile, paper.title) for paper in self.of(profiles)]

    @cached_property
    def word(self) -> ProfileClasses:
        return profiles_word(self.find)


def named(profiles: Iterable[str], in_use: Iterable[Paper], find: PaperOf) -> list[Paper]:
    """The papers of these profiles that are not in use."""
    others = {*profiles} - {paper.profile for paper in in_use}
    return [paper for id in sorted(others) if (paper := find(id))]


def known_papers(
    profiles: Sequence[str | Path], added: Path | None
) -> tuple[Papers, Sequence[Gap]]:
    """The papers of these profiles, which are in use, and of those that captures name. None, and
    why, if a file is refused: it may be meant in place of one that would be found."""
    from app.profiles.compile import load  # slow to load, and only reports need it
    from app.profiles.known import KnownProfiles, known
    from app.profiles.problems import ProfileError

    try:
        good = load(profiles).good.values() if profiles else ()
    except ProfileError as e:
        return Papers(KnownProfiles((), ())), (profile_refused(str(e)),)
    return Papers(known(good, added)), ()


def papers_of(files: Iterable["ProfileFile"]) -> list[Paper]:
    return list(map(_paper, files))


def _paper(written: "ProfileFile", origin: "Origin" = "in use") -> Paper:
    return Paper(
        origin=origin,
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
        classes=[SaidField(field=f, class_=c) for f, c in written.classes.items()],
        every=(written.cadence and written.cadence.every) or "",
        when=_line((written.cadence and written.cadence.note) or ""),
        opt_out=list(map(switch_words, written.opt_out)),
        documented=list(_statements(written)),
        no_list=[
            Claim(claim=_line(page.none), source=_line(page.source), verified=page.verified)
            for page in written.documented
            if page.none
        ],
    )


def _statements(written: "ProfileFile") -> Iterator[Statement]:
    for page in written.documented:
        for of in page.sends:
            yield Statement(
                words=_line(of.words), fields=of.fields, source=_line(page.source),
                verified=page.verified,
            )  # fmt: skip


def switch_words(switch: "Switch") -> str:
    """A switch in one line."""
    parts = [" ".join(f"{name}={value}" for name, value in switch.env.items()),
             " ".join(switch.args), *(f"a file {path}" for path in switch.files),
             _line(switch.setting or "")]  # fmt: skip
    note = f" ({_line(switch.note)})" if switch.note else ""
    return " and ".join(filter(None, parts)) + note


def _line(text: str) -> str:
    return " ".join(text.split())
