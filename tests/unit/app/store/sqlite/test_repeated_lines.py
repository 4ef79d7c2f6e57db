"""A line that is read by its form gives what decoding it would give, and the same line again."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.record import Body, Endpoint, Message, encode
from app.store.sqlite import repeated_lines
from tests.lines import USUAL, arrived, is_remembered, line_of, same
from tests.records import T0, exchange

pytestmark = pytest.mark.usefixtures("at_once")

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


@pytest.mark.parametrize(
    "given",
    [
        {}, {"answer_ns": 0}, {"client": None}, {"client": Endpoint(address="::1")},
        {"trace_id": "", "span_id": ""}, {"response": None}, {"status": 503}, {"mask_key": "k"},
        {"action": "pass"}, {"reason": "blocked", "host": ""}, {"path": "/\x7f"}, {"path": "/é%s"},
        {"query": [("a", "b c"), ("n", "7")]}, {"query": [("a", "1"), ("b", "2"), ("a", "3")]},
        {"query": [("a", "1,2"), ("%b", "%"), ("n", "7")]},
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
        {"time_ns": 9 * 10**18}, {"seq": 10**15}, {"path": "x" * repeated_lines._SMALL},
        {"query": [("a", "x" * repeated_lines._SMALL)]}, {"query": [("a", "é")]},
        {"query": [("a", '"')]},
    ],
    ids=lambda given: str(given)[:30],
)  # fmt: skip
def test_all_others_are_decoded(given: dict[str, Any]) -> None:
    line = encode(exchange(**({"seq": 1} | USUAL | given)))
    same(line)
    assert not is_remembered(line)
    assert not arrived._patterns
    assert not any(sender.forms for sender in arrived._senders.values())


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
        seen = arrived(line).facts.seen
        assert seen
        kinds = {f.path: (f.type, f.shape) for f in seen.fields}
        assert kinds["query.ib"] == ("integer", "")
        assert kinds["query.lt"] == ("integer", "timestamp")
    assert len(arrived._patterns) == 1


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
    assert len(arrived._patterns) == 2  # one for each status


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


def test_a_pattern_is_compiled_when_it_was_wanted_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeated_lines, "_TIMES", 3)
    for sender in range(3):
        assert not arrived._patterns
        for seq in (1, 2):
            arrived(line_of(sender, seq))
    assert len(arrived._patterns) == 1
    assert is_remembered(line_of(2, 3))


def test_what_is_remembered_is_bounded() -> None:
    known: dict[int, int] = {}
    for n in range(10):
        assert repeated_lines.keep(known, n, 2 * n, 3) == 2 * n
        assert known[n] == 2 * n and len(known) <= 3


def test_a_sender_may_have_a_few_forms() -> None:
    for status in range(200, 200 + repeated_lines._FORMS):
        for seq in range(1, 64):
            same(line_of(1, seq, status=status))
    assert all(is_remembered(line_of(1, 99, status=200 + n)) for n in range(repeated_lines._FORMS))
    for seq in range(1, 1_024):
        arrived(line_of(1, seq, status=404))
    assert is_remembered(line_of(1, 99, status=404))
    (sender,) = arrived._senders.values()
    assert len(sender.forms) == repeated_lines._FORMS


def test_who_sends_ever_new_ones_costs_little(monkeypatch: pytest.MonkeyPatch) -> None:
    learned: list[bytes] = []
    monkeypatch.setattr(arrived, "_learn", lambda line, *rest: learned.append(line))
    for seq in range(1, 1_001):
        arrived(line_of(1, seq, path=f"/{seq}"))
    assert len(learned) == 9  # the 2nd, 4th, … 512th
