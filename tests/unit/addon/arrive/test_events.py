"""addon/arrive/events.py: the events are those that `addon.connections` takes."""

import inspect

import pytest

from addon.arrive.events import ConnectionEvents
from addon.connections import Connections

EVENTS = [name for name in vars(ConnectionEvents) if not name.startswith("_")]


@pytest.mark.parametrize("name", EVENTS)
def test_each_is_taken_as_it_is_told(name: str) -> None:
    told, taken = (
        [
            (one.kind, one.default, one.name if one.kind is one.KEYWORD_ONLY else "")
            for one in inspect.signature(getattr(of, name)).parameters.values()
        ]
        for of in (ConnectionEvents, Connections)
    )
    assert told == taken
