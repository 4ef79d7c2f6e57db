import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.actions import ACTIONS
from app.contract.record import encode
from app.store import CaptureQuery, QueryError, Term
from app.store.filter import NAMES, TERMS, matcher, read, times, write
from tests.records import exchange


def terms(text: str) -> tuple[Term, ...]:
    return read(text).terms


def test_a_text_becomes_terms() -> None:
    found = read('host:cdn.cribl.io version>=4.16 -status:2xx "free \\"text\\"" since:1000', None)
    assert found.terms == (
        Term("host", ":", ("cdn.cribl.io",)),
        Term("version", ">=", ("4.16",)),
        Term("status", ":", ("2xx",), negated=True),
        Term("", ":", ('free "text"',)),
    )
    assert found.since_ns == 1000


def test_quotes_hold_what_would_divide() -> None:
    assert terms('path:"/a b",/c,"d,e"') == (Term("path", ":", ("/a b", "/c", "d,e")),)
    assert terms("-a,b") == (Term("", ":", ("a,b",), negated=True),)
    assert terms('host=a"b c"d') == (Term("host", ":", ("ab cd",)),)
    assert terms("/telemetry/index.html?v=1:2") == (
        Term("", ":", ("/telemetry/index.html?v=1:2",)),
    )


def test_terms_are_added_to_a_query() -> None:
    query = read("action:mock", CaptureQuery(host="a.test", limit=7))
    assert (query.host, query.limit) == ("a.test", 7)
    assert [term.name for term in read("kind:log", query).terms] == ["action", "kind"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hots:a", "no name 'hots'"),
        ("hots>=a", "no name 'hots'"),
        ("action:mocked", "one of mock, observe"),
        ("outcome:gone", "answered, delivered"),
        ("status:abc", "expected a number"),
        ("status:2xx,4x", "expected a number"),
        ("host>=a", "has no order"),
        ("version>=edge", "compares no number"),
        ("version>=4,5", "takes one value"),
        ("host:", "no value"),
        ("host:,", "no value"),
        ('"', "quote without its end"),
        ('host:"a', "quote without its end"),
        ("since:yesterday", "is not a time"),
        ("-since:7d", "takes one time"),
        ("since:1d,2d", "takes one time"),
        ('""', "empty text"),
        ("-", "empty text"),
        ("x " * 1_500, "limit is 2000"),
        ("x " * (TERMS + 1), "more than"),
        ("host:" + "a," * 50, "more than"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_remedy(text: str, says: str) -> None:
    with pytest.raises(QueryError, match=None) as refused:
        read(text)
    assert says in str(refused.value)


VALUES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
PLAIN = [name for name in NAMES if not NAMES[name].values and name not in ("since", "until")]
TERM = st.one_of(
    st.builds(Term, st.just(""), st.just(":"), st.tuples(VALUES), st.booleans()),
    st.builds(
        Term,
        st.sampled_from([name for name in PLAIN if name != "status"]),
        st.just(":"),
        st.lists(VALUES, min_size=1, max_size=3).map(tuple),
        st.booleans(),
    ),
    st.builds(Term, st.just("action"), st.just(":"), st.tuples(st.sampled_from(list(ACTIONS)))),
    st.builds(
        Term,
        st.sampled_from(["status", "version"]),
        st.sampled_from([":", ">=", "<=", ">", "<"]),
        st.tuples(st.sampled_from(["404", "5", "200"])),
        st.booleans(),
    ),
)


@given(st.lists(TERM, max_size=8).map(tuple), st.none() | st.integers(0, 2**63 - 1))
def test_what_is_written_is_read_back(found: tuple[Term, ...], since: int | None) -> None:
    query = CaptureQuery(terms=found, since_ns=since)
    if since is not None and len(str(since)) == 8:
        return  # eight digits are a date
    assert read(write(query)) == query


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        query = read(text)
    except QueryError:
        return
    line = encode(exchange(1))
    assert matcher(query.terms)(line) in (True, False)


def test_examples_are_read() -> None:
    for name, known in NAMES.items():
        query = read(known.example)
        assert query != CaptureQuery(), name
        if query.terms:
            assert query.terms[0].name == name


def test_fields_are_found_within_bodies_that_are_packed() -> None:
    record = msgspec.structs.replace(exchange(1, query=[("lic", "***"), ("a.deep", "x")]))
    line = encode(record)
    assert matcher(terms("field:lic"))(line)
    assert matcher(terms("field:header.user-agent"))(line)
    assert matcher(terms("field:deep"))(line)
    assert not matcher(terms("field:li"))(line)


@pytest.mark.parametrize(
    ("query", "classes"),
    [
        ([("x1", "***")], {"secret", "sensitive"}),
        ([("lic", "***")], {"licence"}),
        ([("x1", "tok_0123456789abcdef01234567")], {"identifier.installation", "identifier"}),
        ([("mail", "a@example.org"), ("n", "1")], {"contact", "personal", "sensitive", "usage"}),
        (
            [("id", "5f0c7b1e-93ad-4a4e-8d7e-6b1f2a3c4d5e")],
            {"identifier.installation", "identifier"},
        ),
        ([("user", "jo")], {"identifier.person", "identifier", "personal", "sensitive"}),
        ([("app", "app@1.0.0")], {"version"}),
        ([("v", "4.16.1")], {"version"}),
    ],
)
def test_a_class_is_found_by_names_and_the_look_of_values(
    query: list[tuple[str, str]], classes: set[str]
) -> None:
    record = exchange(1)
    assert record.request is not None
    record.request.query, record.request.headers, record.request.body = query, [], None
    line = encode(record)
    assert {c for c in NAMES["class"].values if matcher(terms(f"class:{c}"))(line)} == classes
    assert matcher(terms("-class:secret"))(line) == ("secret" not in classes)


def test_times_are_kept_as_they_were_written() -> None:
    text = 'host:a since:7d "until:1d b" -method:GET  until:"2026-01-31 12:00" x'
    assert times(text) == 'since:7d until:"2026-01-31 12:00"'
    assert times("") == ""
