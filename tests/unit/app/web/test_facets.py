"""The counts beside the list, and how a live list gets them anew."""

import re
from html import unescape

import httpx

from tests.serving import Served
from tests.unit.app.web.conftest import bounded, sign_in


def side(text: str) -> str:
    found = re.search(r'<div id="facets">(.*?)</div>', text, re.DOTALL)
    assert found
    return "".join(found[1].split())


def test_a_live_list_gets_what_the_page_has(visitor: httpx.Client) -> None:
    for q in ("", "host:cdn.cribl.io", "field:os pod:worker-1", "since:2h", "outcome:passed"):
        counted = visitor.get("/captures/counts", params={"q": q})
        assert counted.status_code == 200
        assert "default-src 'none'" in counted.headers["content-security-policy"]
        assert "".join(counted.text.split()) == side(visitor.get("/captures", params={"q": q}).text)


def test_names_that_are_not_counted_by_are_told(visitor: httpx.Client) -> None:
    said = visitor.get("/captures/counts", params={"q": "field:os pod:worker-1 pod:w*"}).text
    assert "without regard to field, pod." in said


def test_who_may_read_a_namespace_gets_no_counts(filled: Served) -> None:
    bounded(filled, "edge")
    with sign_in(filled) as client:
        said = unescape(client.get("/captures/counts").text)
    assert "<a" not in said and "Counts are for those who may read all captures." in said


def test_a_filter_that_is_wrong_is_refused(visitor: httpx.Client) -> None:
    assert visitor.get("/captures/counts", params={"q": "hots:a"}).status_code == 422


def test_a_value_is_chosen_within_the_time_as_it_was_written(visitor: httpx.Client) -> None:
    said = unescape(visitor.get("/captures/counts", params={"q": "since:2h method:GET"}).text)
    assert "q=host%3Acdn.cribl.io+" not in said
    assert "/captures?q=method%3AGET+outcome%3Afailed+since%3A2h" in said
    assert 'href="/captures?q=since%3A2h" aria-current="true"' in said
