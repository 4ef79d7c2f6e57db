import csv
import re

import httpx

from app.report.rows import cell
from app.store import OTHER, FieldRow, SketchRow
from app.web.fields import entries, matching
from tests.records import exchange, incoming
from tests.serving import Served
from tests.unit.app.store.classified import with_class
from tests.unit.app.web.conftest import bounded, sign_in


def field(path: str, version: str, count: int, **given: object) -> FieldRow:
    row = {
        "profile": "p", "host": "h.test", "method": "GET", "route": "/r", "version": version,
        "path": path, "type": "string", "shape": "", "count": count, "requests": 10,
        "first_ns": 1, "last_ns": 2,
    }  # fmt: skip
    return with_class(FieldRow(**(row | given)))


def test_a_field_over_all_its_versions() -> None:
    rows = [
        field("query.a", "1.2", 10),
        field("query.a", "1.10", 4),
        field("query.a", "1.10", 5, type="integer", shape="timestamp", last_ns=9),
        field("query.b", "1.10", 1, shape="masked"),
        field(OTHER, "1.10", 99, type=""),
    ]
    one, other = entries(rows, [])
    assert (one.path, one.types, one.shapes) == (
        "query.a", ["integer", "string"], ["timestamp"],
    )  # fmt: skip
    assert (one.first_version, one.last_version, one.last_ns) == ("1.2", "1.10", 9)
    assert (one.count, one.requests, one.present) == (19, 20, "95 %")
    assert [(p.version, p.level) for p in one.history] == [("1.2", 4), ("1.10", 3)]
    assert [(p.says, p.level) for p in other.history] == [("0 %", 0), ("10 %", 1)]
    assert (one.how, other.how) == ("", "mask")
    assert [e.path for e in matching([one, other], "", "QUERY.B")] == ["query.b"]
    assert [e.path for e in matching([one, other], "", "mask")] == ["query.b"]
    assert matching([one, other], "q", "") == []


def test_a_long_history_shows_its_end() -> None:
    rows = [field("a", f"1.{n}", 10) for n in range(30)]
    (one,) = entries(rows, [])
    assert [p.version for p in one.history] == [f"1.{n}" for n in range(18, 30)]
    assert one.first_version == "1.0"


def test_the_view_lists_what_was_sent(visitor: httpx.Client) -> None:
    text = visitor.get("/fields").text
    for part in ("query.gpu", "query.gone", "body.a[].b", "masked: nothing of it", "a token"):
        assert part in text
    found = visitor.get("/fields", params={"text": "gpu", "profile": "cribl"}).text
    assert "query.gpu" in found and "query.gone" not in found
    assert "No field fits" in visitor.get("/fields?text=nothing-like-it").text


def test_pages(served: Served) -> None:
    query = [(f"n{n:03}", "x") for n in range(250)]
    served.runtime.store.write(incoming(exchange(1, query=query, headers=[])))
    with sign_in(served) as client:
        seen: list[str] = []
        for page in ("", "2", "3"):
            seen += re.findall(r"query\.(n\d+)</bdi>", client.get(f"/fields?page={page}").text)
        assert seen == [name for name, _ in query]
        for odd in ("0", "99", "-1", "x", "²", "9" * 99):
            assert client.get("/fields", params={"page": odd}).status_code == 200


def test_as_csv_without_formulas(served: Served) -> None:
    served.runtime.store.write(incoming(exchange(1, host="=1+1", query=[("a,b\n", "x")])))
    with sign_in(served) as client:
        answer = client.get("/fields.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["content-disposition"]
    head, *rows = csv.reader(answer.text.removeprefix("\ufeff").splitlines())
    assert len({len(row) for row in (head, *rows)}) == 1
    assert {row[1] for row in rows} == {cell("=1+1")} == {"'=1+1"}


def test_place_decodings_and_class() -> None:
    rows = [
        field("body.data›base64›gzip›json.a[].b›url.c", "1", 1, shape="email"),
        field("body›base64.x", "1", 1, shape="guid"),
        field("header.host", "1", 1), field("query.lic", "1", 1, shape="masked"),
    ]  # fmt: skip
    found = entries(rows, [])
    assert {e.path: (e.place, e.decodings, e.classes) for e in found} == {
        rows[0].path: ("body", ["base64", "gzip", "json", "url"], ["contact"]),
        "body›base64.x": ("body", ["base64"], ["identifier.installation"]),
        "header.host": ("header", [], ["configuration"]),
        "query.lic": ("query", [], ["licence"]),
    }
    assert [e.path for e in matching(found, "", "personal")] == [rows[0].path]
    assert [e.path for e in matching(found, "", "guid")] == ["body›base64.x"]


def test_different_values(visitor: httpx.Client) -> None:
    sketch = SketchRow(
        profile="p", host="h.test", method="GET", route="/r", path="query.a", looked=900,
        distinct=1234, is_exact=False,
    )  # fmt: skip
    one, other = entries([field("query.a", "1", 1), field("query.b", "1", 1)], [], [sketch])
    assert (one.different, other.different) == ("about 1,234", "")
    head, *rows = csv.reader(visitor.get("/fields.csv").text.removeprefix("\ufeff").splitlines())
    place = head.index("different values")
    counted = {row[head.index("field")]: row[place : place + 2] for row in rows}
    assert counted["query.v"][0] in ("1", "2") and int(counted["query.v"][1]) >= 1


def test_who_may_read_a_namespace_sees_its_fields(filled: Served) -> None:
    bounded(filled, "edge")
    filled.runtime.store.write(incoming(exchange(40, namespace="edge", query=[("mine", "1")])))
    with sign_in(filled) as client:
        text = client.get("/fields").text
        assert "query.mine" in text and "query.gpu" not in text
        assert "query.gpu" not in client.get("/fields.csv").text


def test_nothing_yet(newcomer: httpx.Client) -> None:
    assert "No field is known" in newcomer.get("/fields").text
