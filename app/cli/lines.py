"""Prints captures on a terminal or to a file, one a line, for `telemock captures …`."""

import contextlib
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Literal

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from app.client.source import Source, captures, connect, is_asked
from app.contract import record
from app.contract.files import write_whole
from app.contract.instant import iso
from app.escape import json_text, plain
from app.report.decoded import decoded
from app.report.export import BINARY, FORMATS, table
from app.settings import load
from app.store import CaptureQuery

NO_MATCH = 1
_POLL_S = 1.0
_HEAD = ("TIME", "ACTION", "STATUS", "VERSION", "WORKLOAD", "ID", "REQUEST")
_LINE = "{:<24}  {:<8}  {:<6}  {:<18}  {:<22}  {:<37}  {}"
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
        typer.echo(
            f"error: there is no capture {plain(id)!r}\n\n"
            "hint: `telemock captures list` prints the ids",
            err=True,
        )
        raise typer.Exit(NO_MATCH)
    typer.echo(json_text(msgspec.json.format(decoded(found), indent=2)))


def tail(query: CaptureQuery, lines: int, *, follow: bool, as_json: bool, server: str) -> None:
    with connect(load(), server) as source, contextlib.suppress(KeyboardInterrupt):
        _print(_following(source, query, lines, follow), as_json=as_json)


def _following(source: Source, query: CaptureQuery, lines: int, follow: bool) -> Iterator[bytes]:
    cursor = _end(source) if follow else None
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


def _end(source: Source) -> str | None:
    """Returns the cursor behind the last arrival, None when there is none."""
    newest = source.page(CaptureQuery(limit=1)).items
    if not newest:
        return None
    # Finds the newest by time, which is fast, then follows the order of arrival from there.
    query = CaptureQuery(since_ns=record.decode(newest[0]).time_ns, order="arrival", limit=1000)
    while True:
        page = source.page(query)
        if page.next is None:
            return page.last
        query = msgspec.structs.replace(query, cursor=page.next)


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
        if output is None:
            for piece in to_file(lines):
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
        else:
            with _progress() as progress:
                counted = progress.track(lines, description=f"writing {plain(str(output))}")
                write_whole(output, to_file(counted), 0o600)


def _progress() -> Progress:
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True)


def _print(lines: Iterable[bytes], *, as_json: bool) -> None:
    if not as_json:
        typer.echo(_LINE.format(*_HEAD))
    for line in lines:
        typer.echo(json_text(line) if as_json else _row(line))


def _row(line: bytes) -> str:
    found = record.decode(line)
    by = found.workload
    cells = (
        iso(found.time_ns, 3),
        found.action or "-",
        str(found.response.status) if found.response else "-",
        found.product_version or "-",
        f"{by.namespace}/{by.pod}".strip("/") or found.sent_by or "-",
        found.id,
        _what(found),
    )
    return _LINE.format(*map(plain, cells)).rstrip()


def _what(found: record.CaptureRecord) -> str:
    if found.log:
        return f"log {found.log.level} {found.log.message}"
    if found.message:
        return f"message of {found.message.sender}, {found.message.body.size} bytes"
    if found.request:
        return f"{found.request.method} {found.host}{found.request.path}"
    why = f": {record.REASONS.get(found.reason, found.reason)}" if found.reason else ""
    return f"{found.kind} {found.host}{why}"
