"""App and store answer the same, and take the same decisions."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.client.inbox import GivenReview, inbox, items
from app.settings import Settings, load
from app.store.changes import ChangeQuery, os_user
from tests.records import exchange, incoming
from tests.serving import environment, serving


@pytest.fixture(params=["app", "store"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Settings, str]]:
    settings = load(environment(tmp_path))
    with serving(tmp_path) as served:
        query = [(f"f{n}", "") for n in range(1200)]
        served.runtime.store.write(incoming(exchange(1, query=query, headers=[])))
        if request.param == "app":
            yield settings, served.url
    if request.param == "store":
        yield settings, ""


def test_reading_and_deciding(where: tuple[Settings, str]) -> None:
    with inbox(*where) as asked:
        ids = [item.id for item in items(asked, ChangeQuery(), None)]
        assert ids == list(range(1203, 0, -1))
        assert len(list(items(asked, ChangeQuery(kind="field"), 1100))) == 1100
        assert list(items(asked, ChangeQuery(), 0)) == []
        taken = asked.decide(7, GivenReview("watched", "a note"))
        assert (taken.state, taken.note, taken.who) == ("watched", "a note", os_user())
        assert asked.item(7) == taken
        assert asked.item(9999) is None and asked.decide(9999, GivenReview("open")) is None
        query = ChangeQuery(kind="field", until=100)
        count = asked.decide_all(query, GivenReview("accepted", name="ann"))
        assert count == len(list(items(asked, ChangeQuery(state="accepted"), None))) > 90
        assert all(item.id <= 100 for item in items(asked, ChangeQuery(state="accepted"), None))


def test_a_class_is_said_in_both(where: tuple[Settings, str]) -> None:
    with inbox(*where) as asked:
        field = next(items(asked, ChangeQuery(kind="field"), 1))
        said = asked.say_class(field.id, "contact", "Ada")
        assert said and (said.id, said.by, said.who) == ("contact", "person", "Ada") and said.at
        back = asked.say_class(field.id, "none", "")
        assert back and (back.id, back.who) == ("", os_user())
        assert asked.say_class(9999, "contact", "Ada") is None
