"""Prints captures on a terminal or to a file, one a line, for `telemock captures …`."""

import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Literal

import msgspec
import typer

from app.cli.ending import Failure
from app.cli.progress import counted
from app.client.source import Source, captures, connect, end, is_asked
from app.contract import record
from app.contract.files import write_to
from app.contract.instant import iso
from app.escape import json_text, plain
from app.report.decoded import decoded
from app.report.export import BINARY, FORMATS, table
from app.report.tables import LONGEST, Grid
from app.settings import load
from app.store import CaptureQuery, short_id
from app.store.classes import NO_WORDS

_POLL_S = 1.0
# The columns and their widths; the last one takes what room there is.
_COLUMNS = {
    "TIME": 20, "ACTION": 8, "STATUS": 6, "VERSION": 15, "WORKLOAD": 22, "ID": 13, "REQUEST": 400,
}  # fmt: skip
_REMEMBERED = 10_000  # ids of captures that `tail` has printed, to deduplicate


def list_(
    query: CaptureQuery,
    limit: int | None,
    order: Literal["newest", "oldest", "arrival"],
    *,
    as_json: bool,
    server: str,
) -> None:
    with connect(load(), server) as source:
        query = msgspec.structs.replace(query, order=order)
        _print(captures(source, query, limit), as_json=as_json)


def show(id: str, server: str) -> None:
    with connect(load(), server) as source:
        found = source.capture(id)
    if found is None:
        raise Failure(
            f"there is no capture {plain(id)!r}\n\nhint: `telemock captures list` prints the ids"
        )
    typer.echo(json_text(msgspec.json.format(decoded(found), indent=2)))


def tail(query: CaptureQuery, lines: int, *, follow: bool, as_json: bool, server: str) -> None:
    with connect(load(), server) as source:
        _print(_following(source, query, lines, follow), as_json=as_json)


def _following(source: Source, query: CaptureQuery, lines: int, follow: bool) -> Iterator[bytes]:
    cursor = end(source) if follow else None
    last = list(captures(source, query, lines))[::-1] if lines else []
    yield from last
    # Captures that arrive between the two queries are in both answers.
    shown = deque((record.decode(line).id for line in last), maxlen=_REMEMBERED)
    query = msgspec.structs.replace(query, order="arrival", cursor=cursor, limit=500)
    while follow:
        page = source.page(query)
        for line in page.items:
            if is_asked(line, query) and (id := record.decode(line).id) not in shown:
                yield line
                shown.append(id)
        query = msgspec.structs.replace(query, cursor=page.last)
        if page.next is None:
            time.sleep(_POLL_S)


def export(
    query: CaptureQuery,
    format: Literal["ndjson", "csv", "har", "xlsx", "parquet"],
    output: Path | None,
    *,
    bom: bool,
    server: str,
) -> None:
    if format in BINARY and output is None and sys.stdout.isatty():
        raise typer.BadParameter(f"{format} is nothing for a terminal: give --output FILE")
    to_file = FORMATS[format] if bom or format != "csv" else partial(table, bom=False)
    query = msgspec.structs.replace(query, order="oldest")
    with connect(load(), server) as source:
        lines = captures(source, query)
        words = NO_WORDS if format == "ndjson" else source.words()
        if output is None:
            shown = lines if sys.stdout.isatty() else counted(lines, "writing captures")
            for piece in to_file(shown, words):
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
        else:
            pieces = to_file(counted(lines, f"writing {plain(str(output))}"), words)
            write_to(output, pieces, 0o600)


def _print(lines: Iterable[bytes], *, as_json: bool) -> None:
    if as_json:
        for line in lines:
            typer.echo(json_text(line))
        return
    grid = Grid([*_COLUMNS], [*_COLUMNS.values()], sys.stdout)
    typer.echo(grid.head + grid.note, nl=False)
    for line in lines:
        typer.echo(grid.row([plain(cell, LONGEST) for cell in _cells(line)]), nl=False)


def _cells(line: bytes) -> tuple[str, ...]:
    found = record.decode(line)
    by = found.workload
    return (
        iso(found.time_ns),
        found.action or "-",
        str(found.response.status) if found.response else "-",
        found.product_version or "-",
        f"{by.namespace}/{by.pod}".strip("/") or found.sent_by or "-",
        short_id(found.id),
        _what(found),
    )


def _what(found: record.CaptureRecord) -> str:
    if found.log:
        return f"log {found.log.level} {found.log.message}"
    if found.message:
        return f"message of {found.message.sender}, {found.message.body.size} bytes"
    if found.request:
        return f"{found.request.method} {found.host}{found.request.path}"
    why = f": {record.REASONS.get(found.reason, found.reason)}" if found.reason else ""
    return f"{found.kind} {found.host}{why}"
