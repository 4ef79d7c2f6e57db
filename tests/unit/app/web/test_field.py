import html
import re

import httpx

from app.store import Scope
from app.web.field import by_version, examples
from app.web.fields import entries
from tests.records import exchange, incoming
from tests.serving import Served
from tests.unit.app.web.conftest import bounded, sign_in
from tests.unit.app.web.samples import NEWER, OLDER
from tests.unit.app.web.test_fields import field

LIC = {
    "profile": "cribl", "host": "cdn.cribl.io", "method": "GET", "route": "/telemetry/index.html",
    "field": "query.lic",
}  # fmt: skip


def test_every_version_has_its_line_also_without_the_field() -> None:
    rows = [
        field("a", "1.2", 4), field("a", "1.2", 3, type="integer", shape="timestamp", last_ns=9),
        field("b", "1.10", 10), field("a", "1.9", 10),
    ]  # fmt: skip
    found = by_version(rows, "a")
    assert [(v.version, v.count, v.requests, v.present) for v in found] == [
        ("1.2", 7, 10, "70 %"), ("1.9", 10, 10, "100 %"), ("1.10", 0, 10, "0 %"),
    ]  # fmt: skip
    assert found[0].kinds == ["integer timestamp", "string"]
    assert (found[0].first_ns, found[0].last_ns, found[2].last_ns) == (1, 9, 0)


def test_the_view(visitor: httpx.Client) -> None:
    text = visitor.get("/fields/one", params=LIC | {"field": "query.v"}).text
    for part in (OLDER, NEWER, "History over versions", "Different values", "looked at", "query"):
        assert part in text
    # Each number of captures is that of the captures behind it.
    links = re.findall(r'href="(/captures\?q=[^"]*version[^"]*)">([\d,]+)<', text)
    assert len(links) == 2
    for link, number in links:
        assert visitor.get(html.unescape(link)).text.count("<tr data-id=") == int(number)


def test_examples_are_masked_and_lead_to_a_capture(visitor: httpx.Client) -> None:
    text = visitor.get("/fields/one", params=LIC).text
    assert "masked before it was written" in text
    found = re.search(r'href="(/captures/[^"]+-\d+)">', text)
    assert found and visitor.get(found[1]).status_code == 200


def test_examples_are_few_and_the_most_frequent_first(served: Served) -> None:
    store = served.runtime.store
    for n in range(30):
        store.write(incoming(exchange(n + 1, query=[("a", f"x{n % 15}"), ("b", "y")])))
    (entry,) = [e for e in entries(store.fields(Scope()), []) if e.path == "query.a"]
    found = examples(store, entry, None)
    assert (found.read, len(found.found), found.more) == (30, 10, 5)
    assert {v.count for v in found.found} == {2}
    assert examples(store, entry, ("other",)).found == []


def test_a_hostile_value_stays_text(served: Served) -> None:
    served.runtime.store.write(incoming(exchange(1, query=[("<b>", "<script>x</script>\x1b")])))
    with sign_in(served) as client:
        text = client.get("/fields/one", params=LIC | {"field": "query.<b>"}).text
    assert "&lt;script&gt;x" in text and "<script>x" not in text and "\x1b" not in text


def test_what_is_not_known_is_said(visitor: httpx.Client) -> None:
    for odd in ({"field": "query.none"}, {"profile": "none"}, {"host": "<b>"}):
        answer = visitor.get("/fields/one", params=LIC | odd)
        assert answer.status_code == 404 and "/fields lists" in answer.text


def test_another_namespaces_field_is_not_known(filled: Served) -> None:
    bounded(filled, "edge")
    filled.runtime.store.write(incoming(exchange(40, namespace="edge", query=[("mine", "1")])))
    with sign_in(filled) as client:
        assert client.get("/fields/one", params=LIC).status_code == 404
        text = client.get("/fields/one", params=LIC | {"field": "query.mine"}).text
    assert "not counted" in text and "From the newest 1 capture " in text
