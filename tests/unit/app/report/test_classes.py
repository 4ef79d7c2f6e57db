"""A field's one class of many rows; a person beats a profile, a profile a detector."""

import pytest
from msgspec.structs import replace

from app.contract.instant import iso
from app.report.classes import (
    NO_CLASS,
    FieldClass,
    class_of_field,
    classed,
    counted,
    profiles_word,
    said_by,
    said_of,
    word_on,
)
from app.report.papers import Paper, SaidField
from app.store import FieldRow
from app.store.changes import InboxItem
from tests.unit.app.report.test_kept import field


def paper(**classes: str) -> Paper:
    return Paper(
        profile="acme", title="", hosts=[], licence="none", licence_note="", evidence=[],
        unknown=[], sensitive=[],
        classes=[SaidField(field=f.replace("_", ".", 1), class_=c) for f, c in classes.items()],
    )  # fmt: skip


def row(class_: str, confidence: float, by: str = "d", **given: object) -> FieldRow:
    return field("query.x", class_=class_, class_by=by, confidence=confidence, **given)


def test_the_gravest_that_is_sure_else_the_surest() -> None:
    assert class_of_field([]) == class_of_field([field("body", type="object")]) == NO_CLASS
    sure = class_of_field([row("usage", 0.9), row("contact", 0.6), row("contact", 0.7, "best")])
    assert sure == FieldClass("contact", "best", 0.7)
    assert class_of_field([row("secret", 0.4), row("version", 0.9)]).id == "version"
    assert class_of_field([row("secret", 0.2), row("opaque", 0.3)]).id == "opaque"


def test_who_said_so_is_told_in_words() -> None:
    person = class_of_field([row("licence", 1.0, "person", who="Ada", class_at_ns=10**18)])
    assert person.said == f"Ada, {iso(10**18)}"
    assert FieldClass("licence", "person", 1.0).said == "a person"
    assert FieldClass("licence", "profile", 1.0).said == "the profile"
    assert FieldClass("usage", "type integer", 0.5).said == "type integer, 50%"
    assert NO_CLASS.said == ""


def test_a_profile_beats_the_detectors_and_not_a_person() -> None:
    rows = [
        field("query.n", type="integer"),
        field("body.data›base64›json.a[].n", type="integer"),
        field("query.p", class_="licence", class_by="person"),
        field("body", type="object"),
        field("query.n", type="integer", profile="other"),
    ]
    found = classed(rows, [paper(any_n="licence", query_p="version", any_body="secret")])
    assert [(r.class_, r.class_by, r.confidence) for r in found[:2]] == [
        ("licence", "profile", 1.0), ("licence", "profile", 1.0),
    ]  # fmt: skip
    assert found[2:] == rows[2:] and classed(rows, []) == rows


def test_fields_by_profile_and_class_count_once() -> None:
    rows = [row("usage", 0.9), row("contact", 0.6), field("body", type="object")]
    other = field("query.y", class_="usage", confidence=0.5, profile="other")
    assert counted([*rows, other]) == {("acme", "contact"): 1, ("other", "usage"): 1}


def test_a_profile_speaks_of_its_own_fields() -> None:
    word = profiles_word({"acme": paper(any_n="licence")}.get)
    assert word("acme", "body.a.n") == word("acme", "query.n") == "licence"
    assert word("acme", "body.m") == word("other", "query.n") == ""


def test_a_word_is_about_a_field_and_names_a_class() -> None:
    item = InboxItem(
        id=1, kind="field", profile="acme", host="h", method="POST", route="/r", name="query.x",
        what="", version="", first_ns=0, state="open", revision=0, again=0, last_ns=0, who="",
        note="", at_ns=0,
    )  # fmt: skip
    word = word_on(item, "licence", " Ada ")
    assert word[:7] == ("acme", "h", "POST", "/r", "query.x", "licence", "Ada")
    assert said_of(word).said.startswith("Ada, 20") and said_by(field("body", type="object")) == "-"
    assert word_on(item, "none", "Ada").class_ == ""
    with pytest.raises(ValueError, match=r"no class of fields\n\nhint: one of secret"):
        word_on(item, "personal", "Ada")
    with pytest.raises(ValueError, match="is about no field"):
        word_on(replace(item, kind="host"), "licence", "Ada")
