"""Prints a rehearsal, for a terminal or as Markdown. What the command printed is hostile text."""

from collections.abc import Iterable, Sequence

from app.escape import plain
from app.rehearse.judge import LINE
from app.rehearse.rounds import Rehearsal, RehearsedFault
from app.report.coverage import count
from app.report.tables import markdown_table, text_table

_HEAD = ("host", "endpoint", "fault", "outcome", "evidence", "attempts/min", "sockets")


def text(found: Rehearsal) -> str:
    """For a terminal: the table, the lines that only a fault brings, and the sum."""
    printed = [
        plain(f"{row.fault} of {row.host} {row.endpoint}: {row.judgement.lines[0]}", LINE)
        for row in found.rows
        if row.judgement and row.judgement.lines
    ]
    parts = [text_table(_HEAD, _rows(found.rows))]
    if printed:
        parts.append("\nprinted only with the fault\n" + "".join(f"  {line}\n" for line in printed))
    return "".join([*parts, f"\n{sentence(found)}\n"])


def markdown(found: Rehearsal) -> str:
    """For a ticket."""
    return markdown_table(_HEAD, _rows(found.rows)) + f"\n{sentence(found)}\n"


def sentence(found: Rehearsal) -> str:
    """The sum of all rows."""
    outcomes = [row.judgement.outcome for row in found.rows if row.judgement]
    parts = [f"{outcomes.count(one)} {one}" for one in ("tolerated", "degraded", "fatal")]
    said = f"{count(len(outcomes), 'fault', 'faults')} rehearsed: {', '.join(parts)}"
    if skipped := len(found.rows) - len(outcomes):
        said += f"; {skipped} not tried"
    if found.unruled:
        said += f"; {count(found.unruled, 'request', 'requests')} no rule took, so not rehearsed"
    if found.interrupted:
        said += f"; interrupted by {found.interrupted}, so this is incomplete"
    return said


def _rows(rows: Iterable[RehearsedFault]) -> list[Sequence[object]]:
    return [
        (
            row.host,
            row.endpoint,
            row.fault,
            row.judgement.outcome if row.judgement else "not tried",
            "; ".join(row.judgement.because) if row.judgement else row.skipped,
            f"{row.evidence.per_minute:.0f}" if row.evidence else "",
            "" if row.evidence is None or row.evidence.sockets is None else row.evidence.sockets,
        )
        for row in rows
    ]
