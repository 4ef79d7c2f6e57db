"""What every store promises of the classes of fields: part of its suite."""

from msgspec.structs import replace

from app.contract.record import decode
from app.store import FieldRow, SaidClass, Scope, Store, filter
from app.store.classes import class_of
from tests.records import T0, exchange, incoming


def with_class(row: FieldRow) -> FieldRow:
    """The row as a store has it, with what the detectors say unless it says more."""
    if row.class_:
        return row
    of = class_of(row.path, row.type, row.shape)
    return replace(row, class_=of.id, class_by=of.by, confidence=of.confidence)


def classes(store: Store, scope: Scope = Scope()) -> dict[str, tuple[object, ...]]:  # noqa: B008
    return {
        row.path: (row.class_, row.class_by, row.confidence, row.who, row.class_at_ns)
        for row in store.fields(scope)
    }


QUERY = [("hostname", "w-1"), ("mail", "jo@example.com"), ("n", "5"), ("app", "app@1.0.0")]
OF = ("cribl", "cdn.cribl.io", "GET", "/telemetry/index.html")


class ClassSuite:
    def test_a_field_gets_its_class_when_it_is_written(self, store: Store) -> None:
        written = store.write(incoming(exchange(1, query=QUERY, headers=[])))
        assert classes(store) == {
            "query.hostname": ("identifier.device", "name machine", 0.9, "", 0),
            "query.mail": ("contact", "value email", 0.95, "", 0),
            "query.n": ("usage", "type integer", 0.5, "", 0),
            "query.app": ("version", "value package", 0.8, "", 0),
        }
        assert {f.path: f.class_ for f in written.new_fields} == {
            path: found[0] for path, found in classes(store).items()
        }

    def test_a_person_beats_the_detector_until_they_take_it_back(self, store: Store) -> None:
        store.write(incoming(exchange(1, query=QUERY, headers=[])))
        said = SaidClass(*OF, "query.n", "licence", "Ada", T0)
        assert store.say_class(said)
        store.write(incoming(exchange(2, query=QUERY, headers=[], product_version="4.17.0")))
        rows = [r for r in store.fields() if r.path == "query.n"]
        assert [(r.version[:4], r.class_, r.class_by, r.confidence, r.who, r.class_at_ns)
                for r in rows] == [
            (v, "licence", "person", 1.0, "Ada", T0) for v in ("4.16", "4.17")
        ]  # fmt: skip
        assert store.said_classes() == store.said_classes("cribl") == [said]
        assert store.said_classes("grafana") == []
        back = said._replace(class_="", who="Bo", at_ns=T0 + 1)
        assert store.say_class(back)
        assert classes(store)["query.n"] == ("usage", "type integer", 0.5, "", 0)
        assert store.said_classes() == [back]

    def test_a_filter_by_class_finds_the_class_in_force(self, store: Store) -> None:
        store.write(incoming(
            exchange(1, query=QUERY, headers=[]), exchange(2, query=[("n", "5")], headers=[]),
        ))  # fmt: skip

        def found(q: str) -> list[str]:
            items = store.captures(filter.read(q)).items
            return sorted(decode(line).id.rpartition("-")[2] for line in items)

        assert (found("class:usage"), found("class:licence")) == (["1", "2"], [])
        store.profiles_say(lambda profile, path: "version" if path == "query.n" else "")
        assert (found("class:usage"), found("class:version")) == ([], ["1", "2"])
        assert {r.class_by for r in store.fields() if r.path == "query.n"} == {"profile"}
        assert store.say_class(SaidClass(*OF, "query.n", "licence", "Ada", T0))
        assert (found("class:version"), found("class:licence")) == (["1"], ["1", "2"])
        assert found("-class:licence") == []
        part = store.part(["logs"], lambda profile, rule: ())
        for rows in (store.fields(), part.fields(Scope())):
            assert {r.class_ for r in rows if r.path == "query.n"} == {"licence"}
        assert {r.who for r in part.fields(Scope())} == {""}
        assert store.words().of(OF, "query.n", "integer", "").id == "licence"

    def test_nobody_can_speak_of_a_field_that_is_unknown(self, store: Store) -> None:
        store.write(incoming(exchange(1, query=QUERY, headers=[])))
        for of in (OF, ("grafana", *OF[1:]), (*OF[:3], "/other")):
            path = "query.absent" if of == OF else "query.n"
            assert not store.say_class(SaidClass(*of, path, "secret", "Ada", T0))
        assert store.said_classes() == []
