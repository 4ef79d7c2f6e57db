"""The sketches of the store in memory."""

from collections.abc import Mapping

from app.contract.record import decode
from app.store import Incoming, SketchRow
from app.store.facts import Route, endpoint_of
from app.store.values import Sketch, hashed, values_of

Sketches = dict[tuple[Route, str], Sketch]


def look(into: Sketches, one: Incoming) -> None:
    record = decode(one.line)
    paths = {f.path for f in one.facts.seen.fields} if one.facts.seen else set()
    hashes: dict[str, list[bytes]] = {}
    for path, value in values_of(record):
        if path in paths:
            hashes.setdefault(path, []).append(hashed(b"key", path, value))
    for path, of in hashes.items():
        key = (endpoint_of(record), path)
        into[key] = into.get(key, Sketch()).with_values(of, len(of))


def rows_of(sketches: Mapping[tuple[Route, str], Sketch], profile: str | None) -> list[SketchRow]:
    return [
        SketchRow(
            **dict(zip(("profile", "host", "method", "route"), of, strict=True)),
            path=path, looked=s.looked, distinct=s.distinct, is_exact=s.is_exact,
        )
        for (of, path), s in sorted(sketches.items())
        if profile in (None, of[0])
    ]  # fmt: skip
