"""A report of some namespaces says what the store says where it holds only theirs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from app.analysis.of_namespaces import NamespaceRows
from app.contract.account import Account
from app.contract.presence import APP, Presence
from app.report.build import Report, build
from app.store import CaptureQuery, Heard, Scope, Store, Told
from app.store.facts import DAY
from app.store.sqlite import part
from app.store.sqlite.store import SqliteStore
from tests.records import T0, exchange, incoming

HOUR = 3_600 * 10**9
NEXT_DAY = (T0 // DAY + 1) * DAY  # the store knows hours of traffic, and days of senders


def records(namespace: str, boot: str) -> list[object]:
    return [
        exchange(n, boot=boot, namespace=namespace, pod=f"{namespace}-{n % 3}",
                 time_ns=T0 + n * 6 * HOUR, status=200 if n % 4 else 503,
                 product_version=f"4.{n % 2}.0")
        for n in range(1, 13)
    ]  # fmt: skip


def filled(folder: Path, *spaces: tuple[str, str]) -> Store:
    store = SqliteStore(folder)
    for name, boot in spaces:
        store.write(incoming(*records(name, boot)))  # type: ignore[arg-type]
    return store


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Store]:
    store = filled(tmp_path / "both", ("mine", "ab" * 16), ("theirs", "cd" * 16))
    yield store
    store.close()


@pytest.fixture
def mine(tmp_path: Path) -> Iterator[Store]:
    store = filled(tmp_path / "mine", ("mine", "ab" * 16))
    yield store
    store.close()


def seen(report: Report) -> dict[str, object]:
    """Without the times at which the two stores were filled."""
    ledger = [replace(one, first_seen="", last_seen="") for one in report.ledger]
    report = replace(report, generated_at="", ledger=ledger)
    return {name: getattr(report, name) for name in report.__struct_fields__}


@pytest.mark.parametrize("since", [None, NEXT_DAY])
def test_as_if_the_others_were_not_there(both: Store, mine: Store, since: int | None) -> None:
    rows = NamespaceRows(both, ["mine"], Scope(since_ns=since), lambda *_: ())
    assert rows.gaps == []
    assert seen(build(rows, since_ns=since)) == seen(build(mine, since_ns=since))


def test_nothing_of_another_namespace_is_in_it(both: Store) -> None:
    rows = NamespaceRows(both, ["mine"], Scope(), lambda *_: ())
    assert "theirs" not in str(build(rows))
    nothing = NamespaceRows(both, [], Scope(), lambda *_: ())
    assert build(nothing).count == 0


def test_the_app_itself_is_known_by_its_presence_alone(both: Store) -> None:
    app = Heard("ef" * 16, "", "", 7, False, Presence(form=APP))
    both.heard([app])
    both.write([], [Told(Account(boot=app.boot, numbered=9, lost={"shutdown": 9}), "", "")])
    rows = NamespaceRows(both, ["mine"], Scope(), lambda *_: ())
    (mine, own) = sorted(rows.boots(), key=lambda row: row.boot)
    assert (mine.namespace, own.heard_ns, own.numbered, own.lost) == ("mine", 7, 0, {})
    assert [one.who for one in build(rows).ledger] == ["mine/mine-0", "mine/mine-1", "mine/mine-2"]


def test_captures_of_these_namespaces_only(both: Store) -> None:
    page = both.captures(CaptureQuery(namespaces=("mine",), limit=1000))
    assert len(page.items) == 12 and all(b'"mine"' in line for line in page.items)
    assert both.captures(CaptureQuery(namespaces=(), limit=1000)).items == []
    query = CaptureQuery(namespaces=("mine",), workload="theirs/", limit=1000)
    assert both.captures(query).items == []


def test_what_is_not_read_is_said_and_read_when_asked_again(
    both: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part, "LONGEST_S", -1)
    monkeypatch.setattr(part, "_STRETCH", 5)
    for read in (5, 10):
        rows = NamespaceRows(both, ["mine"], Scope(), lambda *_: ())
        (gap,) = rows.gaps
        assert gap.id == "not_all_read" and f"newest {read} captures" in gap.says
        found = build(rows, gaps=rows.gaps)
        assert found.count == gap.count == read and not found.coverage.complete
    rows = NamespaceRows(both, ["mine"], Scope(), lambda *_: ())
    assert rows.gaps == [] and build(rows).count == 12


def test_a_period_that_was_read_whole_is_said_to_be(
    both: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part, "MOST", 5)
    scope = Scope(since_ns=T0 + 9 * 6 * HOUR)
    rows = NamespaceRows(both, ["mine"], scope, lambda *_: ())
    (gap,) = rows.gaps
    assert "all of the period, but a field may be older" in gap.says
    assert "shorter" not in gap.remedy
    assert build(rows, since_ns=scope.since_ns, gaps=rows.gaps).count == 4
    longer = Scope(since_ns=T0 + 7 * 6 * HOUR)
    (gap,) = NamespaceRows(both, ["mine"], longer, lambda *_: ()).gaps
    assert "all of the period" not in gap.says and "shorter" in gap.remedy
