"""Compares two contracts, as `telemock contract diff` prints it.

Presence is compared where both sides can tell it, rates and paces where they differ by more than
chance would.
"""

from collections.abc import Iterator, Sequence

import msgspec

from app.escape import inert, plain
from app.gate.contract_file import Contract, ContractEndpoint, ContractField, seconds
from app.report.compare import WHOLE_ENDPOINT, WHOLE_HOST, Difference
from app.report.coverage import count
from app.report.tables import markdown_table, text_table

_RATE, _PACE = 0.1, 1.2  # the least difference of rates, the least ratio of paces that is told
_HEAD = ("change", "host", "endpoint", "field", "before", "after")
_NONE = "-"


class ContractDiff(msgspec.Struct, kw_only=True):
    """`one` and `other` are as they were asked for."""

    one: str
    other: str
    differences: list[Difference]


def diff(one: Contract, other: Contract, names: tuple[str, str]) -> ContractDiff:
    found = [*_whole(one, other)]
    before, after = ({e.key: e for e in side.endpoints} for side in (one, other))
    for key in sorted(before.keys() | after.keys()):
        if key in before and key in after:
            found += _endpoint(before[key], after[key])
        else:
            kind, side = ("added", after) if key in after else ("gone", before)
            number = len(side[key].fields or ())
            found.append(_difference(kind, key, WHOLE_ENDPOINT, count(number, "field", "fields")))
    return ContractDiff(one=names[0], other=names[1], differences=found)


def _whole(one: Contract, other: Contract) -> Iterator[Difference]:
    if one.profile != other.profile:
        yield Difference("changed", "", "", "", "profile", one.profile, other.profile)
    for host in sorted({*one.hosts} ^ {*other.hosts}):
        kind = "added" if host in other.hosts else "gone"
        yield _difference(kind, (host, "", ""), WHOLE_HOST, "may be connected to")


def _endpoint(one: ContractEndpoint, other: ContractEndpoint) -> Iterator[Difference]:
    key = one.key
    paces = [seconds(side.every) if side.every else 0 for side in (one, other)]
    if min(paces) * _PACE <= max(paces) and one.every != other.every:
        said = [f"every {side.every}" if side.every else _NONE for side in (one, other)]
        yield Difference("changed", *key, "(cadence)", *said)
    for name in sorted(({*one.events} ^ {*other.events}) - {""}):  # "" is of older files
        kind = "added" if name in other.events else "gone"
        yield _difference(kind, key, name, "event")
    if one.fields is None or other.fields is None:
        if one.fields is not other.fields:
            said = ["not judged" if side.fields is None else "judged" for side in (one, other)]
            yield Difference("changed", *key, "(fields)", *said)
        return
    for path in sorted(one.fields.keys() | other.fields.keys()):
        old, new = one.fields.get(path), other.fields.get(path)
        if old and new:
            if _differs(old, new):
                yield Difference("changed", *key, path, _said(old), _said(new))
        elif field := old or new:
            yield _difference("gone" if old else "added", key, path, _said(field))


def _differs(one: ContractField, other: ContractField) -> bool:
    if any({*getattr(one, n)} != {*getattr(other, n)} for n in ("types", "shapes", "classes")):
        return True
    if one.said != other.said:
        return True
    if "few" in (one.presence, other.presence):
        return False
    rates = [1.0 if side.presence == "always" else side.rate for side in (one, other)]
    if one.presence == other.presence and None not in rates:
        return abs((rates[0] or 0) - (rates[1] or 0)) >= _RATE
    return one.presence != other.presence


def _said(field: ContractField) -> str:
    shapes = f" ({', '.join(field.shapes)})" if field.shapes else ""
    classes = f", {' or '.join(field.classes)}" if field.classes else ""
    said = f", said {field.said}" if field.said else ""
    rate = f" {field.rate}" if field.rate is not None else ""
    return f"{' or '.join(field.types)}{shapes}{classes}{said}, {field.presence}{rate}"


def _difference(kind: str, key: tuple[str, str, str], what: str, said: str) -> Difference:
    return Difference(kind, *key, what, *((_NONE, said) if kind == "added" else (said, _NONE)))


def summary(found: ContractDiff) -> str:
    kinds = [one.kind for one in found.differences]
    told = ", ".join(f"{kinds.count(kind)} {kind}" for kind in ("added", "gone", "changed"))
    return f"from {found.one} to {found.other}: {told if kinds else 'none differs'}"


def text(found: ContractDiff) -> str:
    table = "\n" + text_table(_HEAD, _rows(found)) if found.differences else ""
    return f"{plain(summary(found), 600)}\n{table}"


def markdown(found: ContractDiff) -> str:
    """Renders the difference for a ticket."""
    table = "\n" + markdown_table(_HEAD, _rows(found)) if found.differences else ""
    return f"## {inert(summary(found), 600)}\n{table}"


def _rows(found: ContractDiff) -> Sequence[Sequence[object]]:
    return [(d.kind, d.host, d.endpoint, d.what, d.before, d.after) for d in found.differences]
