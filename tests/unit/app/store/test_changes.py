"""The inbox's types travel as JSON; its words and its bounds fit what the store keeps."""

import msgspec

from app.contract.classes import CLASSES
from app.store import OTHER
from app.store.changes import (
    CHANGES,
    OF_PROFILE,
    SENSITIVE,
    ChangePage,
    ChangeQuery,
    InboxCounts,
    InboxItem,
    Review,
    Stale,
)
from app.store.inventory import SHAPES
from app.store.sqlite.inbox import TABLES


def item() -> InboxItem:
    decision = Review(state="objected", who="é", note="\u202e", at_ns=3, again=2)
    return InboxItem(
        id=1, kind="field", profile="p", host="h", method="GET", route="/", name="n", what="string",
        version="1", first_ns=1, state="objected", revision=1, again=2, last_ns=4, who="é",
        note="\u202e", at_ns=3, history=[decision],
    )  # fmt: skip


def test_types_are_plain_data() -> None:
    for value in (
        item(),
        ChangePage([item()], "changes.1"),
        ChangeQuery(text="é"),
        InboxCounts(open=1),
    ):
        assert msgspec.json.decode(msgspec.json.encode(value), type=type(value)) == value


def test_every_class_is_a_shape_and_has_words() -> None:
    assert set(SENSITIVE) < set(SHAPES)
    assert not {*SENSITIVE} & {*CLASSES}  # both say what an item of the kind class is about
    assert all(words == words.strip() and words for words in SENSITIVE.values())


def test_a_store_without_an_inbox_gets_one_within_bounds() -> None:
    # Released steps are never edited: a bound that changes would leave its copy behind.
    assert f"place<={OF_PROFILE} " in TABLES and f"LIMIT {CHANGES};" in TABLES
    assert TABLES.count(f"'{OTHER}'") == 2


def test_who_is_late_is_told_what_was_decided() -> None:
    assert Stale(item()).change == item() and "change 1" in str(Stale(item()))
