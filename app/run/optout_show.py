"""Prints the result of `telemock optout`: for people, and as Markdown for a ticket."""

import shlex
from collections.abc import Iterator

from app.escape import inert, plain
from app.report.tables import markdown_table, text_table
from app.run.optout import RESULTS, Audit, SwitchResult

_HEAD = ("switch", "result", "what", "exit")


def text(found: Audit) -> str:
    lines = [f"{plain(line, 2000)}\n" for line in _notes(found)]
    hint = f"\nhint: {found.hint}\n" if found.hint else ""
    return f"{text_table(_HEAD, _rows(found))}{''.join(lines)}{plain(found.conclusion)}\n{hint}"


def markdown(found: Audit) -> str:
    lines = [f"- {inert(line, 2000)}\n" for line in (*_notes(found), found.hint) if line]
    title = inert(f"{found.title}: is it silent when it is told to be?")
    head = f"## {title}\n\n{inert(found.conclusion)}.\n\n"
    return f"{head}{markdown_table(_HEAD, _rows(found))}\n{''.join(lines)}"


def results() -> str:
    """The table of results for the documentation."""
    rows = "".join(f"| {result} | {says} |\n" for result, says in RESULTS.items())
    return f"| Result | Means |\n|---|---|\n{rows}"


def _rows(found: Audit) -> Iterator[list[object]]:
    yield _row("without a switch", found.without)
    for one in found.switches:
        yield _row(one.switch, one)
    yield _row("without, again", found.again)


def _row(name: str, one: SwitchResult) -> list[object]:
    why = [*one.why]
    if one.new:
        why.insert(0, f"the switch itself sends what is not sent without it: {', '.join(one.new)}")
    if one.note:
        why.append(f"its vendor: {one.note}")
    codes = ", ".join(str(one.exit_code) for one in one.runs)
    return [name, one.result, "; ".join(why), codes]


def _notes(found: Audit) -> Iterator[str]:
    yield f"command: {shlex.join(found.command)}"
    yield f"state: {found.state}"
    yield (
        "environment: no run has the switches' variables, CI, DO_NOT_TRACK and their like, but the "
        "one that is tried"
    )
