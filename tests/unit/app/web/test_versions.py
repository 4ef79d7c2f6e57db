import html
import re

import httpx
import pytest

from app.contract.record import Workload
from tests.records import exchange, incoming
from tests.serving import Served
from tests.unit.app.web.conftest import bounded, sign_in
from tests.unit.app.web.samples import NEWER, OLDER


def test_the_last_two_by_default(visitor: httpx.Client) -> None:
    text = visitor.get("/versions").text
    assert f'<option value="{OLDER}" selected>' in text
    assert f'<option value="{NEWER}" selected>' in text
    for part in ("query.gpu", "query.gone", "(the whole endpoint)", "(the whole host)", "Volume"):
        assert part in text
    turned = visitor.get("/versions", params={"one": NEWER, "other": OLDER}).text
    assert turned.index("query.gone") and turned != text


def test_a_version_that_is_not_known_is_said(visitor: httpx.Client) -> None:
    for one, said in (("9.9.9", "no field of version &#39;9.9.9&#39;"), ("time:x..", "not a time")):
        answer = visitor.get("/versions", params={"one": one})
        assert answer.status_code == 422
        assert said in answer.text


def test_images_can_be_chosen(filled: Served) -> None:
    workload = Workload(namespace="logs", pod="new-0", image="r.test/cribl:4.18")
    filled.runtime.store.write(incoming(exchange(41, workload=workload, query=[("fresh", "1")])))
    with sign_in(filled) as client:
        assert '<option value="image:r.test/cribl:4.18">' in client.get("/versions").text
        text = client.get(f"/versions?one={OLDER}&other=image:r.test/cribl:4.18").text
        assert "query.fresh" in text and "read of 1 capture" in text


def test_two_times_make_one_address(visitor: httpx.Client) -> None:
    given = {"profile": "cribl", "one_since": " 6h", "one_until": "3h", "other_since": "3h"}
    answer = visitor.get("/versions/times", params=given)
    assert answer.status_code == 303
    url = answer.headers["location"]
    assert url == "/versions?profile=cribl&one=time%3A6h..3h&other=time%3A3h.."
    text = visitor.get(url).text
    assert "query.gpu" in text and "by whole hours" in text
    assert 'name="one_since" value="6h"' in text


def test_a_difference_leads_to_its_captures(visitor: httpx.Client) -> None:
    text = visitor.get("/versions").text
    found = re.search(r'href="(/captures[^"]+)"><bdi>query.gone<', text)
    assert found
    rows = visitor.get(html.unescape(found[1])).text
    assert rows.count("<tr data-id") == 4


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
        assert "No version is known" in client.get("/versions").text
        assert client.get("/versions.md").status_code == 404
        served.runtime.store.write(incoming(exchange(1)))
        assert "Only one version is known" in client.get("/versions").text


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
