"""The bench of reports: how long questions take at 1 and at 10 million captures.

`python -m tests.bench.reports [--captures 1000000 10000000] [--folder DIR]`. Fills a store through
the real writer with records of 1,000 pods of three products, once a minute each, up to the smallest
size. Larger ones are multiples of it: the same captures and roll-ups again, some days later each
time, which takes minutes instead of a quarter of an hour. Every question is asked some times, as
the API asks it, of all sizes by turns; how it grows is told by processor time, because other work
on the machine shows in it least. With --folder the stores stay there (5 GB) and are used the next
time.
Prints a table in Markdown, then the figures as JSON. Not run by `make test`.
"""

import argparse
import json
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from app.contract.names import FILE_STORE
from app.ingest.digest import digest
from app.report import build
from app.report.tables import markdown_table
from app.store import CaptureQuery
from app.store.facts import DAY
from app.store.sqlite.repeated_lines import RepeatedLines
from app.store.sqlite.store import SqliteStore
from tests.bench.figures import shown, summary
from tests.bench.fleet import MINUTE, T0, Fleet
from tests.bench.machine import machine, versions

PODS = 1_000
AT_ONCE = 1_000  # captures
GROWTH = 1.5  # at most, from the smallest store to the largest


class Question(NamedTuple):
    name: str
    target_ms: float | None
    ask: Callable[[SqliteStore], object]


def _page(**asked: Any) -> Callable[[SqliteStore], object]:
    return lambda store: store.captures(CaptureQuery(**asked))


QUESTIONS = (
    Question("overview: endpoints, versions", 50, lambda s: (s.endpoints(), s.versions())),
    Question("fields", 50, lambda s: s.fields()),
    Question("workloads", 300, lambda s: s.senders()),
    Question("version differences", 300, lambda s: build.changes(s.fields())),
    Question("the whole report", None, lambda s: msgspec.json.encode(build.build(s))),
    Question("the report of six hours", None,
             lambda s: build.build(s, since_ns=T0 + 60 * MINUTE, until_ns=T0 + 420 * MINUTE)),
    Question("records that never came", 50, lambda s: s.boots()),
    Question("newest 100", 300, _page()),
    Question("oldest 100", 300, _page(order="oldest")),
    Question("newest of a host", 300, _page(host="cdn.cribl.io")),
    Question("newest of a pod", 300, _page(workload=Fleet(8).pods[7].name)),
    Question("newest of a namespace", 300, _page(workload="team-3/")),
    Question("newest that failed", 300, _page(status="5xx")),
    Question("newest 1,000 of a version", 300, _page(version="4.16.1-00904e45", limit=1_000)),
    Question("none of a method", 300, _page(method="PUT")),
    Question("text", 300, _page(text="worker-42")),
    Question("text that is nowhere", 300, _page(text="nothing like it")),
    Question("a host, one hour", 300, _page(host="cdn.cribl.io", since_ns=T0 + 120 * MINUTE,
                                           until_ns=T0 + 180 * MINUTE)),
    Question("newest, behind the second hour", 300, _page(cursor=f"newest.{T0 + 120 * MINUTE}.0")),
    Question("newest of a host, behind it", 300,
             _page(host="cdn.cribl.io", cursor=f"newest.{T0 + 120 * MINUTE}.0")),
    Question("the first 1,000 by arrival", 300, _page(order="arrival", limit=1_000)),
    Question("by arrival, a host", 300, _page(order="arrival", host="cdn.cribl.io")),
    Question("by arrival, 1,000 of a pod", 300,
             _page(order="arrival", workload=Fleet(8).pods[7].name, limit=1_000)),
    Question("by arrival, a pod's that failed", 300,
             _page(order="arrival", workload=Fleet(8).pods[7].name, status="5xx")),
    Question("by arrival, none of a method", 300, _page(order="arrival", method="PUT")),
    Question("by arrival, none of a time", 300, _page(order="arrival", until_ns=T0)),
    Question("totals", 50, lambda s: s.stats()),
)  # fmt: skip


def fill(path: Path, captures: int) -> None:
    """Until it holds that many, through the writer."""
    store, fleet = SqliteStore(path), Fleet(PODS)
    read = RepeatedLines(lambda line: digest(line, lambda profile, rule: ()))
    try:
        turns = fleet.minutes()
        for start in range(store.stats().records, captures, AT_ONCE):
            lines = [fleet.line(*turn) for turn in islice(turns, min(AT_ONCE, captures - start))]
            store.write([read(line) for line in lines])
            if start % 100_000 == 0:
                print(f"{time.strftime('%H:%M:%S')} {start:,}", file=sys.stderr, flush=True)
    finally:
        store.close()


def multiply(path: Path, base: int, captures: int) -> None:
    """The first `base` captures again and again, each time some days later."""
    connection = sqlite3.connect(path, isolation_level=None)
    (records,) = connection.execute("SELECT records FROM total").fetchone()
    last, first = connection.execute(
        "SELECT max(time_ns), min(time_ns) FROM capture WHERE id<=?", (base,)
    ).fetchone()
    apart = last // DAY - first // DAY + 1  # days
    for copy in range(records // base, captures // base):
        days = copy * apart
        values = {"base": base, "id": copy * base, "days": days, "ns": days * DAY, "copies": copy}
        connection.execute("BEGIN")
        for statement in _AGAIN:
            connection.execute(statement, values)
        connection.execute("COMMIT")
        print(f"{time.strftime('%H:%M:%S')} {(copy + 1) * base:,}", file=sys.stderr, flush=True)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


# What follows the first `base` captures by `days`; the inventory only counts.
_AGAIN = (
    "INSERT INTO capture SELECT id+:id, boot_id, seq+:id, time_ns+:ns, facet_id, dictionary_id,"
    " record FROM capture WHERE id<=:base ORDER BY id",
    "INSERT INTO traffic SELECT hour+:days*24, endpoint_id, version_id, rule, kind, action,"
    " answered_by, status, reason, count, bytes_out, bytes_in, duration_ns, first_ns+:ns,"
    " last_ns+:ns FROM traffic WHERE first_ns<(SELECT min(first_ns) FROM traffic)+:ns/:copies",
    "INSERT INTO sender SELECT day+:days, endpoint_id, version_id, namespace, pod, outcome, node,"
    " image, count, bytes_out, first_ns+:ns, last_ns+:ns FROM sender"
    " WHERE first_ns<(SELECT min(first_ns) FROM sender)+:ns/:copies",
    "UPDATE traffic_total SET count=count*(:copies+1)/:copies, last_ns=last_ns+:ns/:copies,"
    " bytes_out=bytes_out*(:copies+1)/:copies, bytes_in=bytes_in*(:copies+1)/:copies,"
    " duration_ns=duration_ns*(:copies+1)/:copies",
    "UPDATE sender_total SET count=count*(:copies+1)/:copies, last_ns=last_ns+:ns/:copies,"
    " bytes_out=bytes_out*(:copies+1)/:copies",
    "UPDATE seen SET count=count*(:copies+1)/:copies, last_ns=last_ns+:ns/:copies",
    "UPDATE observed SET requests=requests*(:copies+1)/:copies, last_ns=last_ns+:ns/:copies",
    "UPDATE total SET records=records+:base, last=last+:base",
)


def ask(
    stores: dict[int, SqliteStore], question: Question, repetitions: int
) -> dict[int, dict[str, float]]:
    """Times in ms and the median of this process's `processor` time, by size."""
    took: dict[int, list[float]] = {size: [] for size in stores}
    processor: dict[int, list[float]] = {size: [] for size in stores}
    for _ in range(repetitions):
        for size, store in stores.items():
            begun = time.perf_counter(), time.process_time()
            question.ask(store)
            took[size].append((time.perf_counter() - begun[0]) * 1e3)
            processor[size].append((time.process_time() - begun[1]) * 1e3)
    return {
        size: summary(took[size])._asdict() | {"processor": summary(processor[size]).median}
        for size in stores
    }


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """The figures: of each question, in ms, by the number of captures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--captures", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--repetitions", type=int, default=21)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args(arguments)
    os.nice(10)
    load = os.getloadavg()[0]
    sizes: dict[int, dict[str, Any]] = {}
    stores: dict[int, SqliteStore] = {}
    with ExitStack() as opened:
        folder = options.folder or Path(
            opened.enter_context(tempfile.TemporaryDirectory(prefix="telemock-bench-"))
        )
        base = min(options.captures)
        smallest = folder / str(base) / FILE_STORE
        fill(smallest, base)
        for captures in sorted(options.captures):
            path = folder / str(captures) / FILE_STORE
            if not path.exists():
                path.parent.mkdir()
                shutil.copy(smallest, path)
            multiply(path, base, captures)
            stores[captures] = SqliteStore.open_readonly(path)
            opened.callback(stores[captures].close)
        asked = {q.name: ask(stores, q, options.repetitions) for q in QUESTIONS}
        for captures, store in stores.items():
            stats = store.stats()
            sizes[captures] = {
                "records": stats.records, "bytes": stats.bytes,
                "questions": {name: of[captures] for name, of in asked.items()},
            }  # fmt: skip
    result = {
        "bench": "reports", "machine": machine(), "versions": versions(),
        "load": [load, os.getloadavg()[0]], "sizes": sizes,
    }  # fmt: skip
    print(markdown(result))
    print(json.dumps(result))
    return result


def markdown(found: dict[str, Any]) -> str:
    sizes = found["sizes"]
    small, large = min(sizes), max(sizes)
    rows = []
    for question in QUESTIONS:
        took = {size: of["questions"][question.name] for size, of in sizes.items()}
        rows.append([
            question.name,
            *map(_range, took.values()),
            *(shown(of["processor"]) for of in took.values()),
            f"x{took[large]['processor'] / took[small]['processor']:.2f}",
            f"{question.target_ms:.0f}" if question.target_ms else "",
        ])  # fmt: skip
    heads = [
        "question", *(f"{size:,} captures, ms" for size in sizes),
        *(f"processor at {size:,}, ms" for size in sizes), "growth", "target, ms",
    ]  # fmt: skip
    each = (
        f"{of['bytes'] / of['records']:.0f} bytes a capture at {n:,}" for n, of in sizes.items()
    )
    before, after = found["load"]
    return (
        f"{PODS:,} pods of three products, once a minute each; {', '.join(each)}; load average "
        f"{before:.2f} before, {after:.2f} after; growth at most x{GROWTH}.\n\n"
        + markdown_table(heads, rows)
    )


def _range(of: dict[str, float]) -> str:
    return f"{shown(of['median'])} ({shown(of['low'])} to {shown(of['high'])})"


if __name__ == "__main__":
    main()
