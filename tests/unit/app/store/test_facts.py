"""What every store takes from records, without a store; what the sums are for is in the suite."""

import pytest
from msgspec.structs import replace

from app.contract.account import Account
from app.contract.record import (
    Body,
    CaptureRecord,
    Endpoint,
    Message,
    Program,
    Searched,
    Workload,
    decode,
    encode,
)
from app.store import Note
from app.store.facts import (
    DAY,
    HOUR,
    LOGGED,
    MOST_CALLS,
    Sum,
    Sums,
    body_fields,
    facts,
    grown,
    missing,
    narrowed,
    notes,
    sender,
    sizes,
)
from tests.records import BOOT, T0, exchange, log, spliced


def test_sizes() -> None:
    assert sizes(spliced(1)) == (100, 2_000)
    post = exchange(1, path="/p", query=[("a", "bc")], body=Body(size=1_000))
    assert sizes(post) == (2 + 5 + 1_000, 29)
    message = Message(of=f"{BOOT}-1", sender="client", body=Body(size=7))
    assert sizes(exchange(2, kind="message", message=message, response=None)) == (7, 0)


def test_body_fields_have_their_types_and_an_end() -> None:
    body = Body(text='{"b":["1.2.3",4],"lic":"***"}', size=29)
    assert body_fields(facts(exchange(1, method="POST", body=body))) == {
        "body": ["object"],
        "body.b": ["array"],
        "body.b[]": ["integer", "string version"],
        "body.lic": ["string masked"],
    }
    many = ",".join(f'"{n}":1' for n in range(1_000))
    body = Body(text=f"{{{many}}}", size=9)
    assert len(body_fields(facts(exchange(1, method="POST", body=body)))) == LOGGED
    assert body_fields(facts(spliced(1))) == body_fields(facts(exchange(1))) == {}


def test_sender() -> None:
    assert sender(exchange(1)) == "leader-0"
    assert sender(exchange(1, pod="", namespace="")) == "10.1.2.3"
    for client in (None, Endpoint(address="127.0.0.1", port=1), Endpoint(address="::1", port=1)):
        local = exchange(1, pod="", namespace="", client=client)
        assert sender(local) == "this machine"
        assert sender(replace(local, workload=Workload(container="node"))) == "node"
        assert sender(replace(local, program=Program(name="curl", pid=7))) == "curl"


def test_narrowed_records_of_a_sender_differ_in_number_time_and_duration_only() -> None:
    one = exchange(1, query=[("a", "1")], trace_id="1" * 32, span_id="1" * 16, answer_ns=5)
    other = exchange(2, time_ns=T0 + 1, duration_ns=7, client=Endpoint("10.1.2.3", 2))
    left = narrowed(one)
    left.seq, left.time_ns, left.duration_ns = 2, T0 + 1, 7
    assert left == narrowed(other)
    assert len(encode(left)) < len(encode(exchange(2))) / 1.3


@pytest.mark.parametrize("record", [spliced(1), log(2, "a line", trace_id="2" * 32)])
def test_narrowed_leaves_what_has_no_request_as_it_is(record: CaptureRecord) -> None:
    assert narrowed(decode(encode(record))) == record


def test_a_group_is_summed_by_hour_and_by_day() -> None:
    sums = Sums()
    for n, record in enumerate(
        (exchange(1), exchange(2, time_ns=T0 + HOUR), exchange(3, time_ns=T0 - 1), log(4, "x"))
    ):
        sums.add(record, facts(record), record.kind)
        assert sum(s.count for s in sums.traffic().values()) == min(n + 1, 3)
    hours = {key.hour: (s.count, s.first, s.last) for key, s in sums.traffic().items()}
    assert hours == {T0 // HOUR: (2, T0 - 1, T0), T0 // HOUR + 1: (1, T0 + HOUR, T0 + HOUR)}
    ((by, s),) = sums.senders().items()
    assert (by.day, by.pod, s.count) == (T0 // DAY, "leader-0", 3)
    (observed,) = sums.observed().values()
    assert observed.sum.count == 3
    assert {s.count for s in observed.fields().values()} == {3}


def test_node_and_image_are_those_of_the_last() -> None:
    late, early = Sum(2, 2, "b", "of-b"), Sum(1, 1, "a", "of-a")
    late.merge(early)
    early.merge(late)
    assert (late.node, late.image) == (early.node, early.image) == ("b", "of-b")


def test_accounts_only_grow_and_what_a_boot_that_ended_cannot_tell_was_killed() -> None:
    first = Account(boot=BOOT, numbered=10, lost={"shutdown": 2})
    last = grown(Account(boot=BOOT, numbered=8, lost={"corrupt": 1}, ended=True), first)
    assert last == Account(boot=BOOT, numbered=10, lost={"shutdown": 2, "corrupt": 1}, ended=True)
    assert grown(last, first) == last
    assert missing(first, max_seq=4, count=3) == (2, {"shutdown": 2})
    assert missing(last, max_seq=4, count=3) == (7, {"shutdown": 2, "corrupt": 1, "killed": 4})


def test_what_called_for_masking_is_noted_by_part_and_bounded() -> None:
    record = exchange(1)
    record.masked = [("body", "lic"), ("message", "lic"), ("response.header.x", "JWT"), ("q", "a")]
    assert notes(record) == (
        Note("message", "masked: lic"),
        Note("request", "masked: a"),
        Note("request", "masked: lic"),
        Note("response", "masked: JWT"),
    )
    record.masked = [("body", str(n)) for n in range(99)]
    assert len(notes(record)) == MOST_CALLS


def test_known_values_are_notes_without_their_fields() -> None:
    found = [("user", "body.a", "SHA-256, in base64"), ("user", "body.b", "SHA-256"),
             ("host name", "query.h", "in hex")]  # fmt: skip
    one = exchange(1, canary=Searched(found=found))
    assert notes(one) == (Note("canary", "host name, itself"), Note("canary", "user, SHA-256"))
