import json
import re
from html import unescape

import httpx
import pytest

from tests.records import BOOT, exchange, incoming, log
from tests.serving import Served
from tests.unit.app.web.conftest import sign_in
from tests.unit.app.web.samples import id_of


def rows(text: str) -> list[int]:
    return [int(id.rpartition("-")[2]) for id in re.findall(r'<tr data-id="([^"]+)"', text)]


def facets(text: str) -> dict[str, dict[str, int]]:
    found = {}
    side = text[text.index('<aside class="facets"') : text.index("</aside>")]
    for title, part in re.findall(r"<h2>([^<]+)</h2>(.*?)</ul>", side, re.DOTALL):
        pairs = re.findall(r"<bdi>([^<]*)</bdi></span> <span>([\d,]+)<", part)
        found[unescape(title)] = {name: int(count) for name, count in pairs}
    return found


def test_newest_first(visitor: httpx.Client) -> None:
    assert rows(visitor.get("/captures").text) == [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("method:POST", [6]),
        ("version>=4.17 -action:observe", [7, 5]),
        ("field:gone", [4, 3, 2, 1]),
        ("outcome:failed", [10, 8]),
        ("since:30m kind:exchange", [6]),
        ('"cribl.cloud"', [6]),
    ],
)
def test_the_filter(visitor: httpx.Client, q: str, expected: list[int]) -> None:
    text = visitor.get("/captures", params={"q": q}).text
    assert rows(text) == expected
    assert f'value="{q.replace(chr(34), "&#34;").replace(">", "&gt;")}"' in text


def test_counts_beside_the_list_are_of_what_the_rest_of_the_filter_finds(
    visitor: httpx.Client,
) -> None:
    found = facets(visitor.get("/captures").text)
    assert found["Host"] == {"cdn.cribl.io": 8, "telemetry.cribl.cloud": 1, "other.example": 1}
    assert found["How it ended"] == {
        "Answered here": 5, "Delivered to the vendor": 1, "Passed through untouched": 1,
        "Failed": 2, "Refused": 1,
    }  # fmt: skip
    found = facets(visitor.get("/captures?q=host:cdn.cribl.io").text)
    assert found["Host"]["telemetry.cribl.cloud"] == 1  # what else could be chosen
    assert found["How it ended"] == {"Answered here": 5, "Failed": 2, "Refused": 1}
    assert "Method" not in found  # one value: there is nothing to choose
    text = visitor.get("/captures?q=field:gone").text
    assert "without regard to field" in text


def test_a_value_is_chosen_and_let_go(visitor: httpx.Client) -> None:
    text = visitor.get("/captures?q=kind:exchange").text
    (link,) = re.findall(r'<a href="([^"]+)"><span><bdi>4.17', text)
    text = visitor.get(unescape(link)).text
    assert rows(text) == [6, 5]
    (link,) = re.findall(r'<a href="([^"]+)" aria-current="true"><span><bdi>4.17', text)
    assert rows(visitor.get(unescape(link)).text) == [6, 5, 4, 3, 2, 1]


def test_pages_follow_by_key_and_show_every_capture_once(served: Served) -> None:
    served.runtime.store.write(incoming(*(exchange(n, time_ns=10**18 + n) for n in range(1, 131))))
    with sign_in(served) as client:
        url, seen = "/captures", []
        while url:
            text = client.get(url).text
            seen += rows(text)
            link = re.search(r'rel="next" href="([^"]+)"', text)
            url = unescape(link[1]) if link else ""
    assert seen == list(range(130, 0, -1))
    assert "These are the oldest." in text


def test_a_page_that_ran_out_says_that_more_may_fit(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.store.sqlite.reader._STRETCH", 10)
    monkeypatch.setattr("app.store.sqlite.reader._FIRST_S", -1)
    served.runtime.store.write(
        incoming(
            exchange(1, query=[("rare", "x")]),
            *(exchange(n, time_ns=2 * 10**18 + n) for n in range(2, 200)),
        )
    )
    with sign_in(served) as client:
        text = client.get("/captures?q=field:rare").text
        assert rows(text) == []
        assert re.search(r"back to <time[^>]+>2033-05-18 03:33:20</time> UTC so far", text)
        assert "Older ones may fit" in text
        (link,) = re.findall(r'rel="next" href="([^"]+)">Search on', text)
        assert rows(client.get(unescape(link)).text) == [1]


@pytest.mark.parametrize(
    ("q", "says"),
    [("hots:a", "no name"), ("status:x", "expected a number"), ('"', "quote without its end")],
)
def test_a_filter_that_makes_no_sense_keeps_the_text(
    visitor: httpx.Client, q: str, says: str
) -> None:
    answer = visitor.get("/captures", params={"q": q})
    assert answer.status_code == 422
    assert says in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert "What a filter may say" in answer.text


def test_a_cursor_of_somewhere_else_is_an_error(visitor: httpx.Client) -> None:
    assert visitor.get("/captures?cursor=oldest.1.1").status_code == 422


def test_one_capture_beside_the_list_and_on_its_own(visitor: httpx.Client) -> None:
    beside = visitor.get(f"/captures?open={id_of(6)}").text
    alone = visitor.get(f"/captures/{id_of(6)}").text
    for text in (beside, alone):
        assert "a[1].b" in text
        assert "replaced by a token" in text
        assert "masked before it was written" in text
        assert "forwarded to the real host as it came" in text
    assert "not stored, or not yours" in visitor.get("/captures?open=abab-1").text


def test_one_as_har(visitor: httpx.Client) -> None:
    answer = visitor.get(f"/captures/{id_of(6)}.har")
    assert answer.headers["content-disposition"] == f'attachment; filename="{id_of(6)}.har"'
    (entry,) = json.loads(answer.content)["log"]["entries"]
    assert entry["request"]["method"] == "POST"
    assert visitor.get(f"/captures/{BOOT}-99.har").status_code == 404


def test_empty_lists_say_what_to_do(visitor: httpx.Client, served: Served) -> None:
    assert "Take a term away" in visitor.get("/captures?q=method:PATCH").text


def test_nothing_was_captured(newcomer: httpx.Client) -> None:
    assert "No capture is stored" in newcomer.get("/captures").text


def test_log_lines_and_messages_have_a_row(served: Served) -> None:
    served.runtime.store.write(incoming(log(1, "disk <b>full</b>")))
    with sign_in(served) as client:
        text = client.get("/captures").text
        assert "disk &lt;b&gt;full" in text
        assert "a line of the sidecar" in client.get(f"/captures/{BOOT}-1").text


def test_the_list_is_light(served: Served) -> None:
    """Everything that a browser fetches for a whole page of it, as it is transferred."""
    path = "/telemetry/" + "x" * 300
    served.runtime.store.write(incoming(*(exchange(n, path=path) for n in range(1, 80))))
    with sign_in(served) as client:
        page = client.get("/captures", headers={"accept-encoding": "identity"})
        size = len(page.content)
        urls = set(re.findall(r'"(/assets/[^"]+)"', page.text))
        assert {url.rpartition("/")[2] for url in urls} >= {"list.js", "complete.js", "page.css"}
        for url in urls:
            size += int(client.get(url).headers["content-length"])
    assert size < 150 << 10
