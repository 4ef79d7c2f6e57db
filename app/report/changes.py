"""Compares versions of a product, by the field inventory: fields that came and went.

Called by `app.report.build`; the analysis of log files orders versions by it.
"""

from collections.abc import Iterable
from itertools import groupby

import msgspec

from app.store import OTHER, FieldRow
from app.store.versions import version_number


class ChangedField(msgspec.Struct, kw_only=True):
    """`present` is the share of the version's requests that carry it, 0 to 1."""

    path: str
    types: list[str]
    shapes: list[str]
    present: float


class Change(msgspec.Struct, kw_only=True):
    """What a version of one endpoint sends that no earlier one did, and no longer sends that the
    one before did. Versions go by their dotted numbers. `previous` of an endpoint that no earlier
    version asked is the product's: all its fields are new."""

    profile: str
    host: str
    method: str
    endpoint: str
    version: str
    previous: str
    new: list[ChangedField]
    gone: list[ChangedField]


def changes(
    fields: Iterable[FieldRow], *, since_ns: int | None = None, until_ns: int | None = None
) -> list[Change]:
    """Compares each endpoint's versions, if they were seen in the period. `fields` are the whole
    inventory: a field is new only if no earlier version had it."""
    fields = list(fields)
    of_product = _versions(fields)
    found = []
    for endpoint, group in groupby(fields, lambda f: (f.profile, f.host, f.method, f.route)):
        by_version: dict[str, list[FieldRow]] = {}
        for row in group:
            if _names_both(row):
                by_version.setdefault(row.version, []).append(row)
        earlier: set[str] = set()
        before: list[FieldRow] = []
        previous = ""
        for version in of_product.get(endpoint[0], ()):
            rows = by_version.get(version)
            if rows is None:
                previous = previous if before else version
                continue
            paths = {row.path for row in rows}
            new = [row for row in rows if row.path not in earlier]
            gone = [row for row in before if row.path not in paths]
            seen = any(
                (since_ns is None or row.last_ns >= since_ns)
                and (until_ns is None or row.first_ns < until_ns)
                for row in rows
            )
            if previous and seen and (new or gone):
                found.append(
                    Change(
                        **dict(
                            zip(("profile", "host", "method", "endpoint"), endpoint, strict=True)
                        ),
                        version=version,
                        previous=previous,
                        new=_fields(new),
                        gone=_fields(gone),
                    )
                )
            earlier |= paths
            before, previous = rows, version
    return found


def _names_both(row: FieldRow) -> bool:
    return row.version not in ("", OTHER) and row.path != OTHER


def _versions(fields: Iterable[FieldRow]) -> dict[str, list[str]]:
    """Each product's, in their order: builds of one number (4.16.1-20904e45) by first sight."""
    first: dict[str, dict[str, int]] = {}
    for row in filter(_names_both, fields):
        of = first.setdefault(row.profile, {})
        of[row.version] = min(row.first_ns, of.get(row.version, row.first_ns))
    return {
        profile: [
            version
            for version, _ in sorted(of.items(), key=lambda one: (version_number(one[0]), one[1]))
        ]
        for profile, of in first.items()
    }


def _fields(rows: Iterable[FieldRow]) -> list[ChangedField]:
    found = []
    for path, group in groupby(rows, lambda row: row.path):
        kinds = list(group)
        found.append(
            ChangedField(
                path=path,
                types=sorted({row.type for row in kinds}),
                shapes=sorted({row.shape for row in kinds} - {""}),
                # One request may hold two types under one path, and so count twice.
                present=min(1.0, sum(row.count for row in kinds) / max(1, kinds[0].requests)),
            )
        )
    return found
