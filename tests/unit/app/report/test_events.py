"""app/report/events.py: the report counts the events that exports count."""

import json
import re
from pathlib import Path

import msgspec
import pytest

from app.contract.record import Body, CaptureRecord, encode
from app.escape import json_text
from app.report.build import build
from app.report.decoded import decoded
from app.report.events import MOST, SHOWN, event_lines, shown
from app.report.export import FORMATS
from app.report.rows import COLUMNS, row
from app.report.show import markdown, text
from app.store import OTHER, EventRow
from app.store.sqlite.ids import EVENTS
from app.store.sqlite.store import SqliteStore
from tests.records import T0, exchange, incoming

ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def event(name: str, count: int, version: str = "4.10", **more: str) -> EventRow:
    of = {"profile": "acme", "host": "h", "method": "POST", "route": "/batch", **more}
    return EventRow(**of, version=version, name=name, count=count, first_ns=T0, last_ns=T0)


def test_the_most_frequent_first_and_the_others_together() -> None:
    rows = [event(f"e{n:02}", n + 1) for n in range(SHOWN + 5)]
    rows += [
        event(OTHER, 100),
        event("e24", 1, "4.9"),
        event("e24", 1, ""),
        event("z", 1, host="i"),
    ]
    *most, others, z = shown(event_lines(rows))
    assert [line.event for line in most] == [f"e{n:02}" for n in range(SHOWN + 4, 4, -1)]
    assert (most[0].count, most[0].versions) == (27, ["4.9", "4.10"])
    assert (others.event, others.names, others.count) == (OTHER, 6, 100 + sum(range(1, 6)))
    assert (z.event, z.host, z.names) == ("z", "i", 1)


def test_a_report_has_the_names_that_a_store_keeps() -> None:
    assert MOST == EVENTS
    *most, others = event_lines([event(f"e{n}", 1) for n in range(MOST + 5)])
    assert (len(most), others.event, others.names) == (MOST, OTHER, 5)


def records() -> list[CaptureRecord]:
    batch = json.dumps({"batch": [{"event": "a|b"}, {"event": "a|b"}, {"x": 1}]})
    tag = [("tid", "G-1"), ("en", "page_view")]
    return [
        exchange(1, method="POST", body=Body(text=batch, size=len(batch))),
        exchange(2, method="POST", body=Body(text="plain", size=5)),
        exchange(3, query=tag),
        exchange(4, query=[("v", "1")]),
        exchange(5, query=[], action="pass", headers=[]),
    ]


def test_the_report_counts_what_exports_count(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store")
    store.write(incoming(*records()))
    report = build(store)
    store.close()
    found = {(line.method, line.event): line.count for line in report.events}
    assert found == {("POST", "a|b"): 2, ("POST", ""): 1, ("GET", "page_view"): 1}
    cells = [dict(zip(COLUMNS, row(encode(one)), strict=True)) for one in records()]
    assert [one["events"] for one in cells] == [3, 0, 1, 0, 0]
    assert sum(found.values()) == sum(one["events"] for one in cells)
    assert "(no name)" in text(report)
    assert "a\\|b" in markdown(report)


HOSTILE = [
    "=1+1", "\\t=1", "\\ud800", "\\udfff x", "a\\u0000b", "\\u001b[31m", "\\u202e=x", "\uff1d1",
    "\\u2028", "x" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("kind", FORMATS)
def test_hostile_names_of_events_and_fields_break_no_output(kind: str, tmp_path: Path) -> None:
    found = []
    for n, name in enumerate(HOSTILE, 1):
        body = f'{{"batch":[{{"event":"{name}"}},{{"event":"{name}"}}],"{name}":1}}'
        found.append(exchange(n, method="POST", body=Body(text=body, size=len(body))))
    lines = list(map(encode, found))
    assert len(b"".join(FORMATS[kind](lines))) > 1_000
    for line in lines:
        assert len(json.loads(decoded(line))["events"]) == 2
    store = SqliteStore(tmp_path / "store")
    store.write(incoming(*found))
    report = build(store)
    store.close()
    assert sum(line.count for line in report.events) == 2 * len(HOSTILE)
    assert ACTS.search(text(report)) is None and ACTS.search(markdown(report)) is None
    assert ACTS.search(json_text(msgspec.json.encode(report))) is None
