"""Renders a check for people: for a terminal, and as Markdown for a ticket or a job's summary."""

from collections.abc import Iterable, Sequence

from app.escape import inert, plain
from app.gate.result import GATE_KINDS, KINDS, Checked, Violation
from app.report.coverage import count
from app.report.tables import markdown_table, text_table

_HEAD = ("violation", "host", "endpoint", "field", "why", "captures", "first seen", "last seen",
         "example")  # fmt: skip


def summary(found: Checked) -> str:
    if found.gate:
        return found.gate
    said = "kept as far as it could be checked" if found.unchecked else "kept"
    if found.violations:
        said = count(len(found.violations), "violation", "violations")
    captures = count(found.captures, "capture", "captures")
    return f"{said}: {captures} of {found.of} checked against {found.file}"


def notes(found: Checked) -> list[str]:
    coverage = [f"coverage: {found.coverage.verdict}"] if found.coverage else []
    open_ = [f"not checked: {one}" for one in found.unchecked]
    return [*open_, *found.doubts, *filter(None, [found.declared]), *coverage]


def text(found: Checked) -> str:
    """Renders the check for a terminal."""
    table = "\n" + text_table(_HEAD, _rows(found.violations)) if found.violations else ""
    said = "".join(f"  {plain(note, 600)}\n" for note in notes(found))
    return f"{plain(summary(found), 600)}\n{said}{table}"


def markdown(found: Checked) -> str:
    """Renders the check for a ticket."""
    head = "telemock" if found.gate else f"Contract of {inert(found.profile)}"
    parts = [f"## {head}: {inert(summary(found), 600)}\n"]
    if found.violations:
        parts.append(markdown_table(_HEAD, _rows(found.violations)))
        kinds = {one.kind for one in found.violations}
        every = {**KINDS, **GATE_KINDS}
        parts.append("".join(f"- `{id}`: {every[id]}\n" for id in every if id in kinds))
    parts.append("".join(f"- {inert(note, 600)}\n" for note in notes(found)))
    return "\n".join(filter(None, parts))


def _rows(violations: Iterable[Violation]) -> list[Sequence[object]]:
    return [
        (one.kind, one.host, f"{one.method} {one.endpoint}".strip(), one.field, one.says,
         f"{one.count}/{one.of}" if one.of else one.count, one.first_seen, one.last_seen,
         one.example or "-")
        for one in violations
    ]  # fmt: skip
