"""Judges coverage: what was seen, what was not, and how that is known.

`judge` makes the one verdict that `telemock report`, `run` and `status`, the API and
`final-report.md` print. Its callers give it a `Witness` for each pod or process: of the store
(`app.report.ledger`), or of their own run.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from app.contract.outcomes import OUTCOMES
from app.contract.record import REASONS
from app.escape import plain
from app.store import OTHER

_NAMED = 3  # hosts, pods or gaps that one sentence names
_UNKNOWN = {"unknown": "no account tells why"}
_NO_WITNESS = "`telemock status` says which pods have a sidecar; `telemock run` starts one"


class BlindSpot(NamedTuple):
    """A way past the sidecar that it cannot see itself. `open`: nothing closes it, so coverage is
    not complete; the others are a limit of what `complete` says."""

    says: str
    remedy: str
    open: bool = False


BLIND_SPOTS: Mapping[str, BlindSpot] = {
    "proxy_ignored": BlindSpot(
        "a program that ignores the proxy variables is not seen",
        "start it with `telemock run`, without --no-transparent, or give its pod a sidecar",
        open=True,
    ),
    "suffix_hosts": BlindSpot(
        "an /etc/hosts names no suffix, so hosts that a profile names by suffix are not redirected",
        "name them in the profile, or use redirect all",
        open=True,
    ),
    "unled_ports": BlindSpot(
        "a profile names ports of a host since after the pod's start, which are not redirected",
        "restart the pod: `telemock status` names the ports",
        open=True,
    ),
    "form_unknown": BlindSpot(
        "a sidecar did not tell how connections are brought to it",
        "restart the pod, so that it gets a sidecar of this version",
    ),
    "own_dns": BlindSpot(
        "a client that resolves names past /etc/hosts (DNS over HTTPS, an address) is not seen",
        "use redirect all for a while, or allow such clients no way out",
    ),
    "other_ports": BlindSpot(
        "ports other than 80, 443 and those that profiles name are not redirected",
        "a NetworkPolicy or firewall closes them",
    ),
    "run_said": BlindSpot(
        "what `telemock run` named in its own verdict is not stored: other ports, UDP, other "
        "programs of the machine, containers, and what outlived the command",
        "read it at the end of the run, or in its --json",
    ),
    "dns": BlindSpot(
        "what a program writes into the names that it looks up is not looked into",
        "allow it only a resolver that logs",
    ),
    "domain_fronting": BlindSpot(
        "a connection that names no profile's host is not opened, whatever is inside",
        "name its host in a profile",
    ),
    "own_trust": BlindSpot(
        "a client with a list of authorities of its own refuses the sidecar's certificate, which "
        "shows, and what it would have sent does not",
        "let it trust the sidecar's authority",
    ),
}

# How connections come to a sidecar -> the blind spots of that form.
FORMS: Mapping[str, tuple[str, ...]] = {
    "proxy": ("proxy_ignored", "own_trust", "dns", "domain_fronting"),
    "run": ("own_trust", "run_said", "dns", "domain_fronting"),
    "hosts": ("own_dns", "own_trust", "other_ports", "dns", "domain_fronting"),
    "loopback": ("own_dns", "own_trust", "other_ports", "dns", "domain_fronting"),
    "all": ("own_trust", "other_ports", "dns", "domain_fronting"),
    "app": (),  # requests that reach the mock without a sidecar
    "": ("form_unknown",),
}


class Interval(msgspec.Struct, kw_only=True):
    """A time without a sidecar, as far as is known; ISO 8601. `until` is "" if it goes on."""

    since: str
    until: str = ""
    says: str = ""


class Witness(msgspec.Struct, kw_only=True):
    """Facts known of one pod or process, which was heard of from `first_seen` to `last_seen`.
    `connections`: host -> id of OUTCOMES -> requests and connections; the host OTHER stands for all
    that no profile names. Of the records that it `numbered` (0: it told no number) `underway` are
    being delivered, `waiting` are not, and `lost` never will be, by reason. `reached`: connections
    to telemetry hosts by the kernel's own count, `brought`: those of them that came to the sidecar;
    None without a count."""

    who: str
    connections: dict[str, dict[str, int]] = {}
    first_seen: str = ""
    last_seen: str = ""
    bytes_out: int = 0
    numbered: int = 0
    stored: int = 0
    underway: int = 0
    waiting: int = 0
    lost: dict[str, int] = {}
    away: list[Interval] = []
    blind: list[str] = []
    quic_refused: int = 0
    reached: int | None = None
    brought: int | None = None


class Gap(msgspec.Struct, kw_only=True):
    """A reason why coverage is not complete. `id` is one of OUTCOMES, BLIND_SPOTS, or `lost`,
    `waiting`, `uncounted`, `away`, `not_brought`, or the caller's own; `who` are pods or processes,
    or hosts."""

    id: str
    count: int
    says: str
    remedy: str
    who: list[str] = []


class Coverage(msgspec.Struct, kw_only=True):
    """`verdict` is the one line; `how` says how it is known; `limits` are what `complete` does not
    speak of. `percent` only where the kernel counted."""

    complete: bool
    verdict: str
    how: str
    gaps: list[Gap] = []
    limits: list[str] = []
    percent: float | None = None


def judge(
    witnesses: Iterable[Witness], more: Sequence[Gap] = (), *, narrowed: bool = False
) -> Coverage:
    """`more` are gaps that the caller knows of besides. `narrowed`: the connections are those of a
    period or a profile, and records are still of all that the witnesses sent."""
    known = list(witnesses)
    parts = (_unseen, _records, _uncounted, _away, _not_brought)
    gaps = [*more, *(gap for part in parts for gap in part(known))]
    if not known:
        says = "no sidecar was heard of, and no record is stored"
        gaps.insert(len(more), Gap(id="no_witness", count=0, says=says, remedy=_NO_WITNESS))
    spots = list(dict.fromkeys(id for one in known for id in one.blind if id in BLIND_SPOTS))
    for id in spots:
        if BLIND_SPOTS[id].open:
            who = [one.who for one in known if id in one.blind]
            says, remedy, _ = BLIND_SPOTS[id]
            gaps.append(Gap(id=id, count=len(who), says=says, remedy=remedy, who=who))
    percent = _percent(known)
    how = _how(known, narrowed=narrowed)
    return Coverage(
        complete=not gaps,
        verdict=verdict(gaps, how, percent),
        how=how,
        gaps=gaps,
        limits=[*_quic(known), *(BLIND_SPOTS[id].says for id in spots if not BLIND_SPOTS[id].open)],
        percent=percent,
    )


def verdict(gaps: Sequence[Gap], how: str, percent: float | None = None) -> str:
    """The one line."""
    share = "" if percent is None else f" ({percent:g} % of connections, by the kernel's count)"
    if not gaps:
        return f"complete{share}: {how}"
    named = "; ".join(map(_said, gaps[:_NAMED]))
    rest = f"; and {len(gaps) - _NAMED} more" if len(gaps) > _NAMED else ""
    return f"not complete{share}: {named}{rest}"


def beyond(gaps: Sequence[Gap]) -> list[str]:
    """The gaps that the one line only counts."""
    return list(map(_said, gaps[_NAMED:]))


def _said(gap: Gap) -> str:
    return f"{gap.says} [{gap.remedy}]"


def markdown() -> str:
    """The table of blind spots in the documents."""
    head = "| Blind spot | Where | Then coverage is | What helps |\n|---|---|---|---|\n"
    rows = []
    for id, spot in BLIND_SPOTS.items():
        forms = ", ".join(f"`{form}`" for form, ids in FORMS.items() if form and id in ids)
        judged = "not complete" if spot.open else "complete, with this limit"
        rows.append(
            f"| {spot.says} | {forms or 'where it is found'} | {judged} | {spot.remedy} |\n"
        )
    return head + "".join(rows)


def profile_refused(error: str) -> Gap:
    return Gap(
        id="profile_refused",
        count=1,
        says=f"a change of the profiles is refused, so what it adds is not covered: "
        f"{plain(error.partition(chr(10))[0], 300)}",
        remedy="`telemock rules check FILE` says what is wrong",
    )


def distrusted(number: int) -> Gap:
    came = count(number, "connection", "connections")
    return Gap(
        id="distrusted",
        count=number,
        says=f"{came} of the last hour did not trust the app's certificate: pods that were "
        "injected while it had another authority keep their records",
        remedy="restart the pods that `telemock status` names",
    )


def _how(known: Sequence[Witness], *, narrowed: bool) -> str:
    seen = sum(sum(of.values()) for one in known for of in one.connections.values())
    stored = sum(one.stored for one in known)
    counted = [one for one in known if _is_counted(one)]
    by = "their sidecars' own count" if len(known) > 1 else "the sidecar's own count"
    if not counted:
        by = "the records that are stored; no sidecar told how many it made"
    elif len(counted) < len(known):
        by += f" (of {len(counted)} among {len(known)}; the others told none)"
    came = count(seen, "request or connection", "requests and connections")
    kept = count(stored, "record is", "records are")
    underway = sum(one.underway for one in known)
    rest = f" and {underway} on their way" if underway else ""
    if narrowed:
        more = " in all of their time, of all profiles"
    else:
        more = " (log lines are records too)" if stored + underway > seen else ""
    return f"{came} came, {kept} stored{rest}{more}, by {by}"


def _is_counted(one: Witness) -> bool:
    """True if it told how many records it made, or there is nothing to count."""
    return bool(one.numbered) or not (one.stored or one.connections)


def _uncounted(known: Sequence[Witness]) -> Iterable[Gap]:
    if without := [one.who for one in known if not _is_counted(one)]:
        yield Gap(
            id="uncounted",
            count=len(without),
            says=f"{listed(without)} told no count of records, so a loss at the end would not show",
            remedy="sidecars of this version tell it, and log files do not: ask the store",
            who=without,
        )


def _unseen(known: Sequence[Witness]) -> Iterable[Gap]:
    counts: Counter[str] = Counter()
    hosts: dict[str, dict[str, None]] = {}
    for one in known:
        for host, of in one.connections.items():
            for id, number in of.items():
                if host != OTHER and id in OUTCOMES and OUTCOMES[id].unseen and number:
                    counts[id] += number
                    hosts.setdefault(id, {})[host] = None
    for id, number in counts.items():
        came = count(number, "connection", "connections")
        says = f"{came} to {listed(hosts[id])}: {OUTCOMES[id].says}"
        yield Gap(id=id, count=number, says=says, remedy=OUTCOMES[id].remedy, who=list(hosts[id]))


def _records(known: Sequence[Witness]) -> Iterable[Gap]:
    lost: Counter[str] = Counter()
    for one in known:
        lost.update(one.lost)
    if total := lost.total():
        why = why_lost(lost)
        yield Gap(
            id="lost",
            count=total,
            says=f"{count(total, 'record was', 'records were')} lost ({why})",
            remedy="what they held cannot be told; their number is in the sidecar's account",
            who=[one.who for one in known if one.lost],
        )
    if waiting := sum(one.waiting for one in known):
        yield Gap(
            id="waiting",
            count=waiting,
            says=f"{count(waiting, 'record is', 'records are')} not delivered yet",
            remedy="a sidecar delivers them once it reaches the app: `telemock status` says more",
            who=[one.who for one in known if one.waiting],
        )


def _away(known: Sequence[Witness]) -> Iterable[Gap]:
    without = [one for one in known if one.away]
    if not without:
        return
    if len(without) == 1 and len(without[0].away) == 1:
        (away,) = without[0].away
        until = f"until {away.until}" if away.until else "and not since"
        says = f"no sidecar of {without[0].who} was heard of from {away.since} {until}"
    else:
        times = sum(len(one.away) for one in without)
        who = listed([one.who for one in without])
        says = f"{times} times no sidecar was heard of ({who})"
    yield Gap(
        id="away",
        count=sum(len(one.away) for one in without),
        says=says,
        remedy="what was sent meanwhile is not known; `telemock status` and its events say why",
        who=[one.who for one in without],
    )


def _not_brought(known: Sequence[Witness]) -> Iterable[Gap]:
    missed = {one.who: (one.reached or 0) - (one.brought or 0) for one in known if one.reached}
    past = {who: number for who, number in missed.items() if number > 0}
    if past:
        of = count(sum(past.values()), "connection", "connections")
        yield Gap(
            id="not_brought",
            count=sum(past.values()),
            says=f"{of} to telemetry hosts went past the sidecar, by the kernel's count",
            remedy="`telemock status` says whether the redirect works",
            who=list(past),
        )


def _quic(known: Sequence[Witness]) -> Iterable[str]:
    if number := sum(one.quic_refused for one in known):
        of = count(number, "UDP datagram was", "UDP datagrams were")
        yield f"{of} refused (HTTP/3, or another closed port): clients then use TCP, which is seen"


def _percent(known: Sequence[Witness]) -> float | None:
    counted = [(one.reached, one.brought or 0) for one in known if one.reached is not None]
    reached = sum(of or 0 for of, _ in counted)
    if len(counted) < len(known) or not reached:
        return None
    return int(1000 * sum(min(of or 0, n) for of, n in counted) / reached) / 10  # never rounded up


def why_lost(lost: Mapping[str, int]) -> str:
    return "; ".join(
        f"{count}: {_UNKNOWN.get(id) or REASONS.get(id, id)}" for id, count in lost.items()
    )


def count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def listed(names: Iterable[str]) -> str:
    """The first names, and how many more. Names are captured text: nothing in them acts."""
    found = [plain(name, 80) for name in names]
    rest = len(found) - _NAMED
    return ", ".join(found[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
