"""Judges one run for a gate: whether nothing was sent but what is allowed, and whether that is
known. `app.run.gated` asks and prints it; `app.run.predicate` states it.
"""

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from app.contract.record import CaptureRecord
from app.escape import plain
from app.gate.result import KINDS, Violation
from app.report.coverage import Gap, count, listed
from app.run import interception as way
from app.run.allowed import Allowed, leads
from app.run.descendants import named
from app.run.led import Unrecorded
from app.run.perform import Performed
from app.run.verdict import PASSED

if TYPE_CHECKING:  # a second of its imports is only for who has a contract
    from app.gate.contract_file import Contract

# Of what did not come to the sidecar, the ways that lead out of the machine; the others make
# coverage incomplete: what became of it is not known.
OUT = frozenset(
    (way.ROUND, way.OTHER_PORT, way.LINK_LOCAL, way.DATAGRAMS, way.REFUSED, way.BROKEN,
     way.LOOKUP, way.UNREACHED, way.SOUGHT, way.JOINED, way.UNRECORDED)
)  # fmt: skip
SOMETHING_SENT, NOT_COMPLETE = 121, 122  # exit codes; see app.cli.ending
_TRIED = frozenset((way.REFUSED, way.UNREACHED, way.SOUGHT))  # nothing of it left
_UNNAMED = "unnamed"  # connections to bare addresses: here each connection counts already
_LISTED = 50  # of what was sent, in the text
# What no question to the kernel sees, said in every statement.
LIMITS = (
    "what another program of the machine sends because of a file, a pipe or shared memory is not "
    "seen, nor what a device, a terminal or a message queue leads on: schedulers and mail queues "
    "are looked at, other files are not",
    "what other programs of the machine fetch from a server of the command's is not seen; other "
    "machines cannot reach one",
    "a program that exchanges address or socket of a call while the kernel asks about it is not "
    "seen, but for TCP to this machine and by the sidecar",
    "a command can change what telemock recorded of what is allowed: they are one user's files",
    "who serves what is allowed may pass it on",
    "timing, and the sizes of what is allowed, can carry data",
)


def markdown() -> str:
    """The list for the documentation."""
    return "".join(f"- {limit}\n" for limit in LIMITS)


class GateVerdict(StrEnum):
    PASSED = "passed"
    SENT = "sent"
    BROKEN = "broken"
    NOT_COMPLETE = "not_complete"


class Sending(msgspec.Struct, kw_only=True, frozen=True):
    """One way in which something was sent: how, to what, and by which process."""

    how: str  # http, tls, … (a record's kind), or one of OUT
    to: str
    by: str
    count: int
    says: str = ""


class GateOutcome(msgspec.Struct, kw_only=True):
    """`code` is the exit code; `says` the one sentence; `allowed` what was sent and may be.
    `violations` are the contract's, `doubts` what its check could not tell."""

    verdict: GateVerdict
    code: int
    says: str
    sent: list[Sending]
    allowed: list[Sending]
    gaps: list[Gap]
    limits: list[str]
    violations: list[Violation] = []
    doubts: list[str] = []


def judge(
    found: Performed,
    records: Iterable[CaptureRecord],
    allowed: Allowed,
    *,
    contract: "Contract | None" = None,
    more: Sequence[Gap] = (),
    limits: Sequence[str] = (),
) -> GateOutcome:
    """`more` are gaps, `limits` limits, that only the caller knows of."""
    planned = _Planned(contract, found) if contract else None
    sent, other = _sent(
        found, records, lambda one: allowed.record(one) or bool(planned and planned(one)), allowed,
        contract.hosts if contract else (),
    )  # fmt: skip
    gaps = _gaps(found, allowed, more)
    violations, unsure, unread = planned.checked() if planned else ([], [], [])
    gaps += [
        Gap(
            id="unchecked", count=1, says=f"of what the contract plans, {one}",
            remedy="the contract proves nothing of that: have it read whole",
        )
        for one in unread
    ]  # fmt: skip
    verdict, code, says = _told(sent, other, gaps, violations, found.code)
    return GateOutcome(
        verdict=verdict, code=code, says=says, sent=sent, allowed=other, gaps=gaps,
        limits=[*limits, *LIMITS], violations=violations, doubts=unsure,
    )  # fmt: skip


class _Planned:
    """Keeps the behaviour of requests to hosts that the contract names."""

    def __init__(self, contract: "Contract", found: Performed) -> None:
        from app.gate.behaviour import Behaviour

        self._contract, self._seen = contract, Behaviour()
        self._decoders = found.source.decoders() if found.source else None

    def __call__(self, one: CaptureRecord) -> bool:
        if self._decoders is None or not _planned(self._contract, one):
            return False
        self._seen.add(one, self._decoders)
        return True

    def checked(self) -> tuple[list[Violation], list[str], list[str]]:
        """Violations, what the contract leaves open, and what could not be checked."""
        from app.gate.check import check, left_open, unchecked

        contract, seen = self._contract, self._seen
        return check(contract, seen), left_open(contract, seen), unchecked(contract, seen)


def _planned(contract: "Contract", one: CaptureRecord) -> bool:
    """True of a request that was read, to a host that the contract names."""
    host, to = one.host.lower().rstrip("."), one.destination
    kept_here = one.answered_by in ("app", "sidecar")
    return (
        _is_named(host, contract.hosts)
        and one.request is not None
        and (kept_here or (to is not None and leads(host, to.address.lower())))
    )


def _is_named(host: str, hosts: Iterable[str]) -> bool:
    return any(host == name or (name.startswith(".") and host.endswith(name)) for name in hosts)


def _sent(
    found: Performed,
    records: Iterable[CaptureRecord],
    may: Callable[[CaptureRecord], bool],
    allowed: Allowed,
    hosts: Iterable[str],
) -> tuple[list[Sending], list[Sending]]:
    """`hosts` are planned: UDP to one of them was refused, and nothing left."""
    counts: dict[bool, dict[tuple[str, str, str, str], int]] = {True: {}, False: {}}

    def add(is_allowed: bool, *key: str) -> None:
        how, to, by, says = key
        of = counts[is_allowed]
        of[(how, to, by, says)] = of.get((how, to, by, says), 0) + 1

    unrecorded = Unrecorded(found.led)
    for one in records:
        unrecorded.found(one)
        to = one.host
        if one.destination and one.destination.address not in ("", one.host):
            to += f" ({one.destination.address})"
        add(may(one), one.kind, to, one.sent_by, "")
    for passed, number in (found.passed + unrecorded.rest()).items():
        if passed.why == way.SOUGHT and _is_named(passed.to.rpartition(":")[0], hosts):
            continue
        if passed.why in OUT:
            by = named([passed.program])
            for _ in range(number):
                add(allowed.passed(passed), passed.why, passed.to, by, PASSED[passed.why].says)
    sent, other = (
        [
            Sending(how=how, to=to, by=by, count=number, says=says)
            for (how, to, by, says), number in counts[which].items()
        ]
        for which in (False, True)
    )
    return sent, other


def _gaps(found: Performed, allowed: Allowed, more: Sequence[Gap]) -> list[Gap]:
    """The run's own, but for what counts as sent, or is allowed."""
    if found.coverage is None:
        return [
            Gap(
                id="untold", count=1, says=f"what the command sent cannot be told: {found.error}",
                remedy="the console files of app and sidecar say why",
            ),
            *more,
        ]  # fmt: skip
    kept = []
    for gap in found.coverage.gaps:
        passed = [one for one in found.passed if one.why == gap.id]
        if gap.id in OUT or gap.id == _UNNAMED or (passed and all(map(allowed.passed, passed))):
            continue
        kept.append(gap)
    return [*kept, *more]


def _told(
    sent: Sequence[Sending],
    other: Sequence[Sending],
    gaps: Sequence[Gap],
    violations: Sequence[Violation],
    code: int,
) -> tuple[GateVerdict, int, str]:
    but = f" but what is allowed (to {_where(other)})" if other else ""
    itself = f"; the command itself ended with {code}" if code else ""
    if sent:
        rest = f"; besides, coverage is not complete: {_open(gaps)}" if gaps else ""
        of = count(sum(one.count for one in sent), "time", "times")
        did = "tried to send" if all(one.how in _TRIED for one in sent) else "sent something"
        says = f"gate failed: the command {did}, {of}, to {_where(sent)}{rest}{itself}"
        return GateVerdict.SENT, SOMETHING_SENT, says
    if violations:
        rest = f"; besides, coverage is not complete: {_open(gaps)}" if gaps else ""
        of = count(len(violations), "violation", "violations")
        says = f"gate failed: the contract is broken, {of}: {_broken(violations[0])}{rest}{itself}"
        return GateVerdict.BROKEN, SOMETHING_SENT, says
    if gaps:
        says = (
            f"gate not passed: nothing was seen to be sent{but}, but coverage is not complete: "
            f"{_open(gaps)}{itself}"
        )
        return GateVerdict.NOT_COMPLETE, NOT_COMPLETE, says
    says = f"gate passed: nothing was sent{but}, and coverage is complete{itself}"
    return GateVerdict.PASSED, code, says


def _where(of: Sequence[Sending]) -> str:
    return listed(dict.fromkeys(one.to for one in of))


def _open(gaps: Sequence[Gap]) -> str:
    return gaps[0].says + (f" (and {len(gaps) - 1} more)" if len(gaps) > 1 else "")


def _broken(one: Violation) -> str:
    return f"{KINDS[one.kind]}: {plain(one.where)} ({plain(one.says)}; {one.count} of {one.of})"


def sentence(one: Sending) -> str:
    times = f", {one.count} times" if one.count > 1 else ""
    what = f" ({PASSED[one.how].many} {one.says})" if one.says else f" ({one.how})"
    return f"by {one.by or 'a program'} to {one.to}{times}{what}"


def lines(judged: GateOutcome) -> list[str]:
    """The verdict, then what was sent, then each gap with what helps."""
    told = [judged.says]
    told += [f"sent: {sentence(one)}" for one in judged.sent[:_LISTED]]
    if len(judged.sent) > _LISTED:
        told.append(f"sent: {len(judged.sent) - _LISTED} more; --json lists all")
    told += [f"contract: {_broken(one)}" for one in judged.violations[:_LISTED]]
    told += [f"contract: {one}" for one in judged.doubts]
    return [*told, *(f"not complete: {gap.says} [{gap.remedy}]" for gap in judged.gaps)]
