"""What a version, an image or a time sent, read of a real store."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from app.contract.instant import iso
from app.contract.record import Workload
from app.report import sides
from app.report.compare import FieldOf, Measured
from app.report.sides import Choices, Reading, choices, sides_by_default, with_versions
from app.store import OTHER, QueryError, Scope, filter
from app.store.sqlite.store import SqliteStore
from tests.records import BOOT, HOUR, T0, exchange, incoming, spliced

E = ("cdn.cribl.io", "GET", "/telemetry/index.html")
OLD, NEW = "r.test/cribl:4.16", "r.test/cribl:4.17"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """10 requests of 4.16 over 9 hours, then 5 of 4.17 without `os`."""
    store = SqliteStore(tmp_path / "store.sqlite")
    records = []
    for n in range(15):
        version, image = ("4.16", OLD) if n < 10 else ("4.17", NEW)
        query = [("v", version), *([("os", "linux")] if n < 10 else [("gpu", "1")])]
        workload = Workload(namespace="logs" if n % 2 else "edge", pod=f"w-{n % 3}", image=image)
        records.append(
            exchange(n + 1, time_ns=T0 + n * HOUR, product_version=version, query=query,
                     headers=[], workload=workload)
        )  # fmt: skip
    store.write(incoming(*records, spliced(16, profile="cribl", time_ns=T0)))
    yield store
    store.close()


def reading(store: SqliteStore, namespaces: tuple[str, ...] | None = None) -> Reading:
    return Reading(store, store.fields(Scope()), lambda profile, rule: (), namespaces)


def test_a_version_comes_from_inventory_and_sums(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "captures", None)
    side = reading(store).side("cribl", "4.16")
    assert side.fields == {E: {
        "query.v": FieldOf(("number",), (), 10, 10),
        "query.os": FieldOf(("string",), ("platform",), 10, 10),
    }}  # fmt: skip
    assert side.volumes == {E: Measured(10, side.volumes[E].size, 1.0)}
    assert (side.title, side.note) == ("4.16", "")
    assert reading(store).side("cribl", "version:4.16").fields == side.fields


def test_a_time_counts_by_the_hour_and_reads_its_captures(store: SqliteStore) -> None:
    name = f"time:{iso(T0 + 8 * HOUR)}..{iso(T0 + 12 * HOUR)}"
    side = reading(store).side("cribl", name)
    assert side.fields[E]["query.v"] == FieldOf(("number",), (), 4, 4)
    assert side.fields[E]["query.os"].count == side.fields[E]["query.gpu"].count == 2
    assert side.volumes is not None and side.volumes[E].count >= 4
    assert side.note == "read of 4 captures; volume by whole hours"
    found = store.captures(filter.read(side.filter)).items
    assert len(found) == 4


@pytest.mark.parametrize(("ends", "count"), [("..{}", 5), ("{}..", 10)])
def test_an_end_of_a_time_may_be_open(store: SqliteStore, ends: str, count: int) -> None:
    side = reading(store).side("cribl", "time:" + ends.format(iso(T0 + 5 * HOUR)))
    assert side.fields[E]["query.v"].count == count


def test_an_image_is_read_of_its_pods_captures(store: SqliteStore) -> None:
    side = reading(store).side("cribl", f"image:{NEW}")
    assert side.fields[E].keys() == {"query.v", "query.gpu"}
    assert side.volumes == {E: Measured(5, side.volumes[E].size, 1.0)}
    assert len(store.captures(filter.read(side.filter)).items) == 5


def test_the_newest_captures_alone_are_read(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sides, "MOST", 3)
    monkeypatch.setattr(sides, "_PAGE", 2)
    side = reading(store).side("cribl", f"time:..{iso(T0 + 99 * HOUR)}")
    assert side.fields[E]["query.gpu"] == FieldOf(("integer",), (), 3, 3)
    assert side.note.startswith("read of the newest 3 captures alone")
    assert side.volumes is not None and side.volumes[E].count == 15


def test_who_may_read_a_namespace_gets_no_sums(store: SqliteStore) -> None:
    bounded = reading(store, ("edge",))
    side = bounded.side("cribl", f"time:..{iso(T0 + 99 * HOUR)}")
    assert side.fields[E]["query.v"].requests == 8
    assert side.volumes is None
    assert bounded.side("cribl", f"image:{NEW}").fields[E]["query.v"].requests == 3
    assert bounded.side("cribl", "image:none").fields == {}


@pytest.mark.parametrize(
    "name",
    ["9.9", "image:none", "time:", "time:1d", "time:yesterday..", "time:..", "time:1d..7d",
     "time:1d..1d.."],
)  # fmt: skip
def test_a_name_that_means_nothing_is_refused_with_a_remedy(store: SqliteStore, name: str) -> None:
    with pytest.raises(QueryError, match="\n\nhint: "):
        reading(store).side("cribl", name)


def test_the_last_two_versions_by_default(store: SqliteStore) -> None:
    found = reading(store).compared("", "", "")
    assert (found.profile, found.one, found.other) == ("cribl", "4.16", "4.17")
    assert [(d.kind, d.what) for d in found.differences] == [
        ("added", "query.gpu"), ("gone", "query.os"),
    ]  # fmt: skip
    with pytest.raises(QueryError, match="no two versions"):
        reading(store).compared("other", "", "")
    with pytest.raises(QueryError, match="no two versions of any profile"):
        Reading(store, (), lambda profile, rule: ()).compared("", "", "")


def test_a_slow_pace_is_no_missing_pace(store: SqliteStore) -> None:
    daily = [exchange(100 + n, time_ns=T0 + n * 24 * HOUR, product_version="5") for n in range(4)]
    store.write(incoming(*daily))
    assert reading(store).side("cribl", "5").volumes[E].pace == 0.042


def test_a_version_says_what_was_over_the_limit_and_is_not_compared(store: SqliteStore) -> None:
    over = replace(store.fields(Scope())[0], version="4.17", path=OTHER, count=7)
    side = Reading(store, [*store.fields(Scope()), over], lambda profile, rule: ()).side
    assert side("cribl", "4.16").note == ""
    assert side("cribl", "4.17").note.startswith("7 times a field was over the inventory's limit")


def test_choices_are_versions_by_number_and_images(store: SqliteStore) -> None:
    store.write(incoming(exchange(1, boot=BOOT[::-1], product_version="4.9")))
    rows, senders = store.fields(Scope()), store.senders(Scope())
    assert with_versions(rows) == {"cribl"}
    assert choices(rows, senders, "cribl") == Choices(["4.9", "4.16", "4.17"], [OLD, NEW])
    assert sides_by_default(Choices(["1"], []), "", "") == ("", "1")
    assert sides_by_default(Choices([], []), "a", "") == ("a", "")
