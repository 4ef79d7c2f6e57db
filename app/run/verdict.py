"""The verdict of one `telemock run`: what of the command was seen, and what was not.

`app.report.coverage` judges; this adds what only the run knows: the connections that did not come
to the sidecar, and the processes that outlive the command.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from app.contract.hosts import is_address
from app.contract.record import Program
from app.report.coverage import Coverage, Gap, Witness, count, judge, listed, verdict
from app.run import interception as way
from app.run.descendants import named
from app.run.interception import Passed
from app.run.summary import Sent


class Kind(NamedTuple):
    """Of connections that did not come to the sidecar: what that means, and what helps. `one` and
    `many` are what is counted."""

    says: str
    remedy: str
    one: str = "connection"
    many: str = "connections"


PASSED: Mapping[str, Kind] = {
    way.ROUND: Kind(
        "round the proxy, not seen",
        "a transparent run leads such programs to the sidecar",
    ),
    way.OTHER_PORT: Kind(
        "to ports other than 80, 443 and those of profiles, not looked into",
        "see what it is; a firewall closes it to the command",
    ),
    way.LINK_LOCAL: Kind(
        "to a link-local address (a cloud's metadata service), not looked into",
        "see what it is; a firewall closes it to the command",
    ),
    way.OTHER_NETWORK: Kind(
        "from a network namespace of its own (a container), not looked into",
        "run telemock within that namespace",
    ),
    way.LOCAL: Kind(
        "to another program of this machine, which may send on unseen",
        "start that program with telemock run, too",
    ),
    way.DAEMON: Kind(
        "to a daemon that runs containers, whose connections are not the command's",
        "run the command in the container with telemock run",
    ),
    way.UNREADABLE: Kind(
        "of a program that runs as somebody else, to where we may not look",
        "telemock run as root",
    ),
    way.DATAGRAMS: Kind(
        "over UDP, not looked into",
        "see what it is; a firewall closes it to the command",
    ),
    way.OTHER_SOCKET: Kind(
        "neither for TCP nor for UDP, not looked into",
        "see what it is; without root no program opens most of them",
        "socket",
        "sockets",
    ),
    way.INHERITED: Kind(
        "that the command was given as a standard stream, not looked into",
        "give it a pipe or a file instead",
    ),
    way.REFUSED: Kind(
        "to a telemetry host, refused: its profile does not name that port",
        "see which protocol it is, and name the port in the profile; nothing of it left",
    ),
    way.LOOKUP: Kind(
        "to a resolver, whose questions may carry anything",
        "clients that heed proxy variables look up nothing themselves",
        "look-up",
        "look-ups",
    ),
    way.UNREACHED: Kind(
        "to where this machine has no way, so nothing left it here",
        "elsewhere it would be sent: see what it is",
        "attempt",
        "attempts",
    ),
    way.SOUGHT: Kind(
        "to connect to a telemetry host over UDP, refused before it could send",
        "most compare addresses so; a contract that plans the host allows them",
        "attempt",
        "attempts",
    ),
    way.JOINED: Kind(
        "that joined a group of hosts, which tells the network so",
        "see what it is; most look for services nearby (mDNS)",
        "socket",
        "sockets",
    ),
    way.UNRECORDED: Kind(
        "that the sidecar has no record of: they ended before it was told what for",
        "see what it is; a firewall closes it to the command",
    ),
    way.BROKEN: Kind(
        "that did not reach the sidecar, and failed",
        "the sidecar's console file says why it ended",
    ),
}


GATE_ALONE = frozenset((way.LOOKUP, way.UNREACHED, way.SOUGHT, way.JOINED))


def markdown() -> str:
    """The table for the documentation."""
    lines = ["| Named | What helps |", "|---|---|"]
    for why, kind in PASSED.items():
        by = " (by a gate alone)" if why in GATE_ALONE else ""
        lines.append(f"| {kind.many} {kind.says}{by} | {kind.remedy} |")
    return "\n".join(lines) + "\n"


def of_run(
    *,
    rows: Sequence[Sent],
    who: str,
    left: int,
    lost: Mapping[str, int],
    passed: Counter[Passed],
    survivors: Sequence[Program],
    brought: int | None,
    refused: str,
    sidecar_ended: bool,
) -> Coverage:
    """`brought`: connections that the kernel led to the sidecar, None if it was not asked to;
    `refused` then says why."""
    connections: dict[str, dict[str, int]] = {}
    for row in rows:
        to_host = connections.setdefault(row.host, {})
        to_host[row.outcome] = to_host.get(row.outcome, 0) + row.count
    stored = sum(row.count for row in rows)
    witness = Witness(
        who=who,
        connections=connections,
        numbered=stored + left + sum(lost.values()),
        stored=stored,
        waiting=left,
        lost=dict(lost),
        blind=["own_trust", "dns", "domain_fronting"],
    )
    gaps = [*_past(passed), *_unnamed(rows), *_survived(survivors)]
    # Each connection leaves a record at least: so many left none, or more.
    unrecorded = (brought or 0) - witness.numbered
    if unrecorded > 0 and not sidecar_ended:
        kind = PASSED[way.UNRECORDED]
        says = f"{count(unrecorded, kind.one, kind.many)} {kind.says}"
        gaps.append(Gap(id=way.UNRECORDED, count=unrecorded, says=says, remedy=kind.remedy))
    if brought is None:
        gaps.insert(0, _proxy_only(refused))
    if sidecar_ended:
        gaps.append(
            Gap(
                id="sidecar_ended", count=1,
                says="the sidecar ended before the command, which then sent nothing through it",
                remedy="the sidecar's console file says why",
            )
        )  # fmt: skip
    found = judge([witness], gaps)
    for gap in found.gaps:
        if gap.id == "waiting":  # nothing of this run's delivers them any more
            gap.remedy = "the next run delivers those that the spool could keep"
    how = found.how if rows else "the sidecar recorded no connection"
    if brought is not None:
        of = count(brought, "connection", "connections")
        how += (
            f"; the kernel asked about every connection of the command's processes and led {of} to "
            "the sidecar"
        )
    limits = [*services(passed), *found.limits]
    return replace(found, how=how, limits=limits, verdict=verdict(found.gaps, how, found.percent))


def _proxy_only(refused: str) -> Gap:
    because = f" ({refused})" if refused else ""
    return Gap(
        id="proxy_ignored",
        count=1,
        says=f"only what heeds the proxy variables was seen{because}",
        remedy="the documentation's page on runs says what else it takes"
        if refused
        else "leave --no-transparent out",
    )


def _past(passed: Counter[Passed]) -> Iterable[Gap]:
    for why, kind in PASSED.items():
        total, each = _of(passed, why)
        if total:
            of = count(total, kind.one, kind.many)
            says = f"{of} {kind.says}: {listed(each)}"
            yield Gap(id=why, count=total, says=says, remedy=kind.remedy, who=each)


def services(passed: Counter[Passed]) -> list[str]:
    """The limit that the system's own services are, where the command talked to some."""
    total, each = _of(passed, way.SERVICE)
    if not total:
        return []
    of = count(total, "connection", "connections")
    return [
        f"{of} to services of this machine, which send for others only what they are for: "
        f"{listed(each)}"
    ]


def _of(passed: Counter[Passed], why: str) -> tuple[int, list[str]]:
    found = {one: n for one, n in passed.items() if one.why == why}
    each = dict.fromkeys(
        f"{named([one.program])}{': ' if why == way.OTHER_SOCKET else ' to '}{one.to}"
        for one in found
    )
    return sum(found.values()), list(each)


def _unnamed(rows: Sequence[Sent]) -> Iterable[Gap]:
    """Any host may be behind a bare address."""
    found = [row for row in rows if not row.profile and is_address(row.host)]
    if found:
        each = dict.fromkeys(f"{row.program or 'a program'} to {row.host}" for row in found)
        total = sum(row.count for row in found)
        yield Gap(
            id="unnamed",
            count=total,
            says=f"{count(total, 'connection', 'connections')} to bare addresses, without a host's "
            f"name, not looked into: {listed(each)}",
            remedy="see what it is; a firewall closes it to the command",
            who=list(each),
        )


def _survived(programs: Sequence[Program]) -> Iterable[Gap]:
    if programs:
        yield Gap(
            id="descendants",
            count=len(programs),
            says=f"still running when the command had ended: {named(programs)}",
            remedy="--wait SECONDS waits longer; they can connect no more, so start them again",
            who=[named([one]) for one in programs],
        )
