"""What a write is told and answers is plain data, and stands beside the promises."""

import msgspec
import pytest

from app import store
from app.store import written

TYPES = [
    one
    for one in vars(written).values()
    if isinstance(one, type) and one.__module__ == written.__name__
]


@pytest.mark.parametrize("type", TYPES)
def test_every_type_is_told_with_the_promises(type: type) -> None:
    assert getattr(store, type.__name__) is type


def test_a_word_taken_back_names_no_class() -> None:
    said = store.SaidClass("p", "h", "GET", "/r", "query.x", "", "Ada", 1)
    assert msgspec.json.decode(msgspec.json.encode(said), type=store.SaidClass) == said
    assert store.NewField("p", "h", "GET", "/r", "1", "query.x", "string").class_ == ""
