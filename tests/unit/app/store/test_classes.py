"""The class of a field by its name and the look of its values: a corpus, and what holds of any."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.classes import CLASSES
from app.store import FieldRow
from app.store.class_rules import RULES
from app.store.classes import NO_WORDS, NONE, Classed, ClassWords, class_of
from app.store.inventory import SHAPES, TYPES, classify
from tests.unit.app.store.class_corpus import OF_PERSONS
from tests.unit.app.store.class_corpus_as_sent import AS_SENT
from tests.unit.app.store.class_corpus_rest import OF_SYSTEMS
from tests.unit.app.store.class_corpus_spellings import SPELLINGS

CORPUS = OF_PERSONS | OF_SYSTEMS
CORPUS = {id: lines + SPELLINGS.get(id, "") + AS_SENT.get(id, "") for id, lines in CORPUS.items()}
_PARTS = ("query.", "header.", "body.", "path.")
ROWS = [
    (name if name.startswith(_PARTS) else f"body.{name}", value.strip(), id)
    for id, lines in CORPUS.items()
    for line in lines.strip().splitlines()
    if line.strip() and not line.strip().startswith("#")
    for name, _, value in [line.strip().partition(" =")]
]


@pytest.mark.parametrize(("path", "value", "id"), ROWS)
def test_corpus(path: str, value: str, id: str) -> None:
    found = class_of(path, *classify(value))
    assert found.id == id, (path, value, classify(value), found)


def test_the_corpus_is_large_and_has_every_class() -> None:
    assert len(ROWS) >= 900 and CORPUS.keys() == CLASSES.keys()
    assert all(len(lines.splitlines()) > 10 for lines in CORPUS.values())


@given(st.text(max_size=80), st.sampled_from(TYPES), st.sampled_from(SHAPES))
def test_any_field_has_a_class_a_detector_and_a_confidence(
    name: str, type: str, shape: str
) -> None:
    found = class_of(f"query.{name}", type, shape)
    if type in ("object", "array"):
        assert found == NONE
    else:
        assert found.id in CLASSES and found.by and 0 < found.confidence <= 1


DETECTORS = {f"name {rule.name}" for rule in RULES} | {
    "name credential", "name header of the protocol", "nothing",
    *(f"value {shape}" for shape in SHAPES), "type boolean", "type integer", "type number",
    "type opaque",
}  # fmt: skip


@given(st.sampled_from(ROWS), st.sampled_from(SHAPES), st.sampled_from(TYPES))
def test_detectors_are_of_a_known_list(row: tuple[str, str, str], shape: str, type: str) -> None:
    assert class_of(row[0], type, shape).by in DETECTORS | {""}


def test_a_value_is_not_in_what_is_said_of_it() -> None:
    assert class_of("query.user", "string", "") == Classed(
        "identifier.person", "name user name", 0.9
    )


OF = ("acme", "h.test", "POST", "/r")


def test_a_person_beats_the_profile_and_a_profile_the_detectors() -> None:
    def profiles(profile: str, path: str) -> str:
        return "licence" if (profile, path) == ("acme", "query.n") else ""

    said = {(*OF, "query.n"): "secret", (*OF, "query.m"): "", (*OF, "body"): "contact"}
    both = ClassWords.of_people(said, profiles)
    assert both.of(OF, "query.n", "integer", "") == Classed("secret", "person", 1.0)
    of_profile = ClassWords(profiles=profiles)
    assert of_profile.of(OF, "query.n", "integer", "") == Classed("licence", "profile", 1.0)
    other = (*OF[:3], "/other")
    assert both.of(other, "query.n", "integer", "").by == "profile"
    # Taken back, of nobody, and of what only holds others.
    assert both.of(OF, "query.m", "integer", "") == class_of("query.m", "integer", "")
    assert NO_WORDS.of(OF, "query.n", "integer", "") == class_of("query.n", "integer", "")
    assert both.of(OF, "body", "object", "") == NONE


def test_the_words_of_an_inventory_are_those_that_it_was_made_with() -> None:
    def row(path: str, by: str) -> FieldRow:
        return FieldRow(
            profile="acme", host="h.test", method="POST", route="/r", version="1", path=path,
            type="string", shape="", count=1, requests=1, first_ns=1, last_ns=1, class_="secret",
            class_by=by, confidence=1.0,
        )  # fmt: skip

    words = ClassWords.of_inventory([
        row("query.p", "person"), row("query.q", "profile"), row("query.r", "name credential"),
    ])  # fmt: skip
    assert {key[-1]: word.by for key, word in words.said.items()} == {
        "query.p": "person", "query.q": "profile",
    }  # fmt: skip
    assert words.over_rows([row("query.q", "value email")]) == [row("query.q", "profile")]
    assert words.over_rows([row("query.p", "person")]) == [row("query.p", "person")]
