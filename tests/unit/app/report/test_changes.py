"""What a newer version sends that the older ones did not."""

import pytest
from msgspec.structs import replace

from app.report.changes import changes, version_number
from app.store import OTHER, FieldRow


def row(
    version: str, path: str, *, first: int = 0, type: str = "string", count: int = 2
) -> FieldRow:
    return FieldRow(
        profile="cribl", host="h", method="GET", route="/t", version=version, path=path, type=type,
        shape="", count=count, requests=4, first_ns=first, last_ns=first + 5,
    )  # fmt: skip


def found(*rows: FieldRow, **scope: int) -> list[tuple[str, str, list[str], list[str]]]:
    return [
        (c.version, c.previous, [f.path for f in c.new], [f.path for f in c.gone])
        for c in changes(rows, **scope)
    ]


@pytest.mark.parametrize(
    ("version", "number"),
    [
        ("4.16.1-20904e45", (4, 16, 1)), ("v4.9", (4, 9)), ("main", ()), ("", ()),
        ("10", (10,)), ("9" * 400, (int("9" * 18),)),
    ],
)  # fmt: skip
def test_version_number(version: str, number: tuple[int, ...]) -> None:
    assert version_number(version) == number


def test_versions_go_by_number_not_by_letter_or_time() -> None:
    rows = [row("4.10.0", "query.a", first=1), row("4.10.0", "query.c", first=1),
            row("4.9.0", "query.a", first=99), row("4.9.0", "query.b", first=99)]  # fmt: skip
    assert found(*rows) == [("4.10.0", "4.9.0", ["query.c"], ["query.b"])]


def test_new_is_what_no_earlier_version_sent() -> None:
    rows = [row("1", "a"), row("1", "b"), row("2", "a"), row("3", "a"), row("3", "b")]
    assert found(*rows) == [("2", "1", [], ["b"])]


def test_builds_of_one_number_go_by_first_sight() -> None:
    rows = [row("4.16.1-a", "x", first=50), row("4.16.1-a", "y", first=50),
            row("4.16.1-b", "x", first=10)]  # fmt: skip
    assert found(*rows) == [("4.16.1-a", "4.16.1-b", ["y"], [])]


def test_no_version_and_overflow_are_no_versions() -> None:
    assert found(row("", "a"), row("1", "b"), row(OTHER, "c"), row("1", OTHER)) == []


def test_only_versions_of_the_time() -> None:
    rows = [row("1", "a"), row("2", "b", first=100), row("3", "c", first=200)]
    assert [c[0] for c in found(*rows, since_ns=150)] == ["3"]
    assert [c[0] for c in found(*rows, until_ns=150)] == ["2"]


def test_types_and_share() -> None:
    (change,) = changes(
        [row("1", "a"), row("2", "b", type="integer", count=1), row("2", "b", type="string")]
    )
    (field,) = change.new
    assert (field.types, field.present) == (["integer", "string"], 0.75)


def test_all_is_new_of_an_endpoint_that_no_earlier_version_asked() -> None:
    rows = [row("1", "a"), row("2", "a"), row("3", "a")]
    later = [replace(row(version, "b"), route="/z") for version in ("2", "3")]
    assert found(*rows, *later) == [("2", "1", ["b"], [])]
    assert found(*later) == []  # the product's first version
    other = [replace(one, profile="other") for one in later]
    assert found(*rows, *other) == []  # another product's versions say nothing
