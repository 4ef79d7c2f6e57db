"""A field's one class of many rows; a person beats a profile, a profile a detector."""

from app.contract.instant import iso
from app.report.classes import NO_CLASS, FieldClass, class_of_field, classed
from app.report.papers import Paper, SaidField
from app.store import FieldRow
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
