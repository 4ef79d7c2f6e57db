"""Sums up what the records of a run say about planted values: source, field, way. Prints it."""

from collections.abc import Iterable

import msgspec

from app.contract.actions import OUTLINED
from app.contract.canary.literals import AS_IT_IS, REVERSED, ROT13, kind
from app.contract.record import CaptureRecord
from app.escape import plain
from app.report.coverage import count
from app.run.canary.facts import REAL
from app.run.canary.plant import ALONE, Planted
from app.store.inventory import route_of

PERSON, MACHINE, PROJECT = "the person", "the machine", "the project"
_OF = {
    "user": PERSON, "full name": PERSON, "home": PERSON, "git e-mail": PERSON, "git name": PERSON,
    "CI user": PERSON, "host name": MACHINE, "machine id": MACHINE, "boot id": MACHINE,
    "product UUID": MACHINE, "serial number": MACHINE, "MAC address": MACHINE,
    "working directory": PROJECT, "git remote": PROJECT, "git commit": PROJECT,
    "CI project": PROJECT, "project name": PROJECT,
}  # fmt: skip


class CanaryFound(msgspec.Struct, kw_only=True):
    """A value, or something derived of it, in one field of one endpoint. `of`: whom it tells."""

    source: str
    field: str
    how: str
    of: list[str]
    host: str
    method: str
    endpoint: str
    count: int = 0


class CanaryReport(msgspec.Struct, kw_only=True):
    """`searched` are the sources, `fields` the values of fields that were looked into; `unopened`
    counts what was sent and not read."""

    found: list[CanaryFound]
    planted: dict[str, str]
    not_planted: dict[str, str]
    searched: list[str]
    fields: int
    skipped: dict[str, int]
    unopened: int
    notes: list[str]


def told(planted: Planted, records: Iterable[CaptureRecord]) -> CanaryReport:
    rows: dict[tuple[str, ...], CanaryFound] = {}
    skipped: dict[str, int] = {}
    fields = unopened = 0
    for record in records:
        if record.canary is None or record.kind == "spliced" or record.action in OUTLINED:
            unopened += 1
        if record.canary is None:
            continue
        fields += record.canary.fields
        for why in record.canary.skipped:
            skipped[why] = skipped.get(why, 0) + 1
        method = record.request.method if record.request else ""
        for source, name, how in record.canary.found:
            key = (record.host, method, route_of(record), source, name, how)
            row = rows.setdefault(
                key,
                CanaryFound(
                    source=source, field=name, how=how, of=whom(source),
                    host=record.host, method=method, endpoint=route_of(record),
                ),
            )  # fmt: skip
            row.count += 1
    return CanaryReport(
        found=sorted(rows.values(), key=lambda r: (r.host, r.endpoint, r.field, r.source)),
        planted=planted.planted,
        not_planted=planted.not_planted,
        searched=list(dict.fromkeys(c.source for c in planted.canaries)),
        fields=fields,
        skipped=skipped,
        unopened=unopened,
        notes=planted.notes,
    )


def whom(source: str) -> list[str]:
    """Names whom a value of this source, or a pair of them, tells of."""
    names = (part.removesuffix(REAL) for part in source.split(" and "))
    return list(dict.fromkeys(_OF[name] for name in names if name in _OF))


def sentence(row: CanaryFound) -> str:
    if not (of := kind(row.how)):
        how = "" if row.how == AS_IT_IS else f", {row.how}"
        return f"{row.field} holds the {row.source}{how}"
    if of in (REVERSED, ROT13):
        return f"{row.field} holds the {row.source}, {row.how}"
    digest, comma, rest = row.how.partition(", ")
    digest, of_it, said = digest.partition(" (of it ")
    spelled = f" ({said}" if of_it else ""
    return f"{row.field} holds the {_of(digest, row.source)}{spelled}{comma}{rest}"


def _of(digest: str, source: str) -> str:
    """A digest and its source, in the order in which one speaks of them."""
    if " it as " in digest:
        return digest.replace(" it as ", f" the {source} as ")
    first, its, second = digest.partition(" of its ")
    if its:
        return f"{first} of the {second} of the {source}"
    name, with_, salt = digest.partition(" with ")
    return f"{name} of the {source}{with_}{salt}"


def lines(found: CanaryReport) -> list[str]:
    """The report, for people."""
    said = []
    endpoints: dict[str, list[CanaryFound]] = {}
    for row in found.found:
        at = f"{row.method} {row.host}{row.endpoint}".strip()
        endpoints.setdefault(at, []).append(row)
    for endpoint, rows in endpoints.items():
        said.append(f"canary: {plain(endpoint)}")
        for row in rows:
            times = f" ({row.count} times)" if row.count > 1 else ""
            tells = f": it tells of {' and '.join(row.of)}" if row.of else ""
            said.append(f"  the field {plain(sentence(row), 2000)}{tells}{times}")
    number = count(len(found.searched), "source", "sources")
    fields = count(found.fields, "field", "fields")
    if not found.found:
        said.append(f"canary: no known value was found ({number} looked for in {fields})")
    else:
        said.append(f"canary: {number} looked for in {fields}")
    said.append(f"canary: planted: {', '.join(found.planted)}")
    said += [f"canary: {s}: {how}" for s, how in found.planted.items() if ALONE in how]
    real = [source.removesuffix(REAL) for source in found.searched if source.endswith(REAL)]
    if real:
        said.append(f"canary: looked for as they are here, too: {', '.join(real)}")
    for source, why in found.not_planted.items():
        said.append(f"canary: not planted: {source}: {why}")
    for why, often in found.skipped.items():
        said.append(f"canary: not searched: {why}{f' ({often} times)' if often > 1 else ''}")
    if found.unopened:
        of = count(found.unopened, "connection or request", "connections or requests")
        said.append(f"canary: not searched: {of} that no rule opens: see --profile and --open")
    said += [f"canary: {note}" for note in found.notes]
    return said
