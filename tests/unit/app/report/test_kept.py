"""What was masked, kept by the profile's word, or not kept whole, and why."""

import pytest

from app.contract.classes import SURE, about, members
from app.contract.record import REASONS, Body
from app.report.kept import WHY, KnownValue, inventory, known_values, masked, withheld
from app.report.papers import Paper, SensitiveField
from app.store import OTHER, FieldRow, NoteRow, Store
from app.store.changes import SENSITIVE
from app.store.classes import class_of
from app.store.facts import notes
from app.store.inventory import SHAPES
from tests.records import exchange, incoming
from tests.unit.app.store.classified import with_class


def field(path: str, shape: str = "", count: int = 1, **given: object) -> FieldRow:
    facts: dict[str, object] = {
        "profile": "acme", "host": "h", "method": "POST", "route": "/r", "version": "1",
        "path": path, "type": "string", "shape": shape, "count": count, "requests": 9,
        "first_ns": 0, "last_ns": 0,
    }  # fmt: skip
    return with_class(FieldRow(**facts | given))  # type: ignore[arg-type]


def paper(**sensitive: str) -> Paper:
    said = [SensitiveField(field=f.replace("__", "."), how=how) for f, how in sensitive.items()]
    return Paper(profile="acme", title="", hosts=[], licence="free", licence_note="", evidence=[],
                 unknown=[], sensitive=said)  # fmt: skip


@pytest.mark.parametrize(
    ("path", "shape", "how", "why"),
    [
        ("query.lic", "masked", "mask", "mask any.lic, says the profile"),
        ("body.user.lic", "masked", "mask", "mask any.lic, says the profile"),
        ("header.x-id", "token", "token", "token header.x-id, says the profile"),
        ("query.password", "masked", "mask", "its name or value looks like a secret"),
        ("query.seat", "", "keep", "keep query.seat, says the profile"),
        ("body.seat", "", "", ""),
        ("query.x-id", "", "", ""),
    ],
)
def test_why_a_field_is_masked_or_kept(path: str, shape: str, how: str, why: str) -> None:
    said = paper(**{"any__lic": "mask", "header__x-id": "token", "query__seat": "keep"})
    found = masked([field(path, shape)], [said])
    assert [(m.how, m.why) for m in found] == ([(how, why)] if how else [])


def test_versions_of_an_endpoint_count_together() -> None:
    rows = [field("query.lic", "masked", 3), field("query.lic", "masked", 4, version="2")]
    assert [m.count for m in masked(rows, [])] == [7]


def test_what_was_withheld_is_said_in_words(store: Store) -> None:
    store.write(incoming(exchange(20, method="POST", body=Body(size=9, withheld="encoding"))))
    (part,) = withheld(store.notes())
    assert (part.part, part.count, part.why) == ("request", 1, REASONS["encoding"])


def test_every_note_has_its_words() -> None:
    for withheld_for in (*REASONS, "of_a_hostile_sender"):
        (note,) = notes(exchange(1, body=Body(size=1, withheld=withheld_for)))
        assert note.why == (withheld_for if withheld_for in REASONS else OTHER)
        assert note.why in WHY
    row = NoteRow(profile="", host="", method="", route="", part="request", why="of_tomorrow",
                  count=1, first_ns=0, last_ns=0)  # fmt: skip
    assert withheld([row])[0].why == "of_tomorrow"


def test_what_called_for_masking_is_told_by_part_and_is_nothing_withheld() -> None:
    record = exchange(1)
    record.masked = [("query.lic", "lic"), ("header.referer", "lic"), ("response.body", "JWT")]
    said = [
        NoteRow(
            profile="acme", host="h", method="GET", route="/r", part=one.part, why=one.why, count=2,
            first_ns=0, last_ns=0,
        )
        for one in notes(record)
    ]  # fmt: skip
    found = [(m.field, m.how, m.why, m.count) for m in masked([], [], said)]
    assert found == [("request", "mask", "lic", 2), ("response", "mask", "JWT", 2)]
    assert withheld(said) == []


def test_the_inventory_has_every_field_with_its_class() -> None:
    rows = [
        field("query.mail", "email", 4, requests=4),
        field("query.mail", "masked", 2, version="2", requests=6),
        field("query.n", count=4, type="integer", requests=4),
        field(OTHER, count=9, type="", version="2", requests=6),
    ]
    found = inventory(rows)
    assert [(f.field, f.types, f.shapes, f.classes, f.present) for f in found] == [
        ("query.mail", ["string"], ["email", "masked"], ["contact"], 0.6),
        ("query.n", ["integer"], [], ["usage"], 0.4),
    ]
    assert [(f.class_, f.class_by, f.confidence, f.class_who) for f in found] == [
        ("contact", "value email", 0.95, ""), ("usage", "type integer", 0.5, ""),
    ]  # fmt: skip


def test_the_inbox_tells_each_shape_whose_class_is_sensitive_or_an_identifier() -> None:
    shapes = {shape: class_of("query.x1", "string", shape) for shape in SHAPES}
    assert SENSITIVE.keys() == {
        shape
        for shape, of in shapes.items()
        if of.confidence >= SURE and (about(of.id) or of.id in members("identifier"))
    }


def test_known_values_are_told_by_source_and_way_and_are_nothing_withheld() -> None:
    rows = [
        NoteRow(
            profile="acme", host="h", method="POST", route="/r", part="canary",
            why="host name, SHA-256", count=2, first_ns=0, last_ns=0,
        ),
    ]  # fmt: skip
    (one,) = known_values(rows)
    assert one == KnownValue(
        profile="acme", host="h", method="POST", endpoint="/r", source="host name", how="SHA-256",
        count=2,
    )  # fmt: skip
    assert withheld(rows) == masked([], (), rows) == []
