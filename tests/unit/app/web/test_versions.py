import httpx
import pytest

from app.store import TrafficRow
from app.store.facts import HOUR
from app.web.versions import Difference, compare, versions_of
from tests.records import exchange, incoming
from tests.serving import Served
from tests.unit.app.web.conftest import bounded, sign_in
from tests.unit.app.web.samples import NEWER, OLDER
from tests.unit.app.web.test_fields import field


def test_every_kind_of_difference() -> None:
    rows = [
        field("same", "1", 10), field("same", "2", 10),
        field("nearly", "1", 1000, requests=1000), field("nearly", "2", 960, requests=1000),
        field("gone", "1", 5), field("added", "2", 10),
        field("typed", "1", 10), field("typed", "2", 10, type="integer"),
        field("shaped", "1", 10), field("shaped", "2", 10, shape="guid"),
        field("rarer", "1", 10), field("rarer", "2", 2),
        field("old", "1", 1, route="/old"), field("new", "2", 1, route="/new"),
        field("new2", "2", 1, route="/new"), field("same", "1", 10, profile="another"),
    ]  # fmt: skip
    found = compare(rows, [], "p", "1", "2")
    assert found.same == 2
    assert [(d.kind, d.endpoint, d.what, d.before, d.after) for d in found.differences] == [
        ("added", "GET /new", "(the whole endpoint)", "-", "2 fields"),
        ("gone", "GET /old", "(the whole endpoint)", "1 field", "-"),
        ("added", "GET /r", "added", "-", "string, in 100 % of requests"),
        ("gone", "GET /r", "gone", "string, in 50 % of requests", "-"),
        ("changed", "GET /r", "rarer", "in 100 % of requests", "in 20 % of requests"),
        ("changed", "GET /r", "shaped", "string, in 100 % of requests",
         "string (guid), in 100 % of requests"),
        ("changed", "GET /r", "typed", "string, in 100 % of requests",
         "integer, in 100 % of requests"),
    ]  # fmt: skip
    back = compare(rows, [], "p", "2", "1")
    turned = {"added": "gone", "gone": "added", "changed": "changed"}
    mirrored = [Difference(turned[d.kind], *d[1:4], d.after, d.before) for d in back.differences]
    assert sorted(mirrored) == sorted(found.differences)


def test_volume_and_pace() -> None:
    def row(version: str, count: int, hours: int) -> TrafficRow:
        return TrafficRow(
            at_ns=0, by=("h", "GET", "/r", version), count=count, bytes_out=count * 30,
            first_ns=0, last_ns=hours * HOUR,
        )  # fmt: skip

    (found,) = compare([], [row("1", 121, 2), row("2", 1, 0)], "p", "1", "2").volumes
    assert (found.counts, found.sizes, found.paces) == ((121, 1), (30, 30), (60.0, 0.0))
    assert compare([], [row("3", 1, 0)], "p", "1", "2").volumes == []


def test_versions_go_by_their_number() -> None:
    rows = [field("a", v, 1) for v in ("1.10", "1.9", "", "1.9-b")]
    assert versions_of(rows, "p") == ["1.9", "1.9-b", "1.10"]


def test_the_last_two_by_default(visitor: httpx.Client) -> None:
    text = visitor.get("/versions").text
    assert f'<option value="{OLDER}" selected>' in text
    assert f'<option value="{NEWER}" selected>' in text
    for part in ("query.gpu", "query.gone", "(the whole endpoint)", "Volume"):
        assert part in text
    turned = visitor.get("/versions", params={"one": NEWER, "other": OLDER}).text
    assert turned.index("query.gone") and turned != text


def test_a_version_that_is_not_known_is_said(visitor: httpx.Client) -> None:
    answer = visitor.get("/versions?one=9.9.9")
    assert answer.status_code == 404
    assert "No field of version &#39;9.9.9&#39;" in answer.text


def test_as_markdown_for_a_ticket(visitor: httpx.Client) -> None:
    answer = visitor.get("/versions.md")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text.startswith("## cribl: from 4.16.1-20904e45 to 4.17.0-1f2e3d4c\n\n| change |")
    assert "| added | cdn.cribl.io | GET /telemetry/index.html | query.gpu |" in answer.text


def test_hostile_names_stay_inert_in_markdown(served: Served) -> None:
    for n, version in enumerate(("1.0|[x](//e.test)", "2.0<script>"), 1):
        record = exchange(n, product_version=version, query=[("v", version), (f"<b>{n}|`", "x")])
        served.runtime.store.write(incoming(record))
    with sign_in(served) as client:
        text = client.get("/versions.md").text
    assert "<script>" not in text and "<b>" not in text and "[x](" not in text


def test_one_version_and_none(served: Served) -> None:
    with sign_in(served) as client:
        assert "No version was seen yet" in client.get("/versions").text
        assert client.get("/versions.md").status_code == 404
        served.runtime.store.write(incoming(exchange(1)))
        assert "Only one version was seen so far" in client.get("/versions").text


@pytest.mark.parametrize("address", ["/versions", "/versions.md"])
def test_who_may_read_a_namespace_compares_what_it_sent(filled: Served, address: str) -> None:
    bounded(filled, "edge")
    records = [
        exchange(40, namespace="edge", product_version="1.0", query=[("mine", "1")]),
        exchange(41, namespace="edge", product_version="1.1", query=[("other", "1")]),
    ]
    filled.runtime.store.write(incoming(*records))
    with sign_in(filled) as client:
        text = client.get(address).text
    assert "query.mine" in text
    assert "query.gpu" not in text and OLDER not in text
