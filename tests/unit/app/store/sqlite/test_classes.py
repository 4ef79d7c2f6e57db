"""Classes in the file: a store of before has those that can be told of what it kept."""

from pathlib import Path

import pytest

from app.store import SaidClass, filter
from app.store.classes import NO_WORDS, ClassWords, class_of
from app.store.sqlite import classes, ids, schema
from app.store.sqlite.classes import told, with_class
from app.store.sqlite.reader import Reader
from app.store.sqlite.schema import open_reader, open_writer
from app.store.sqlite.store import SqliteStore
from tests.records import T0, exchange, incoming


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


MAIL, PLAIN = ("cribl", "a.test", "GET", "/r"), ("cribl", "b.test", "GET", "/r")


def fill(path: Path, left_out: int = 0) -> None:
    store = SqliteStore(path)
    plain = exchange(2, host="b.test", route="/r", query=[("n", "1")], headers=[])
    assert plain.request
    plain.request.left_out = left_out
    store.write(incoming(
        exchange(1, host="a.test", route="/r", query=[("mail", "a@b.test")], headers=[]), plain,
    ))  # fmt: skip
    store.close()


def test_a_class_is_looked_for_where_the_inventory_has_it(tmp_path: Path) -> None:
    fill(tmp_path / "store.sqlite")
    connection = open_reader(tmp_path / "store.sqlite")
    words = ClassWords.of_people({(*PLAIN, "query.n"): "secret", (*MAIL, "query.mail"): "text"})
    try:
        assert with_class(connection, NO_WORDS, ["contact"])[1:] == MAIL
        assert with_class(connection, NO_WORDS, ["personal", "usage"])[1:] == (*MAIL, *PLAIN)
        assert with_class(connection, words, ["secret"])[1:] == PLAIN
        assert with_class(connection, words, ["contact"]) == ("0",)
        statements: list[str] = []
        connection.set_trace_callback(statements.append)
        assert Reader(connection).captures(filter.read("class:secret")).items == []
        assert [one for one in statements if "FROM capture" in one] == []
    finally:
        connection.close()


@pytest.mark.parametrize("bound", ["fields", "endpoints", "others", "unlisted"])
def test_it_is_looked_for_everywhere_where_the_inventory_may_not_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    if bound == "others":
        monkeypatch.setattr(ids, "ENDPOINTS", 1)
    fill(tmp_path / "store.sqlite", left_out=int(bound == "unlisted"))
    if bound in ("fields", "endpoints"):
        monkeypatch.setattr(classes, f"_{bound.upper()}", 0)
    connection = open_reader(tmp_path / "store.sqlite")
    try:
        found = with_class(connection, NO_WORDS, ["contact"])
        assert found[1:] == ((*MAIL, *PLAIN) if bound == "unlisted" else ())
        assert found[0] != "0"
        (line,) = Reader(connection).captures(filter.read("class:contact")).items
        assert b"a@b.test" in line
    finally:
        connection.close()
