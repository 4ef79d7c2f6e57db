"""Makes the coverage ledger out of the store's rows: a witness for each pod or process, and the
modes in force.

Called by `app.report.build`. It reads what the store kept at write time, and never a capture.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import NamedTuple

import msgspec

from app.contract.instant import iso
from app.contract.presence import APP
from app.report.coverage import FORMS, Interval, Witness
from app.store import OTHER, BootRow, SenderRow
from app.store.facts import HERE

# A sidecar asks every 5 to 66 seconds, and the store is told once a minute.
SILENT_NS = 300 * 10**9

DIRECT = "the app itself, without a sidecar"

_Who = tuple[str, str]


class ModeLine(msgspec.Struct, kw_only=True):
    """A mode ("" is each rule's own action) and the sidecars that ran in it; `form`: how
    connections came to them. Times are those at which they were heard of."""

    mode: str
    form: str
    sidecars: int
    first_seen: str
    last_seen: str


def witnesses(
    boots: Sequence[BootRow],
    senders: Iterable[SenderRow],
    named: Callable[[str], bool],
    now_ns: int,
) -> list[Witness]:
    """`named` is True for hosts of profiles. A boot's numbers count whole."""
    watch = _watch(boots, now_ns)
    by_who: dict[_Who, list[BootRow]] = {}
    for boot in boots:
        by_who.setdefault((boot.namespace, boot.pod), []).append(boot)
    found = {who: _of_boots(who, rows, watch) for who, rows in by_who.items()}
    for row in senders:
        who = (row.namespace, row.pod)
        if who not in found and not row.namespace:
            who = ("", "")  # a process of this machine: its `pod` is the client's address
        if who not in found:
            found[who] = Witness(who=_name(who))
        one = found[who]
        host = row.host if named(row.host) or row.profile else OTHER
        of = one.connections.setdefault(host, {})
        of[row.outcome] = of.get(row.outcome, 0) + row.count
        one.bytes_out += row.bytes_out
    return [one for _, one in sorted(found.items()) if one.who != DIRECT or one.connections]


def modes(boots: Iterable[BootRow]) -> list[ModeLine]:
    found: dict[tuple[str, str], list[BootRow]] = {}
    for boot in boots:
        if boot.said.form not in ("", APP):
            found.setdefault((boot.said.mode, boot.said.form), []).append(boot)
    return [
        ModeLine(
            mode=mode,
            form=form,
            sidecars=len(rows),
            first_seen=iso(min(map(_began, rows))),
            last_seen=iso(max(map(_ended, rows))),
        )
        for (mode, form), rows in sorted(found.items())
    ]


class WatchedUntil(NamedTuple):
    """An app is known to have listened until then: silence before is a sidecar's. If it still does,
    what was delivered `lately` tells who delivers."""

    until: int
    lately: int | None


def _watch(boots: Iterable[BootRow], now_ns: int) -> WatchedUntil:
    apps = [boot for boot in boots if boot.said.form == APP]
    until = max((boot.heard_ns for boot in apps), default=0)
    listens = any(not boot.left and now_ns - boot.heard_ns < SILENT_NS for boot in apps)
    return WatchedUntil(until, now_ns - SILENT_NS if listens else None)


def is_underway(boot: BootRow, watch: WatchedUntil) -> bool:
    """True if its records are being delivered: the app has got some lately."""
    return watch.lately is not None and boot.last_ns > watch.lately and not boot.left


class Outstanding(NamedTuple):
    """The records of all boots that are not stored, for metrics and /health."""

    underway: int
    waiting: int
    lost: dict[str, int]


def account(boots: Sequence[BootRow], now_ns: int) -> Outstanding:
    return _account(boots, _watch(boots, now_ns))


def _account(boots: Iterable[BootRow], watch: WatchedUntil) -> Outstanding:
    lost: Counter[str] = Counter()
    underway = waiting = 0
    for boot in boots:
        rest, gone = outstanding(boot)
        if gone:
            lost.update(gone)
        if is_underway(boot, watch):
            underway += rest
        else:
            waiting += rest
    return Outstanding(underway, waiting, dict(lost))


def _of_boots(who: _Who, boots: Sequence[BootRow], watch: WatchedUntil) -> Witness:
    forms = {boot.said.form for boot in boots}
    one = Witness(
        who=DIRECT if who == ("", "") and forms == {APP} else _name(who),
        first_seen=iso(min(map(_began, boots))),
        last_seen=iso(max(map(_ended, boots))),
        numbered=sum(boot.numbered for boot in boots),
        stored=sum(boot.count for boot in boots),
        quic_refused=sum(boot.said.quic_refused for boot in boots),
        blind=list(_blind(frozenset(forms))),
        away=_away(boots, watch.until) if who != ("", "") else [],
    )
    if any(boot.said.unled for boot in boots):
        one.blind.append("unled_ports")
    one.underway, one.waiting, one.lost = _account(boots, watch)
    return one


@cache  # of few forms
def _blind(forms: frozenset[str]) -> Sequence[str]:
    return list(dict.fromkeys(id for form in sorted(forms) for id in FORMS.get(form, ())))


def outstanding(boot: BootRow) -> tuple[int, dict[str, int]]:
    """The records of a boot that are not stored: how many may still come, and how many by reason
    never will."""
    absent = max(boot.max_seq, boot.numbered) - boot.count
    rest = max(0, absent - sum(boot.lost.values()))
    if not rest or not (boot.ended or boot.left):
        return rest, boot.lost
    # It took leave without an account: an older version, or the app's own boot.
    return 0, boot.lost | {"unknown": rest}


def _away(boots: Sequence[BootRow], watched_until: int) -> list[Interval]:
    """Times between two starts in one pod, and since the last one was heard of."""
    known = sorted((boot for boot in boots if boot.heard_ns), key=_began)
    found = []
    until = 0
    for boot in known:
        if until and _began(boot) > until:
            found.append(Interval(since=iso(until), until=iso(_began(boot))))
        until = max(until, _ended(boot))
    last = max(known, key=_ended, default=None)
    if last and not (last.left or last.ended) and watched_until - until > SILENT_NS:
        found.append(Interval(since=iso(until)))
    return found


def _began(boot: BootRow) -> int:
    # Its own clock may be ahead: it began before it was first heard of.
    return min(boot.said.began_ns or boot.first_ns, boot.first_ns)


def _ended(boot: BootRow) -> int:
    # Its records may arrive later: the next start delivers what it left.
    return boot.heard_ns or boot.last_ns


def _name(who: _Who) -> str:
    return "/".join(filter(None, who)) or HERE
