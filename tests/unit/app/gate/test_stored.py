"""app/gate/stored.py: a store's sums say the same as its captures, of each version."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.client.source import StoreSource
from app.contract import body as bodies
from app.contract.record import Body, CaptureRecord, Message, Sender
from app.gate.behaviour import Behaviour
from app.gate.check import check, unchecked
from app.gate.contract_file import read, written
from app.gate.freeze import freeze
from app.gate.stored import behaviour, versions
from app.store import SaidClass, Scope
from app.store.sqlite.store import SqliteStore
from tests.records import BOOT, SECOND, T0, exchange, incoming, spliced

OLD, NEW = "4.9", "4.10"
ROUTE = ("cdn.cribl.io", "GET", "/telemetry/index.html")
EVENTS = ("cdn.cribl.io", "POST", "/telemetry/events")


@pytest.fixture
def source(tmp_path: Path) -> Iterator[StoreSource]:
    store = SqliteStore(tmp_path / "store.db")
    store.write(incoming(
        *(exchange(n, product_version=OLD, time_ns=T0 + n * SECOND) for n in range(1, 6)),
        *(exchange(n, product_version=NEW, time_ns=T0 + n * SECOND, query=[("v", NEW), ("x", "1")])
          for n in range(6, 9)),
        exchange(9, product_version="", method="POST", route="/telemetry/events", query=[]),
        exchange(10, product_version="", query=[("y", "")]),
        exchange(11, profile="grafana", host="stats.grafana.org", product_version="12"),
        spliced(12),
    ))  # fmt: skip
    assert store.say_class(SaidClass("cribl", *ROUTE, "query.x", "secret", "Ada", T0))
    yield StoreSource(store)
    store.close()


def of(source: StoreSource, version: str | None, since_ns: int | None = None) -> Behaviour:
    report = source.report(Scope(profile="cribl", since_ns=since_ns))
    return behaviour(source, report, "cribl", version, since_ns)


def told(found: Behaviour) -> object:
    """What both ways must agree on."""
    return (
        found.captures,
        found.messages,
        {host: sight.count for host, sight in found.hosts.items()},
        {
            key: (e.sight.count, e.read, e.pace, {p: (f.requests, f.said, {
                kind: (s.count, s.first_ns, s.last_ns) for kind, s in f.kinds.items()
            }) for p, f in e.fields.items()}, list(e.events))
            for key, e in found.endpoints.items()
        },
    )  # fmt: skip


@pytest.mark.parametrize("version", [None, OLD, NEW])
def test_sums_and_captures_say_the_same(source: StoreSource, version: str | None) -> None:
    assert told(of(source, version)) == told(of(source, version, 0))


def line(seq: int, host: str, sender: Sender = "client", **given: Any) -> CaptureRecord:
    body = bodies.whole(b"<14>version=3.9;user=me\n")
    message = Message(of="x", sender=sender, body=body, line=given.pop("line", True))
    return spliced(seq, host, kind="message", profile="cribl", message=message, sent=0, **given)


ODD = {
    "two kinds in one request": [
        exchange(20 + n, query=[("x", "1"), ("x", "a")] if n % 2 else []) for n in range(6)
    ],
    "lines": [line(20, "a.example"), line(21, "a.example"), line(22, "a.example", "server")],
    "lines with a version": [line(20, "a.example", product_version=NEW), line(21, "b.example")],
    "lines without a host": [line(20, "")],
    "messages": [line(20, "cdn.cribl.io", line=False), line(21, "b.example", line=False)],
    "masked": [exchange(20, masked=[("query.v", "name v"), ("body.x", "email")])],
    "no host": [exchange(20, host="")],
    "spellings of one host": [
        exchange(20, host="CDN.cribl.io"),
        exchange(21, host="cdn.cribl.io.", query=[]),
        exchange(22, host="B.example"),
        exchange(23, host="b.example", product_version=NEW),
    ],
    "no route": [exchange(20, rule="", route="", path="/a/7;x=1")],
    "unread requests of a version": [
        exchange(20, kind="failed", product_version=NEW, host="b.example"),
        exchange(21, product_version=OLD, host="b.example"),
        exchange(22, action="pass", product_version=NEW),
    ],
    "failed": [exchange(20, kind="failed", reason="bad_request")],
}


@pytest.mark.parametrize("version", [None, OLD, NEW])
@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_is_the_same_in_sums(
    source: StoreSource, name: str, version: str | None
) -> None:
    source.store.write(incoming(*ODD[name]))
    sums, captures = of(source, version), of(source, version, 0)
    assert told(sums) == told(captures)
    frozen = freeze("cribl", version, sums, required_from=1).contract
    assert frozen == freeze("cribl", version, captures, required_from=1).contract
    kinds = [[(v.kind, v.where) for v in check(frozen, seen)] for seen in (sums, captures)]
    assert kinds[0] == kinds[1]
    assert unchecked(frozen, sums) == unchecked(frozen, captures)


def test_a_class_that_somebody_says_stands_beside_those_of_the_values(source: StoreSource) -> None:
    field = of(source, NEW).endpoints[ROUTE].fields["query.x"]
    assert (field.said, {kind.class_ for kind in field.kinds}) == ("secret", {"usage"})
    frozen = freeze("cribl", NEW, of(source, NEW)).contract
    assert frozen.endpoints[0].fields
    assert frozen.endpoints[0].fields["query.x"].said == "secret"
    # What was said when it was frozen is kept by whoever said nothing: a run, another store.
    assert check(frozen, of(source, NEW)) == []
    word = SaidClass("cribl", *ROUTE, "query.x", "", "Ada", T0)
    assert source.store.say_class(word)
    assert check(frozen, of(source, NEW)) == [] == check(frozen, of(source, NEW, 0))
    # A class that tells of somebody and was not planned is a violation, by whichever way.
    assert source.store.say_class(word._replace(class_="contact"))
    for seen in (of(source, NEW), of(source, NEW, 0)):
        (found,) = check(frozen, seen)
        assert (found.kind, found.field, found.count, found.of) == ("class", "query.x", 3, 3)
        assert found.says == (
            "planned: usage or secret; a person or the profile says that it is contact"
        )
    assert source.store.say_class(word._replace(class_="licence"))
    assert check(frozen, of(source, NEW)) == []


def test_one_version_and_what_names_none(source: StoreSource) -> None:
    found = of(source, NEW)
    assert found.captures == 4
    assert set(found.endpoints) == {ROUTE, EVENTS}  # that never names a version
    assert set(found.endpoints[ROUTE].fields) >= {"query.x"}
    assert "query.y" not in found.endpoints[ROUTE].fields
    example = found.endpoints[ROUTE].fields["query.x"].kinds.popitem()[1].example
    assert example in {f"{BOOT[:8]}-{n}" for n in range(6, 9)}
    assert "query.y" in of(source, None).endpoints[ROUTE].fields


def test_what_names_no_version_where_others_do_is_told(source: StoreSource) -> None:
    said = (
        "1 request named no version, to endpoints where others do, and was left out: without "
        "--version all are in"
    )
    assert of(source, NEW).notes == of(source, NEW, 0).notes == [said]
    assert of(source, None).notes == of(source, None, 0).notes == []


@pytest.mark.parametrize("since_ns", [None, 0])
def test_an_event_is_found_however_many_there_are(
    source: StoreSource, since_ns: int | None
) -> None:
    def batch(seq: int, *names: str) -> CaptureRecord:
        text = json.dumps({"batch": [{"event": name} for name in names]})
        return exchange(seq, method="POST", query=[], body=Body(text=text, size=len(text)))

    names = [f"e{n}" for n in range(40)]
    source.store.write(incoming(batch(20, *names, *names)))
    frozen = freeze("cribl", None, of(source, None, since_ns)).contract
    assert sorted(names) in [one.events for one in frozen.endpoints]
    source.store.write(incoming(batch(21, *names, "rare")))
    (found,) = check(frozen, of(source, None, since_ns))
    assert (found.kind, found.field, found.count) == ("unplanned_event", "rare", 1)


def test_what_is_over_the_limits_makes_nothing_else_missing(source: StoreSource) -> None:
    frozen = freeze("cribl", None, of(source, None), required_from=1).contract
    long = ("x" * 300, "1")  # its path is over the limit, and what stands behind it may be too
    source.store.write(incoming(exchange(20, query=[long], headers=[])))
    assert check(frozen, of(source, None)) == [] == check(frozen, of(source, None, 0))


def test_a_time_reads_no_earlier_capture(source: StoreSource) -> None:
    found = of(source, None, T0 + 8 * SECOND)
    assert found.captures == 1 and found.notes == []


def test_versions_in_their_order(source: StoreSource) -> None:
    assert versions(source) == {"cribl": [OLD, NEW], "grafana": ["12"]}
    unread = exchange(20, profile="unread", product_version="7", action="pass")
    source.store.write(incoming(unread))
    assert versions(source)["unread"] == ["7"]


def test_older_captures_that_were_not_read_are_told(
    source: StoreSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = of(source, None, 0).captures
    said = f"of this time the newest {number} captures alone were read"
    monkeypatch.setattr("app.gate.stored.MOST", number)
    assert said not in of(source, None, 0).notes
    monkeypatch.setattr("app.gate.stored.MOST", number - 1)
    assert any("captures alone were read" in note for note in of(source, None, 0).notes)
    # What names no version is looked for among all, of which only so many are read.
    assert of(source, NEW, 0).captures < number - 1
    assert any("captures alone were read" in note for note in of(source, NEW, 0).notes)


def test_the_inventory_outlives_captures_and_sums(source: StoreSource) -> None:
    whole = of(source, None).endpoints[ROUTE]
    empty = source.report(Scope(profile="cribl"))
    for word in ("answered", "delivered", "passed", "refused", "failed"):
        setattr(empty, word, [])
    found = behaviour(source, empty, "cribl", None)
    assert found.endpoints[ROUTE].fields == whole.fields
    assert found.captures == found.hosts["cdn.cribl.io"].count == 10


NAMES = st.text(max_size=3) | st.sampled_from(
    (
        "v",
        "V",
        "\u0430",
        "a.b",
        "a[]",
        "(other)",
        "path.",
        "›json",
        "\n",
        "'\"",
        "q" * 60 + "😀" * 99,
        "no",
    )
)
VALUES = st.sampled_from(
    ("", "1", "1.5", "true", "null", "x", "a@b.example", '{"a":1}', '[1,"a",null]')
)
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-9, 9) | VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
BATCHES = st.lists(st.fixed_dictionaries({"event": NAMES}), max_size=3).map(
    lambda events: {"events": events}
)
MADE_UP = st.fixed_dictionaries({
    "query": st.lists(st.tuples(NAMES, VALUES), max_size=3),
    "host": st.sampled_from(
        ("cdn.cribl.io", "CDN.Cribl.io", "cdn.cribl.io.", "b.example", "a b", "")
    ),
    "method": st.sampled_from(("GET", "POST", "get")),
    "product_version": st.sampled_from(("", "1", "2")),
    "action": st.sampled_from(("mock", "mock", "pass")),
    "kind": st.sampled_from(("exchange", "exchange", "refused", "failed")),
    "time_ns": st.integers(0, 5_000).map(lambda s: T0 + s * SECOND),
    "pod": st.sampled_from(("p", "q")),
    "body": st.none()
    | st.just(Body(size=9, withheld="unmaskable"))
    | st.builds(
        lambda tree, cut: Body(text=json.dumps(tree)[: 4 if cut else None], truncated=cut),
        TREES | BATCHES, st.booleans(),
    ),
})  # fmt: skip


@settings(max_examples=25, derandomize=True)
@given(st.lists(MADE_UP, min_size=1, max_size=12), st.sampled_from((None, "1")), st.integers(1, 4))
def test_whatever_was_captured_is_kept_once_it_is_frozen(
    tmp_path_factory: pytest.TempPathFactory,
    sent: list[dict[str, Any]],
    version: str | None,
    required_from: int,
) -> None:
    """By sums and by captures, but for what the file says is not in it; and in whatever order the
    captures came."""
    place = tmp_path_factory.mktemp("made_up")
    headers = [("Host", "a"), ("Content-Type", "application/json")]
    records = [exchange(n, headers=headers, **one) for n, one in enumerate(sent, 1)]
    texts = set()
    for name, batches in (("a", [records]), ("b", [[one] for one in reversed(records)])):
        store = SqliteStore(place / f"{name}.db")
        for batch in batches:
            store.write(incoming(*batch))
        seen = [of(StoreSource(store), version, since_ns) for since_ns in (None, 0)]
        store.close()
        frozen = freeze("cribl", version, seen[0], required_from)
        (place / "p.yaml").write_text(written(frozen.contract))
        texts.add((place / "p.yaml").read_text())
        assert read(place / "p.yaml") == frozen.contract
        for violation in (v for one in seen for v in check(frozen.contract, one)):
            assert violation.kind in ("unplanned_host", "unplanned_endpoint")
            what = violation.kind.removeprefix("unplanned_")
            key = (violation.host, violation.method, violation.endpoint)
            named = violation.host if what == "host" else " ".join(key)
            assert any(said.startswith(f"{what} {named}: ") for said in frozen.left_out)
    assert len(texts) == 1
