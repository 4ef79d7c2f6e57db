"""What is worked out on arrival is what looking at the whole record later would give."""

from pathlib import Path

import pytest

from app.contract.record import Body, CaptureRecord, Message, Workload, encode
from app.ingest.counters import Counting
from app.logs.files import request_log
from app.otel.metrics import Metrics
from app.store import CaptureQuery
from app.store.facts import body_fields, facts
from app.store.sqlite.repeated_lines import Repeated
from app.store.sqlite.store import SqliteStore
from tests.lines import arrived, line_of
from tests.records import T0, decoded, exchange, log, spliced

pytestmark = pytest.mark.usefixtures("at_once")


def records() -> list[CaptureRecord]:
    body = Body(text='{"a":[1,"x"]}', size=13)
    message = Message(of="x", sender="client", body=Body(text="hello", size=5))
    return [
        exchange(1),
        exchange(2, method="POST", body=body, status=503),
        exchange(3, kind="refused", action="block"),
        exchange(4, kind="message", message=message),
        spliced(5),
        log(6, "a line"),
    ]


def test_facts_and_line_are_those_of_the_whole_record() -> None:
    for record in records():
        known = facts(record, ())
        log_line = request_log(record, body_fields(known), known.events)
        line = encode(record)
        incoming = arrived(line)
        assert (incoming.facts, incoming.log_line, incoming.line) == (known, log_line, line)
        kept = len(encode(incoming.record))
        assert record.kind in ("spliced", "log") or kept < len(line)
    assert [bool(arrived(encode(r)).log_line) for r in records()] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]


def test_store_and_counters_see_no_difference(tmp_path: Path) -> None:
    """Also of lines that are read by their form, of two senders, in two hours and two days."""
    lines = [encode(record) for record in records()]
    for seq in range(1, 40):
        for sender, status in ((1, 200), (1, 503), (2, 200)):
            time_ns = T0 + seq * 45 * 60 * 10**9
            of = {"workload": Workload(namespace="logs", pod=f"worker-{sender}"), "status": status}
            query = [("v", "4.1"), ("ib", str(seq))]
            lines.append(line_of(10 * sender + status, seq, time_ns=time_ns, query=query, **of))
    results: list[object] = []
    for ready in (arrived, decoded):
        store = SqliteStore(tmp_path / f"{len(results)}.sqlite")
        try:
            batch = [ready(line) for line in lines]
            written = store.write([*batch, *batch[:3]])
            metrics = Metrics("app")
            Counting(metrics).stored(batch, written)
            counted = [x for x in metrics.render().splitlines() if x.startswith(b"telemock_")]
            assert len(counted) > 10
            kept = store.captures(CaptureQuery(limit=len(lines)))
            results.append(
                (written, kept, store.endpoints(), store.senders(), store.fields(), counted)
            )
        finally:
            store.close()
    assert results[0] == results[1]
    forms = {one.form for one in map(arrived, lines) if isinstance(one, Repeated)}
    assert len(forms) == 3
