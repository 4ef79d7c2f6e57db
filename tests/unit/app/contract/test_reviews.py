from typing import get_args

from app.contract.reviews import KINDS, STATES, Kind


def test_every_kind_has_words() -> None:
    assert set(KINDS) == set(get_args(Kind))
    assert all(words == words.strip() and words for words in KINDS.values())


def test_what_is_new_begins_open() -> None:
    assert STATES[0] == "open" and len(set(STATES)) == 4
