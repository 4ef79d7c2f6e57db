import re

import httpx

from app.contract.account import Account
from app.store import Told
from tests.records import BOOT, exchange, incoming
from tests.serving import Served
from tests.unit.app.web.conftest import sign_in


def said(text: str) -> str:
    """The lead sentence, as it is read."""
    lead = re.search(r'<p class="lead">(.*?)</p>', text, re.DOTALL)
    assert lead
    return " ".join(re.sub(r"<[^>]+>", "", lead[1]).split())


def test_one_sentence_first(visitor: httpx.Client) -> None:
    assert said(visitor.get("/").text) == (
        "1 product sent 8 requests to 2 hosts (last 24 hours). 3 workloads were seen. "
        "1 field is new in a newer version. No record is missing."
    )


def test_what_became_of_it(visitor: httpx.Client) -> None:
    text = visitor.get("/").text
    tallies = re.findall(r'</i>([^<]+)</span> <span class="big">([\d,]+)<', text)
    assert tallies == [
        ("Answered here", "5"), ("Delivered to the vendor", "2"), ("Refused", "1"), ("Failed", "2"),
    ]  # fmt: skip
    assert "the client did not accept the sidecar&#39;s certificate, and sent nothing" in text


def test_numbers_lead_to_the_captures_behind_them(visitor: httpx.Client) -> None:
    text = visitor.get("/").text
    links = re.findall(r'href="(/captures\?q=[^"]+)"><span class="what">.*?"big">([\d,]+)<', text)
    assert len(links) == 4
    for link, number in links:
        rows = visitor.get(link.replace("&amp;", "&")).text.count("<tr data-id=")
        assert rows == int(number)


def test_missing_records_are_said_and_leave_cells_open(filled: Served) -> None:
    account = Account(boot=BOOT, numbered=30, lost={}, ended=False)
    filled.runtime.store.write(incoming(exchange(30)), [Told(account, "logs", "leader-0")])
    with sign_in(filled) as client:
        text = client.get("/?since=all").text
    assert "missing" in said(text)
    assert "not known: records of it are missing" in text.split("<tbody>")[-1]


def test_a_period_without_captures_says_where_they_are(filled: Served) -> None:
    with sign_in(filled) as client:
        text = client.get("/?since=2020-01-01&until=2020-01-02").text
    assert "Nothing was recorded in this period" in text
    assert "/?since=all" in text


def test_the_first_visit_says_what_to_do(newcomer: httpx.Client) -> None:
    text = newcomer.get("/").text
    assert "Nothing was ever recorded here" in text
    assert "telemock run -- COMMAND" in text


def test_the_first_view_is_light(visitor: httpx.Client) -> None:
    """Everything that a browser fetches for it, as it is transferred."""
    page = visitor.get("/", headers={"accept-encoding": "identity"})
    size = len(page.content)
    for url in set(re.findall(r'"(/assets/[^"]+)"', page.text)):
        size += int(visitor.get(url).headers["content-length"])
    assert size < 150 << 10
