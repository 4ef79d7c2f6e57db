"""Writes a gate's outcome for CI, in the forms of `telemock contract check`: SARIF, JUnit and
Markdown. What was sent, what breaks the contract, and what is not known are each a failure. Called
by `app.run.gated`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from app.contract.files import write_to
from app.contract.instant import iso
from app.gate.result import Checked, GateKind, Violation
from app.report.coverage import listed
from app.run.child import RunError
from app.run.gate import GateOutcome, sentence


class Outputs(NamedTuple):
    """A file for each form that is wanted."""

    sarif: Path | None = None
    junit: Path | None = None
    markdown: Path | None = None


class Run(NamedTuple):
    """`file` is where code scanning shows what was found: the contract, or what the run was about;
    `planned` are the contract's endpoints."""

    file: str
    planned: list[tuple[str, str, str]]
    began_ns: int
    ended_ns: int


def check(to: Outputs) -> None:
    """Raises RunError where a file cannot be: to know it before a command runs."""
    for form, path in to._asdict().items():
        if path and not path.parent.is_dir():
            raise RunError(f"--{form} {path}: there is no {path.parent}\n\nhint: mkdir makes it")


def write(to: Outputs, judged: GateOutcome, run: Run, contract: str = "") -> None:
    """`contract` is the text of its file. Raises OSError."""
    found = checked(judged, run)
    if to.sarif:
        from app.gate.sarif import sarif

        write_to(to.sarif, [sarif(found, contract).encode()], 0o644)
    if to.junit:
        from app.gate.junit import junit

        write_to(to.junit, [junit(found).encode()], 0o644)
    if to.markdown:
        from app.gate.show import markdown

        write_to(to.markdown, [markdown(found).encode()], 0o644)


def checked(judged: GateOutcome, run: Run) -> Checked:
    return Checked(
        file=run.file, planned=run.planned, gate=judged.says, coverage=None,
        violations=[*_sent(judged, run), *judged.violations, *_gaps(judged, run)],
        doubts=judged.doubts,
    )  # fmt: skip


def _sent(judged: GateOutcome, run: Run) -> Iterator[Violation]:
    """One for each host and way: processes and addresses differ from run to run."""
    ways: dict[tuple[str, str], list[int]] = {}
    said: dict[tuple[str, str], list[str]] = {}
    for one in judged.sent:
        key = (one.to.partition(" (")[0], one.how)
        ways.setdefault(key, []).append(one.count)
        said.setdefault(key, []).append(sentence(one))
    for (host, how), counts in ways.items():
        says = listed(said[host, how])
        yield _violation("sent", run, host=host, method=how, says=says, count=sum(counts))


def _gaps(judged: GateOutcome, run: Run) -> Iterator[Violation]:
    for gap in judged.gaps:
        says = f"{gap.says} [{gap.remedy}]"
        yield _violation("not_complete", run, field=gap.id, says=says, count=gap.count)


def _violation(
    kind: GateKind, run: Run, *, says: str, count: int, host: str = "", method: str = "",
    field: str = "",
) -> Violation:  # fmt: skip
    return Violation(
        kind=kind, host=host, method=method, field=field, says=says, count=count, of=0,
        first_seen=iso(run.began_ns), last_seen=iso(run.ended_ns),
    )  # fmt: skip
