import json
import os
import threading
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from addon.exchange.exchange import Traced
from addon.record import ship
from addon.record.ship import Shipper
from app.contract.account import Account
from app.contract.masking.masker import Masker
from app.contract.record import (
    LINE_CAP,
    Body,
    CaptureRecord,
    Log,
    Message,
    Response,
    decode,
    encode,
)
from app.contract.rules import Host, Profile, RuleSet, Sensitive
from tests.canary import find_secret
from tests.shipping import Case, Told, record, request
from tests.standin import StandIn, standin
from tests.threads import in_threads
from tests.waiting import wait_for

SECRET = "c4n4ry+of/the=licence"
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    case = Case(tmp_path)
    yield case
    for shipper in case.shippers:
        shipper.close(0)


def seqs(app: StandIn, shipper: Shipper) -> list[int]:
    return sorted(r.seq for r in app.records() if r.boot == shipper.boot)


def test_a_record_reaches_the_app_and_standard_output_and_leaves_the_spool(case: Case) -> None:
    stdout = BytesIO()
    with standin() as app:
        shipper = case.shipper(app.url, stdout)
        shipper.start()
        sent = record(shipper, request=request(query=[("v", "1")]))
        shipper.submit(sent)
        wait_for(lambda: app.lines)
        assert shipper.close(5) == 0
    assert app.records() == [sent] and decode(stdout.getvalue().rstrip(b"\n")) == sent
    assert list(case.spool.iterdir()) == []


def test_numbers_are_gapless_from_one_in_every_thread(case: Case) -> None:
    shipper = case.shipper(NOWHERE)
    numbers: list[int] = []
    in_threads(lambda many: numbers.extend([shipper.reserve()[1] for _ in range(many)]), [1000] * 4)
    assert sorted(numbers) == list(range(1, 4001))
    assert len(shipper.boot) == 32 and shipper.reserve() == (shipper.boot, 4001)
    assert case.shipper(NOWHERE).boot != shipper.boot


@pytest.mark.parametrize("masked", [True, False])
def test_masking_comes_before_the_first_byte_anywhere(case: Case, masked: bool) -> None:
    if not masked:  # the control: then the search below must find it
        keep = Profile(
            "acme", "Acme", (Host("t.example"),), (), (Sensitive("query", "lic", "keep"),)
        )
        case.masker = lambda: Masker(RuleSet((keep,)))
    stdout = BytesIO()
    with standin(lambda lines: (503, b"")) as app:
        shipper = case.shipper(app.url, stdout)
        shipper.start()
        shipper.submit(record(shipper, request=request(query=[("lic", SECRET), ("v", "1")])))
        wait_for(lambda: app.posts and stdout.getvalue())
        shipper.close(0)
        places = [
            b"".join(p.read_bytes() for p in case.spool.iterdir()),
            stdout.getvalue(),
            app.posts[0],
        ]
        assert all(len(place) > 50 for place in places)
        assert [bool(find_secret(place, SECRET)) for place in places] == [not masked] * 3


class Raising(Masker):
    def record(self, record: CaptureRecord) -> CaptureRecord:
        raise ValueError(f"cannot mask {record}")


def test_what_cannot_be_masked_goes_without_its_contents(
    case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    case.masker = lambda: Raising(RuleSet())
    with standin() as app:
        shipper = case.shipper(app.url)
        shipper.start()
        shipper.submit(record(shipper, request=request(query=[("lic", SECRET)]), detail=SECRET))
        wait_for(lambda: app.lines)
        (found,) = app.records()
    assert (found.reason, found.seq, found.profile) == ("unmaskable", 1, "acme")
    assert found.request is None and found.detail == ""
    assert not find_secret(caplog.text.encode(), SECRET)


def test_a_record_that_is_too_large_loses_its_bodies_and_says_so(case: Case) -> None:
    # As JSON every byte of it takes six.
    large = Body(text="\x01" * (LINE_CAP // 6), size=LINE_CAP, sha256="ab")
    with standin() as app:
        shipper = case.shipper(app.url)
        shipper.start()
        shipper.submit(
            record(
                shipper,
                request=request(body=large),
                response=Response(status=200, body=Body(text="fine", size=4)),
            )
        )
        boot, seq = shipper.reserve()
        shipper.submit(
            CaptureRecord(
                boot=boot, seq=seq, kind="message", time_ns=1,
                message=Message(of="x", sender="client", body=Body(text="\x01" * LINE_CAP)),
            )
        )  # fmt: skip
        shipper.submit(record(shipper, detail="\x01" * LINE_CAP))
        wait_for(lambda: len(app.lines) == 3)
        both, message, bare = sorted(app.records(), key=lambda r: r.seq)
    assert both.request and both.request.body and both.response and both.response.body
    assert both.request.body.withheld == both.response.body.withheld == "too_large"
    assert both.request.body.text is None and both.request.body.size == LINE_CAP
    assert message.message is not None and message.message.body.withheld == "too_large"
    assert bare.reason == "too_large" and bare.detail == ""


def test_hostile_text_stays_one_printable_line(case: Case) -> None:
    evil = "\x1b]0;x\x07\x7f\x9b\u2028\u2029\u202e\r\n\0é"
    stdout = BytesIO()
    shipper = case.shipper(NOWHERE, stdout)
    shipper.start()
    shipper.submit(record(shipper, request=request(path=evil), detail=evil))
    wait_for(lambda: stdout.getvalue())
    line = stdout.getvalue()
    assert line.count(b"\n") == 1 and line.endswith(b"}\n")
    assert all(0x20 <= byte <= 0x7E for byte in line[:-1])
    assert json.loads(line)["detail"] == evil


def test_log_lines_are_delivered_and_not_printed_as_captures(case: Case) -> None:
    stdout = BytesIO()
    with standin() as app:
        shipper = case.shipper(app.url, stdout)
        shipper.start()
        boot, seq = shipper.reserve()
        log = Log(level="INFO", message="hello")
        shipper.submit(CaptureRecord(boot=boot, seq=seq, kind="log", time_ns=1, log=log))
        shipper.submit(record(shipper))
        shipper.close(5)
        assert seqs(app, shipper) == [1, 2]
    assert [json.loads(x)["kind"] for x in stdout.getvalue().splitlines()] == ["exchange"]


def test_the_queue_is_bounded_by_number_and_never_waits(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ship, "QUEUE_RECORDS", 5)
    shipper = case.shipper(NOWHERE)  # not started: nobody takes anything
    for _ in range(8):
        shipper.submit(record(shipper))
    assert case.dropped("queue_full") == 3
    assert shipper.stats()["queued"] == 5 and shipper.stats()["dropped"] == {"queue_full": 3}
    assert shipper.close(0) == 0
    assert shipper.stats()["dropped"] == {"queue_full": 3, "shutdown": 5}


def test_the_queue_is_bounded_by_bytes(case: Case) -> None:
    shipper = case.shipper(NOWHERE)
    body = Body(text="x" * (256 << 10))
    while not case.dropped("queue_full"):
        shipper.submit(record(shipper, request=request(body=body)))
    assert shipper.stats()["queued"] * (256 << 10) <= ship.QUEUE_SIZE
    many = [("n", "v" * 8000)] * 100
    shipper.submit(record(shipper, request=request(headers=many), response=None))
    assert case.dropped("queue_full") == 2


def test_an_app_that_hangs_slows_nobody_down(case: Case) -> None:
    release = threading.Event()

    def behave(lines: list[bytes]) -> None:
        release.wait(30)

    with standin(behave) as app:
        shipper = case.shipper(app.url)
        shipper.start()
        shipper.submit(record(shipper))
        wait_for(lambda: app.posts)
        for _ in range(3000):
            shipper.submit(record(shipper))
        wait_for(lambda: shipper.stats()["spool_records"] == 3001)
        release.set()
        assert shipper.close(20) == 0
        assert seqs(app, shipper) == list(range(1, 3002)) and not shipper.stats()["dropped"]


@pytest.mark.parametrize("blocked", [True, False], ids=["blocked", "closed"])
def test_standard_output_that_takes_nothing_delays_nothing(case: Case, blocked: bool) -> None:
    read_end, write_end = os.pipe()
    if not blocked:
        os.close(read_end)
    with standin() as app, os.fdopen(write_end, "wb", buffering=0) as stdout:
        shipper = case.shipper(app.url, stdout)
        shipper.start()
        body = Body(text="x" * 5_000)
        for _ in range(2000):
            shipper.submit(record(shipper, request=request(body=body)))
        wait_for(lambda: len(app.lines) == 2000, 30)
        if not blocked:
            wait_for(lambda: shipper.stats()["unprinted"] == 2000)
        started = time.monotonic()
        assert shipper.close(0.3) == 0 and time.monotonic() - started < 5
    assert shipper.stats()["unprinted"] > 1900
    if blocked:
        os.close(read_end)


def test_the_app_comes_back_and_gets_everything_once(case: Case) -> None:
    with standin() as app:
        port = app.port
    shipper = case.shipper(app.url)
    shipper.start()
    for _ in range(700):
        shipper.submit(record(shipper))
    wait_for(lambda: shipper.stats()["app_error"] and shipper.stats()["spool_records"] == 700)
    with standin(port=port) as app:
        wait_for(lambda: len(app.lines) == 700)
        assert shipper.close(5) == 0
        assert seqs(app, shipper) == list(range(1, 701)) and set(app.seen.values()) == {1}
    assert shipper.stats()["stored"] == 700 and shipper.stats()["spool_records"] == 0


def test_what_the_app_did_not_take_before_the_end_comes_with_the_next_start(case: Case) -> None:
    first = case.shipper(NOWHERE)
    first.start()
    for _ in range(10):
        first.submit(record(first))
    assert first.close(0.5) == 10 and first.close(5) == 10
    assert first.stats()["spool_records"] == 10
    with standin() as app:
        second = case.shipper(app.url)
        second.start()
        second.submit(record(second))
        wait_for(lambda: len(app.lines) == 11)
        assert second.close(5) == 0
        assert seqs(app, first) == list(range(1, 11)) and seqs(app, second) == [1]
    assert list(case.spool.iterdir()) == []


def test_a_full_spool_loses_the_newest_and_the_account_is_exact(case: Case) -> None:
    with standin(lambda lines: (503, b"")) as app:
        shipper = case.shipper(app.url, size=20_000)
        shipper.start()
        for _ in range(500):
            shipper.submit(record(shipper))
        wait_for(lambda: shipper.stats()["queued"] == 0)
        stats = shipper.stats()
        assert stats["spool_bytes"] <= 20_000 and case.dropped("spool_full") > 100
        app.behave = None
        assert shipper.close(10) == 0
        stats = shipper.stats()
        assert stats["submitted"] == 500 == stats["stored"] + stats["dropped"]["spool_full"]
        assert seqs(app, shipper) == list(range(1, stats["stored"] + 1))
        told = app.accounts[shipper.boot]  # the last ones too, behind which nothing is stored
        assert told == Account(boot=shipper.boot, numbered=500, lost=stats["dropped"], ended=True)
        assert app.missing(shipper.boot) == stats["dropped"]["spool_full"]
        assert list(case.spool.iterdir()) == []


def test_a_disk_that_takes_nothing_is_no_reason_not_to_deliver(case: Case) -> None:
    case.spool.write_text("a file in the directory's place")
    with standin() as app:
        shipper = case.shipper(app.url)
        shipper.start()
        for _ in range(50):
            shipper.submit(record(shipper))
        wait_for(lambda: len(app.lines) == 50)
        assert shipper.stats()["spool_error"] == "File exists"
        assert shipper.close(5) == 0 and not shipper.stats()["dropped"]


def test_a_record_that_cannot_be_encoded_goes_without_its_contents(case: Case) -> None:
    with standin() as app:
        shipper = case.shipper(app.url)
        shipper.start()
        shipper.submit(record(shipper, detail="a lone \ud800"))
        shipper.submit(record(shipper))
        wait_for(lambda: len(app.lines) == 2)
        assert decode(encode(min(app.records(), key=lambda r: r.seq))).seq == 1


def test_records_after_the_end_are_counted(case: Case) -> None:
    shipper = case.shipper(NOWHERE)
    shipper.start()
    assert [p.suffix for p in case.spool.iterdir()] == [".lock"]  # numbers are kept from now on
    shipper.close(0)
    shipper.submit(record(shipper))
    assert case.dropped("shutdown") == 1


def test_gauges_show_the_spool(case: Case) -> None:
    shipper = case.shipper(NOWHERE)
    shipper.start()
    shipper.submit(record(shipper))
    value = case.metrics.registry.get_sample_value
    wait_for(lambda: value("telemock_spool_records") == 1)
    assert value("telemock_spool_size_bytes") == shipper.stats()["spool_bytes"] > 0
    assert value("telemock_spool_limit_bytes") == 64 << 20


def counted(case: Case, name: str, **labels: str) -> float:
    return sum(
        sample.value
        for family in case.metrics.registry.collect()
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def test_what_is_lost_is_measured_all_the_same(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ship, "QUEUE_RECORDS", 3)
    shipper = case.shipper(NOWHERE)
    for _ in range(5):
        shipper.submit(record(shipper, request=request()), Traced())
    assert case.dropped("queue_full") == counted(case, "telemock_captures_total") == 2
    assert counted(case, "telemock_otlp_dropped_total", telemock_signal="traces") == 2
    shipper.start()
    wait_for(lambda: counted(case, "telemock_captures_total") == 5)
    assert counted(case, "http_server_request_duration_seconds_count") == 5


def test_spans_are_made_of_what_is_masked_and_only_where_they_are_wanted(case: Case) -> None:
    told, traced = Told(), Traced("1" * 16)
    shipper = case.shipper(NOWHERE, spans=told)
    shipper.start()
    shipper.submit(record(shipper, request=request(query=[("lic", SECRET)])), traced)
    shipper.submit(record(shipper))
    wait_for(lambda: shipper.stats()["spool_records"] == 2)
    ((found, given),) = told.records
    assert found.request is not None and found.request.query == [("lic", "***")]
    assert given is traced


def test_spans_that_cannot_be_made_cost_no_record(
    case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    shipper = case.shipper(NOWHERE, spans=Told(SECRET))
    shipper.start()
    shipper.submit(record(shipper, rule="broken"), Traced())
    wait_for(lambda: shipper.stats()["spool_records"] == 1)
    assert counted(case, "telemock_otlp_dropped_total", telemock_reason="error") == 1
    assert "spans could not be made: ValueError" in caplog.text and SECRET not in caplog.text


def test_spans_cost_no_record_where_many_wait(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ship, "TRACED_RECORDS", 100)
    told = Told()
    shipper = case.shipper(NOWHERE, spans=told)
    for _ in range(number := ship.GROUP_RECORDS + 150):
        shipper.submit(record(shipper), Traced())
    shipper.start()
    wait_for(lambda: shipper.stats()["spool_records"] == number)
    assert len(told.records) == 150  # those of the group that left no more than 100 behind it
    assert counted(case, "telemock_otlp_dropped_total") == ship.GROUP_RECORDS


def test_a_record_without_its_contents_keeps_its_place_in_the_trace(case: Case) -> None:
    case.masker = lambda: Raising(RuleSet())
    told = Told()
    shipper = case.shipper(NOWHERE, spans=told)
    shipper.start()
    ids = {"trace_id": "a" * 32, "span_id": "b" * 16}
    shipper.submit(record(shipper, request=request(), **ids), Traced())
    wait_for(lambda: told.records)
    found = told.records[0][0]
    assert (found.request, found.trace_id, found.span_id) == (None, "a" * 32, "b" * 16)
