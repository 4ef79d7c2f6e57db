"""The verdict on what was seen of pods that opted in, by the app's ledger. Called by `telemock
status`.
"""

from collections.abc import Sequence

import msgspec

from app.inject.sentences import say
from app.inject.status import AppView, PodStatus
from app.report.coverage import Coverage, Gap, Witness, count, judge, listed

_ENDED = ("Succeeded", "Failed")


def with_verdicts(rows: Sequence[PodStatus], seen: AppView | None) -> list[PodStatus]:
    """The rows, each with the verdict on it; unchanged while the app's view is not known."""
    if seen is None:
        return list(rows)
    known = {witness.who: witness for witness in seen.report.ledger}
    return [msgspec.structs.replace(r, coverage=_judged([r], known, seen).verdict) for r in rows]


def verdict(rows: Sequence[PodStatus], seen: AppView) -> Coverage:
    """The verdict on all of them together."""
    return _judged(rows, {witness.who: witness for witness in seen.report.ledger}, seen)


def _judged(rows: Sequence[PodStatus], known: dict[str, Witness], seen: AppView) -> Coverage:
    running = [row for row in rows if row.phase not in _ENDED]
    witnesses = [known[who] for row in rows if (who := _who(row)) in known]
    without = [_who(row) for row in running if not row.injected]
    unread = [_who(row) for row in rows if row.injected and not seen.may_read(row.namespace)]
    silent = [
        who
        for row in running
        if row.injected and (who := _who(row)) not in known and who not in unread
    ]
    gaps = []
    if unread:
        mine = listed(seen.report.namespaces or ()) or "no namespace"
        says = f"you may read the captures of {mine} alone, not of {listed(unread)}"
        remedy = "ask somebody who may read captures there"
        gaps.append(Gap(id="unread", count=len(unread), says=says, remedy=remedy, who=unread))
    if without:
        pods = count(len(without), "pod has", "pods have")
        says = f"{pods} no sidecar ({listed(without)})"
        remedy = "the line of each pod says why, and what helps"
        gaps.append(
            Gap(id="not_injected", count=len(without), says=says, remedy=remedy, who=without)
        )
    if silent:
        says = f"the app has not heard of {listed(silent)}"
        remedy = (
            "a sidecar is heard of within a minute of its start; its log says what it waits for"
        )
        gaps.append(Gap(id="unheard", count=len(silent), says=says, remedy=remedy, who=silent))
    if unproven := [_who(r) for r in running if r.injected and r.redirect_proven is False]:
        says = say("redirect_failed", message=listed(unproven))
        remedy = "the line of each pod says why"
        gaps.append(Gap(id="redirect", count=len(unproven), says=says, remedy=remedy, who=unproven))
    found = judge(witnesses, gaps)
    if witnesses or not gaps:
        return found
    # Nobody is left to be a witness, and the gaps say why.
    return judge([Witness(who="")], gaps)


def _who(row: PodStatus) -> str:
    return f"{row.namespace}/{row.pod}"
