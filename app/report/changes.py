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
    one before did. Versions go by their dotted numbers."""

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
    found = []
    for endpoint, group in groupby(fields, lambda f: (f.profile, f.host, f.method, f.route)):
        by_version: dict[str, list[FieldRow]] = {}
        for row in group:
            if row.version not in ("", OTHER) and row.path != OTHER:
                by_version.setdefault(row.version, []).append(row)
        earlier: set[str] = set()
        before: list[FieldRow] = []
        for version, rows in sorted(by_version.items(), key=lambda item: _number(*item)):
            paths = {row.path for row in rows}
            new = [row for row in rows if row.path not in earlier]
            gone = [row for row in before if row.path not in paths]
            seen = any(
                (since_ns is None or row.last_ns >= since_ns)
                and (until_ns is None or row.first_ns < until_ns)
                for row in rows
            )
            if before and seen and (new or gone):
                found.append(
                    Change(
                        **dict(
                            zip(("profile", "host", "method", "endpoint"), endpoint, strict=True)
                        ),
                        version=version,
                        previous=before[0].version,
                        new=_fields(new),
                        gone=_fields(gone),
                    )
                )
            earlier |= paths
            before = rows
    return found


def _number(version: str, rows: list[FieldRow]) -> tuple[tuple[int, ...], int]:
    """The sort key: builds of one number (4.16.1-20904e45) are ordered by first sight."""
    return version_number(version), min(row.first_ns for row in rows)


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
