"""Sentences come from one table; values of the cluster never reach a terminal raw."""

import string

import pytest

from addon.app_client.client import TROUBLES as SIDECARS
from app.inject.sentences import SENTENCES, TROUBLES, say


def test_the_sidecar_s_words_have_their_sentences() -> None:
    assert set(SIDECARS) == set(TROUBLES) <= SENTENCES.keys()


@pytest.mark.parametrize("id", SENTENCES)
def test_values_are_filled_in_and_escaped(id: str) -> None:
    wanted = [name for _, name, _, _ in string.Formatter().parse(SENTENCES[id]) if name]
    said = say(id, **dict.fromkeys(wanted, "a\x1b[31m\n{b}"))
    assert said.isprintable()
    assert all(name in said for name in (["a\\x1b[31m {b}"] if wanted else []))


def test_an_unknown_one_is_said_as_it_is() -> None:
    assert say("future\x1b") == "future\\x1b"
