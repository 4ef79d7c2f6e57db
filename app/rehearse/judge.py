"""Judges a run with a fault by the one without: tolerated, degraded or fatal, with evidence."""

import re
from collections.abc import Sequence
from typing import Literal

import msgspec

from app.report.coverage import count

Outcome = Literal["tolerated", "degraded", "fatal"]
_TROUBLE = re.compile(
    r"error|warn|fail|timed? ?out|retry|refused|reset|unreachable|exception|traceback|denied",
    re.IGNORECASE,
)
_CHANGING = re.compile(r"0x[0-9a-f]+|[0-9a-f]{8,}|\d+", re.IGNORECASE)
_LONGER, _LONGER_S = 1.5, 1.0  # a command's time differs by less from run to run
_RETRIES, _SOCKETS = 10, 10  # more of them, in all and in a minute, cost the machine and the vendor
LINES = 5  # that are kept as evidence
LINE = 200  # characters of each


class RunEvidence(msgspec.Struct, kw_only=True):
    """The facts of one run. `stopped`: it was ended by us, since its time was over."""

    code: int
    seconds: float
    stopped: bool
    attempts: int  # requests to the endpoint, or connections to its host
    sockets: int | None = None  # open at once, of all the command's processes; None: not counted
    lines: Sequence[str] = ()  # what it printed

    @property
    def per_minute(self) -> float:
        return self.attempts * 60 / max(self.seconds, 1.0)


class Judgement(msgspec.Struct, kw_only=True):
    """The outcome of one fault, and the sentences that say why it is judged so."""

    outcome: Outcome
    because: list[str]
    lines: list[str]  # that the command prints only with the fault, the first ones


def judge(usual: RunEvidence, found: RunEvidence, *, lasts: bool) -> Judgement:
    """`lasts`: the command is a service, which we end in both runs."""
    fatal = _fatal(usual, found, lasts)
    lines = new_lines(usual.lines, found.lines)
    worse = [] if fatal else _worse(usual, found, lines)
    outcome: Outcome = "fatal" if fatal else "degraded" if worse else "tolerated"
    because = fatal or worse or ["as without the fault"]
    if found.attempts > usual.attempts:
        tries = count(found.attempts, "attempt", "attempts")
        because.append(f"{tries} instead of {usual.attempts}")
    return Judgement(outcome=outcome, because=because, lines=lines[:LINES])


def _fatal(usual: RunEvidence, found: RunEvidence, lasts: bool) -> list[str]:
    if lasts:
        if found.stopped:
            return []
        return [f"ended by itself after {found.seconds:.1f} s, with exit code {found.code}"]
    if found.stopped:
        return [
            f"had not ended after {found.seconds:.0f} s; without the fault: {usual.seconds:.1f}"
        ]
    if found.code != usual.code:
        return [f"exit code {found.code} instead of {usual.code}"]
    return []


def _worse(usual: RunEvidence, found: RunEvidence, lines: Sequence[str]) -> list[str]:
    worse = []
    if not found.stopped and found.seconds > usual.seconds * _LONGER + _LONGER_S:
        worse.append(f"took {found.seconds:.1f} s instead of {usual.seconds:.1f}")
    more = found.attempts - usual.attempts
    if min(more, found.per_minute - usual.per_minute) > _RETRIES:
        worse.append(f"{found.per_minute:.0f} attempts a minute instead of {usual.per_minute:.0f}")
    if (found.sockets or 0) > (usual.sockets or 0) + _SOCKETS:
        worse.append(f"{found.sockets} sockets open instead of {usual.sockets}")
    if any(map(_TROUBLE.search, lines)):
        worse.append("prints trouble")
    return worse


def new_lines(usual: Sequence[str], found: Sequence[str]) -> list[str]:
    """The lines that differ from all the usual ones by more than numbers; those that tell of
    trouble first."""
    known = set(map(_alike, usual))
    new = dict.fromkeys(line for line in found if _alike(line) not in known and line.strip())
    return sorted(new, key=lambda line: not _TROUBLE.search(line))


def _alike(line: str) -> str:
    return _CHANGING.sub("#", line.strip())
