"""What is worked out on arrival is what looking at the whole record later would give."""

from pathlib import Path

from app.contract.record import Body, CaptureRecord, Message, encode
from app.counting import Counting
from app.digest import digest
from app.files import request_log
from app.otel.metrics import Metrics
from app.store import Incoming
from app.store.rollup import facts
from app.store.sqlite import SqliteStore
from tests.records import exchange, log, spliced


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


def arrived(record: CaptureRecord) -> Incoming:
    return digest(record, encode(record), ())


def test_facts_and_line_are_those_of_the_whole_record() -> None:
    for record in records():
        known, said = facts(record, ()), request_log(record)
        line = encode(record)
        incoming = arrived(record)
        assert (incoming.facts, incoming.said, incoming.line) == (known, said, line)
        kept = len(encode(incoming.record))
        assert record.kind in ("spliced", "log") or kept < len(line)
    assert [bool(arrived(r).said) for r in records()] == [True, True, True, False, False, False]


def test_store_and_counters_see_no_difference(tmp_path: Path) -> None:
    results: list[object] = []
    for ready in (arrived, lambda record: Incoming(record, encode(record))):
        store = SqliteStore(tmp_path / f"{len(results)}.sqlite")
        try:
            batch = [ready(record) for record in records()]
            written = store.write(batch)
            metrics = Metrics("app")
            Counting(metrics).stored(batch, written)
            counted = [x for x in metrics.render().splitlines() if x.startswith(b"telemock_")]
            assert len(counted) > 10
            results.append((written, store.endpoints(), store.senders(), store.fields(), counted))
        finally:
            store.close()
    assert results[0] == results[1]
