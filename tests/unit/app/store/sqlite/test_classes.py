"""Classes in the file: a store of before has those that can be told of what it kept."""

from pathlib import Path

import pytest

from app.store import SaidClass
from app.store.classes import class_of
from app.store.sqlite import schema
from app.store.sqlite.classes import told
from app.store.sqlite.schema import open_writer
from app.store.sqlite.store import SqliteStore
from tests.records import T0


def test_fields_of_an_older_schema_get_their_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.sqlite"
    before = schema.MIGRATIONS.index(schema.classes.TABLES)
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:before])
        patch.setattr(schema, "VERSION", before)
        old = open_writer(path)
    old.execute("INSERT INTO endpoint VALUES (1, 'cribl', 'h', 'GET', '/r', 3)")
    old.execute("INSERT INTO version VALUES (1, 'cribl', '4.16')")
    old.execute("INSERT INTO observed VALUES (1, 1, 5, 0, 1, 2)")
    kept = [
        ("query.hostname", "string", ""), ("query.x1", "string", "email"), ("body", "object", ""),
    ]  # fmt: skip
    for id, (name, type, shape) in enumerate(kept, 1):
        old.execute("INSERT INTO field VALUES (?, 1, ?)", (id, name))
        old.execute("INSERT INTO seen VALUES (?, 1, ?, ?, 5, 1, 2)", (id, type, shape))
    old.close()
    store = SqliteStore(path)
    try:
        found = {row.path: (row.class_, row.class_by, row.confidence) for row in store.fields()}
        said = SaidClass("cribl", "h", "GET", "/r", "query.x1", "licence", "Ada", T0)
        assert store.say_class(said) and store.said_classes() == [said]
    finally:
        store.close()
    assert found == {name: class_of(name, type, shape) for name, type, shape in kept}
    assert found["query.hostname"][0] == "identifier.device" and found["body"] == ("", "", 0.0)


def test_told_is_the_class_part_by_part() -> None:
    of = class_of("query.user", "string", "")
    assert [told("query.user", "string", "", n) for n in range(3)] == list(of)
