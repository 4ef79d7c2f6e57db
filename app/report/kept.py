"""Lists what of the captures is not as it was sent, and why: masked and kept fields, parts that
were withheld or cut.

Called by `app.report.build`, of the store's inventory and notes.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from app.contract.classes import SURE, about, dpv_of, fides_of, in_order, rank, title
from app.contract.record import REASONS
from app.report.classes import FieldClass, class_of_field
from app.report.compare import share
from app.report.papers import Paper
from app.store import CANARY, MASKED, OTHER, FieldRow, NoteRow

_BY_ITSELF = "its name or value looks like a secret"
_SHAPES = {"masked": "mask", "token": "token"}
WHY: Mapping[str, str] = {
    **REASONS,
    OTHER: "for another reason",
    "cut": "larger than what is kept of one body; its size and hash are of all of it",
    "left_out": "more headers or parameters than are kept of one request",
}


class InventoryLine(msgspec.Struct, kw_only=True):
    """A field of one endpoint, in all versions. `class_` is one of `app.contract.classes`, "" of an
    object or array, and `classes` are all that its values have had, the gravest first; `class_by`
    is a detector, `profile` or `person`; `dpv` and `fides` are its terms there. `present`: the
    share of requests that carry it, 0 to 1."""

    profile: str
    host: str
    method: str
    endpoint: str
    field: str
    types: list[str]
    shapes: list[str]
    class_: str = msgspec.field(name="class", default="")
    class_by: str = ""
    confidence: float = 0.0
    class_who: str = ""
    class_at: str = ""
    dpv: str = ""
    fides: str = ""
    classes: list[str]
    present: float

    @property
    def class_said(self) -> str:
        """The source, in words."""
        of = FieldClass(self.class_, self.class_by, self.confidence, self.class_who, self.class_at)
        return of.said or "-"


class MaskedField(msgspec.Struct, kw_only=True):
    """A field that carried a whole value which is not kept as it came, or is kept by the profile's
    word; or a part of records (request, response, message), in which values or parts of them were
    masked. `how`: mask, token, drop or keep. `count`: requests, or records."""

    profile: str
    host: str
    method: str
    endpoint: str
    field: str
    how: str
    why: str
    count: int


class WithheldPart(msgspec.Struct, kw_only=True):
    """`part`: request, response, message or record. `count`: records."""

    profile: str
    host: str
    method: str
    endpoint: str
    part: str
    why: str
    count: int


class KnownValue(msgspec.Struct, kw_only=True):
    """A value of the pod's or the run's (`source`) that was looked for and found, itself or a
    digest of it (`how`). `count`: records; a capture names the field."""

    profile: str
    host: str
    method: str
    endpoint: str
    source: str
    how: str
    count: int


def inventory(fields: Iterable[FieldRow]) -> list[InventoryLine]:
    requests: dict[tuple[str, ...], dict[str, int]] = {}
    found: dict[tuple[str, ...], list[FieldRow]] = {}
    for row in fields:
        endpoint = (row.profile, row.host, row.route, row.method)
        requests.setdefault(endpoint, {})[row.version] = row.requests
        if row.path != OTHER:
            found.setdefault((*endpoint, row.path), []).append(row)
    return [
        InventoryLine(
            profile=profile, host=host, method=method, endpoint=route, field=path,
            types=sorted({row.type for row in rows}),
            shapes=sorted({row.shape for row in rows} - {""}),
            class_=(of := class_of_field(rows)).id, class_by=of.by, confidence=of.confidence,
            class_who=of.who, class_at=of.at, dpv=dpv_of(of.id), fides=fides_of(of.id),
            classes=in_order(row.class_ for row in rows),
            present=_present(rows, sum(requests[profile, host, route, method].values())),
        )
        for (profile, host, route, method, path), rows in sorted(found.items())
    ]  # fmt: skip


def about_somebody(lines: Iterable[InventoryLine]) -> list[Sequence[object]]:
    """Rows of the fields that are about a person or a secret, the gravest first."""
    return [
        (f.profile, f"{f.method} {f.endpoint}", f.field, title(f.class_), f.class_said,
         share(f.present, 1))
        for f in sorted(lines, key=lambda f: rank(f.class_))
        if about(f.class_) and f.confidence >= SURE
    ]  # fmt: skip


def inventory_rows(lines: Iterable[InventoryLine]) -> list[Sequence[object]]:
    return [
        (f.profile, f.host, f"{f.method} {f.endpoint}", f.field, " ".join(f.types),
         " ".join(f.shapes), f.class_ or "-", f.class_said, f.dpv or "-", f.fides or "-",
         share(f.present, 1))
        for f in lines
    ]  # fmt: skip


def _present(rows: Iterable[FieldRow], requests: int) -> float:
    """One request may hold two types under one path, and so count twice."""
    by_version: dict[str, int] = {}
    for row in rows:
        by_version[row.version] = min(row.requests, by_version.get(row.version, 0) + row.count)
    return sum(by_version.values()) / max(1, requests)


def masked(
    fields: Iterable[FieldRow], papers: Sequence[Paper], notes: Iterable[NoteRow] = ()
) -> list[MaskedField]:
    """All versions of an endpoint together; behind its fields the parts of its records in which
    anything was masked, a part of a value too, each with the name or the detector."""
    sensitive = {paper.profile: paper.sensitive for paper in papers}
    found: dict[tuple[str, ...], MaskedField] = {}
    for row in fields:
        said = next((s for s in sensitive.get(row.profile, ()) if s.names(row.path)), None)
        how = _SHAPES.get(row.shape) or (said.how if said and said.how in ("keep", "drop") else "")
        if not how:
            continue
        key = (row.profile, row.host, row.route, row.method, row.path, how)
        one = found.get(key)
        if one is None:
            one = found[key] = MaskedField(
                profile=row.profile, host=row.host, method=row.method, endpoint=row.route,
                field=row.path, how=how, count=0,
                why=f"{said.how} {said.field}, says the profile" if said else _BY_ITSELF,
            )  # fmt: skip
        one.count += row.count
    parts = [
        MaskedField(
            profile=row.profile, host=row.host, method=row.method, endpoint=row.route,
            field=row.part, how="mask", why=row.why.removeprefix(MASKED), count=row.count,
        )
        for row in notes if row.why.startswith(MASKED)
    ]  # fmt: skip
    return [*(one for _, one in sorted(found.items())), *parts]


def withheld(notes: Iterable[NoteRow]) -> list[WithheldPart]:
    return [
        WithheldPart(
            profile=row.profile, host=row.host, method=row.method, endpoint=row.route,
            part=row.part, why=WHY.get(row.why, row.why), count=row.count,
        )
        for row in notes if row.part != CANARY and not row.why.startswith(MASKED)
    ]  # fmt: skip


def known_values(notes: Iterable[NoteRow]) -> list[KnownValue]:
    return [
        KnownValue(
            profile=row.profile, host=row.host, method=row.method, endpoint=row.route,
            source=(said := row.why.partition(", "))[0], how=said[2], count=row.count,
        )
        for row in notes if row.part == CANARY
    ]  # fmt: skip
