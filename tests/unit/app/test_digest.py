"""What is worked out on arrival is what looking at the whole record later would give."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import digest as digesting
from app.contract.record import (
    Body,
    CaptureRecord,
    Endpoint,
    Message,
    RecordError,
    Tls,
    Workload,
    decode,
    encode,
)
from app.counting import Counting
from app.digest import digest
from app.files import request_log
from app.otel.metrics import Metrics
from app.store import CaptureQuery, Incoming
from app.store.rollup import facts
from app.store.sqlite import SqliteStore
from tests.records import T0, exchange, log, spliced


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
    return digest(encode(record), no_decoders)


def arrived_line(line: bytes) -> Incoming:
    return digest(line, no_decoders)


def no_decoders(profile: str, rule: str) -> tuple[str, ...]:
    return ()


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
    """Also of lines that are read by their form, of two senders, in two hours and two days."""
    lines = [encode(record) for record in records()]
    for seq in range(1, 40):
        for sender, status in ((1, 200), (1, 503), (2, 200)):
            time_ns = T0 + seq * 45 * 60 * 10**9
            of = {"workload": Workload(namespace="logs", pod=f"worker-{sender}"), "status": status}
            query = [("v", "4.1"), ("ib", str(seq))]
            lines.append(line_of(10 * sender + status, seq, time_ns=time_ns, query=query, **of))
    results: list[object] = []
    for ready in (arrived_line, lambda line: Incoming(decode(line), line)):
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
    assert len({one.facts.like for one in map(arrived_line, lines) if one.facts}) == 4  # and None


def same(line: bytes) -> None:
    """What the line gives is what its whole record gives, or a refusal where there is none; also
    when its form was seen before."""
    try:
        record = decode(line)
    except RecordError:
        for _ in range(4):
            with pytest.raises(RecordError):
                digest(line, no_decoders)
        return
    whole = Incoming(decode(line), line, facts(record, ()), request_log(record))
    digesting._narrowed(whole.record)
    for _ in range(4):
        found = digest(line, no_decoders)
        assert found.facts
        found.facts.like = None
        assert found == whole


def is_remembered(line: bytes) -> bool:
    """Whether the line is read by its form."""
    head = digesting._HEAD.match(line)
    sender = head and digesting._senders.get(head[1])
    return bool(head and sender and digesting._usual(line, head, sender))


def forget() -> None:
    for known in (digesting._senders, digesting._patterns, digesting._wanted):
        known.clear()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is known, and a form is as soon as its second line came."""
    monkeypatch.setattr(digesting, "_TIMES", 1)
    forget()
    yield
    forget()


# What JSON and URLs are made of, and what a careless reader would take for it.
WORDS = st.text(',"[]{}:=&\\%+ a1209\x7fé\u2028', max_size=12) | st.sampled_from([
    "", ",", "],[", '","', '"],["', ":", "v", "1", "0", "999999999", "1000000000", "2999999999",
    "3000000000", "12345678901", "1700000000000", "4.16.1-20904e45", "ubuntu-24.04", "tok_abcdefgh",
])  # fmt: skip
PAIRS = st.lists(st.tuples(WORDS, WORDS), max_size=6)


@given(st.lists(PAIRS, min_size=1, max_size=3), PAIRS)
def test_any_pairs(queries: list[list[tuple[str, str]]], headers: list[tuple[str, str]]) -> None:
    for query in queries:
        same(encode(exchange(1, query=query, headers=headers)))


TOKENS = st.lists(
    st.sampled_from([
        '"', '"a"', '"1"', "a", "1", "=", "&", '"a=1&b"', '","', '"],["', '"],[', ",", "[", "]",
        "null", '":"', "{", "}", " ", "]]", "[[",
    ])
)  # fmt: skip


@given(
    TOKENS.map("".join)
    | st.lists(st.lists(WORDS | st.none() | st.integers())).map(
        lambda x: msgspec.json.encode(x).decode()
    )
)
def test_any_text_in_the_place_of_pairs(text: str) -> None:
    line = encode(exchange(1, query=[("a", "1"), ("b", "2")], headers=[("c", "3")]))
    for pairs in (b'[["a","1"],["b","2"]]', b'[["c","3"]]', b'[["content-type","text/html"]]'):
        assert pairs in line
        same(line.replace(pairs, text.encode()))


@pytest.mark.parametrize(
    "query",
    [
        '[["a"",1"],["b","2"]]', '[["a","1"],["b",2""]]',
        '[["a=1","2"]]', '[["a",1],["b[[","2"]]', '[["a","1][","b","2"]]', '[["a","],[","b"]]',
        '[["a","1&b=2"]]', '[["a","1"],["a","2"]]', '[["a","1"], ["b","2"]]', '[["a","1"]', "null",
        '[["\\u0061","1"],["b","2"]]', '[["a","1"],["b","2"]],"query":[["a","1"],["b","2"]]',
        '[1],"query":[["a","1"],["b","2"]]', '[1],"qu\\u0065ry":[["a","1"],["b","2"]]',
    ],
)  # fmt: skip
def test_text_that_looks_like_the_usual(query: str) -> None:
    line = encode(exchange(1, query=[("a", "1"), ("b", "2")]))
    same(line)
    same(line.replace(b'[["a","1"],["b","2"]]', query.encode()))


USUAL = {
    "answer_ns": 7,
    "trace_id": "0123456789abcdef" * 2,
    "span_id": "0123456789abcdef",
    "tls": Tls(sni="cdn.cribl.io", version="TLSv1.3"),
    "query": [("a", "1"), ("b", "2")],
}


@pytest.mark.parametrize(
    "given",
    [
        {}, {"answer_ns": 0}, {"client": None}, {"client": Endpoint(address="::1")},
        {"trace_id": "", "span_id": ""}, {"response": None}, {"status": 503}, {"mask_key": "k"},
        {"action": "pass"}, {"reason": "blocked", "host": ""},
    ],
    ids=str,
)  # fmt: skip
def test_usual_lines_are_read_by_their_form(given: dict[str, Any]) -> None:
    lines = [encode(exchange(n, **(USUAL | given), time_ns=T0 + n)) for n in range(1, 9)]
    for line in lines:
        same(line)
    assert all(map(is_remembered, lines))


@pytest.mark.parametrize(
    "given",
    [
        {"kind": "refused"}, {"duration_ns": 0}, {"body": Body(text="{}", size=2)},
        {"message": Message(of="x", sender="client", body=Body(text="hello", size=5))},
        {"query": []}, {"trace_id": "of somebody's own"}, {"span_id": "2"},
        {"path": "/\x7f"}, {"path": "/é"}, {"query": [("a", "b c")]}, {"query": [("a", "1")] * 2},
        {"time_ns": 9 * 10**18}, {"seq": 10**15}, {"path": "x" * digesting._SMALL},
        {"query": [("a", "x" * digesting._SMALL)]}, {"query": [("a", "1,2")]},
    ],
    ids=lambda given: str(given)[:30],
)  # fmt: skip
def test_all_others_are_decoded(given: dict[str, Any]) -> None:
    line = encode(exchange(**({"seq": 1} | USUAL | given)))
    same(line)
    assert not is_remembered(line)
    assert not digesting._patterns
    assert not any(sender.forms for sender in digesting._senders.values())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"action"', '"seq":5,"action"'), ('"action"', f'"boot":"{"ef" * 16}","action"'),
        ('"action"', '"client":{"address":"x","port":5},"action"'),
        ('"action"', '"kind":"failed","action"'), ('"action"', '"trace_id":"x","action"'),
        ('"action"', '"time_ns":"x","action"'), ('"tls"', '"request":{"method":"GET"},"tls"'),
        ('"tls"', f'"trace_id":"{"1" * 32}","span_id":"{"2" * 16}","tls"'),
        ('"method"', '"query":[["c","3"]],"method"'), ('"headers"', '"query":[["c"]],"headers"'),
        ('"headers"', '"query":[["c","3"]],"headers"'),
        ('"action"', '"x":{"query":[["c","3"]]},"action"'),
        ('"headers":[[', '"headers":[["x"],['), ('"port":40000', '"port":40000.5'),
        ('"port":40000', '"port":"40000"'), ('"address":"10.1.2.3"', '"address":"\\u0031"'),
        ('"span_id":"0123456789abcdef"', '"span_id":"0123456789abcdef"x'),
    ],
)  # fmt: skip
def test_a_second_value_under_a_name_is_not_overlooked(old: str, new: str) -> None:
    line = encode(exchange(1, **USUAL))
    assert old.encode() in line
    same(line.replace(old.encode(), new.encode(), 1))


def test_counters_and_instants_that_change_are_one_query() -> None:
    for n in (1, 22, 333, 999_999_999):
        query = [("v", "4.16.1"), ("ib", str(n)), ("lt", str(1_700_000_000 + n % 100)), ("x9", "a")]
        line = encode(exchange(1, query=query))
        same(line)
        found = digest(line, no_decoders).facts
        assert found and found.seen
        kinds = {f.path: (f.type, f.shape) for f in found.seen.fields}
        assert kinds["query.ib"] == ("integer", "")
        assert kinds["query.lt"] == ("integer", "timestamp")
    assert len(digesting._patterns) == 1


def line_of(sender: int, seq: int, **given: Any) -> bytes:
    return encode(exchange(seq, boot=f"{sender:032x}", **(USUAL | given)))


def test_senders_share_a_pattern() -> None:
    for sender in range(10):
        versions = [
            ("v", f"4.{sender}"),
            ("guid", f"tok_{sender:08}"),
            ("ib", "1"),
            ("lt", "1" * 10),
        ]
        for seq in (1, 2, 3):
            same(line_of(sender, seq, query=versions, status=200 + sender % 2))
        assert is_remembered(line_of(sender, 4, query=versions, status=200 + sender % 2))
    assert len(digesting._patterns) == 2  # one for each status


def test_what_is_no_number_stays_the_same() -> None:
    values = {"v": "4.16.1", "ib": "1", "e": ""}
    for seq in (1, 2):
        same(line_of(1, seq, query=[*values.items()]))
    assert is_remembered(line_of(1, 3, query=[*(values | {"ib": "22"}).items()]))
    for other in (
        {"v": "4.16.2"},
        {"ib": "x"},
        {"ib": "1" * 10},
        {"ib": ""},
        {"e": "1"},
        {"E": ""},
    ):
        line = line_of(1, 3, query=[*(values | other).items()])
        assert not is_remembered(line)
        same(line)


def test_a_sender_may_have_a_few_forms() -> None:
    for status in range(200, 200 + digesting._FORMS):
        for seq in range(1, 64):
            same(line_of(1, seq, status=status))
    assert all(is_remembered(line_of(1, 99, status=200 + n)) for n in range(digesting._FORMS))
    for seq in range(1, 1_024):
        digest(line_of(1, seq, status=404), no_decoders)
    assert is_remembered(line_of(1, 99, status=404))
    (sender,) = digesting._senders.values()
    assert len(sender.forms) == digesting._FORMS


def test_who_sends_ever_new_ones_costs_little(monkeypatch: pytest.MonkeyPatch) -> None:
    learned: list[bytes] = []
    monkeypatch.setattr(digesting, "_form", lambda line, *rest: learned.append(line))
    for seq in range(1, 1_001):
        digest(line_of(1, seq, path=f"/{seq}"), no_decoders)
    assert len(learned) == 9  # the 2nd, 4th, … 512th


def test_a_pattern_is_compiled_when_it_was_wanted_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digesting, "_TIMES", 3)
    for sender in range(3):
        assert not digesting._patterns
        for seq in (1, 2):
            digest(line_of(sender, seq), no_decoders)
    assert len(digesting._patterns) == 1
    assert is_remembered(line_of(2, 3))


def test_what_is_remembered_is_bounded() -> None:
    known: dict[int, int] = {}
    for n in range(10):
        assert digesting._keep(known, n, 2 * n, 3) == 2 * n
        assert known[n] == 2 * n and len(known) <= 3
