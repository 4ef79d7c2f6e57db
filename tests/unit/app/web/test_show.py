import re
from html import unescape

import httpx
import pytest

from app.store.filter import read
from app.web import show
from app.web.page import VIEWS

FIELD = (
    "/fields/one?profile=cribl&host=cdn.cribl.io&method=GET&route=/telemetry/index.html"
    "&field=query.v"
)
ADDRESSES = [*VIEWS, "/?since=7d", "/report?since=all", FIELD]
# Columns of numbers that count no captures.
OTHERWISE = {
    "Status", "Values", "Hosts", "bytes", "bytes out", "bytes in", "workloads", "All", "Captures",
    "Bytes a request before", "Requests an hour before", "after", "Of", "sidecars",
    "requests", "records", "made", "stored", "missing",  # of the inventory, and of the ledger
}  # fmt: skip
EVENTS, INBOX, CONNECTIONS = "event", "changes that are", "who"  # tables that count other things
_LINK = re.compile(r'<a [^>]*href="(/captures\?[^"]*)"[^>]*>(.*?)</a>', re.DOTALL)
_CELL = re.compile(r"<t[dh][^>]*>(.*?)</t[dh]>", re.DOTALL)


@pytest.mark.parametrize(
    ("bytes", "said"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 20, "5.0 MiB"), (200 << 30, "200 GiB"),
     (9 << 50, "9216 TiB")],
)  # fmt: skip
def test_sizes(bytes: int, said: str) -> None:
    assert show.size(bytes) == said


def test_times_carry_the_exact_one() -> None:
    assert show.moment(0) == ('<time datetime="1970-01-01T00:00:00Z">1970-01-01 00:00:00</time>')
    assert show.stamp(1_790_000_000 * 10**9) == "2026-09-21T14:13"
    assert "<script>" not in show.moment('"><script>')


def test_code_in_a_sentence() -> None:
    said = show.coded("run `telemock <b>` or <i>`x")
    assert said == "run <code>telemock &lt;b&gt;</code> or &lt;i&gt;<code>x</code>"


def test_words() -> None:
    assert show.number(12431) == "12,431"
    assert show.plural(1, "host") == "1 host"
    assert show.plural(1200, "field is", "fields are") == "1,200 fields are"


def test_an_address_of_captures_is_read_back_as_it_was_meant() -> None:
    from urllib.parse import parse_qs, urlsplit

    url = show.seek("since:24h", host='a"b, c\\', version="")
    (q,) = parse_qs(urlsplit(url).query)["q"]
    (term,) = read(q).terms
    assert (term.name, term.values) == ("host", ('a"b, c\\',))
    assert show.seek("") == "/captures"


def tables(html: str) -> list[tuple[list[str], list[list[str]]]]:
    """Headings and rows, as they are read, without what is a link."""

    def cells(row: str) -> list[str]:
        plain = (re.sub(r"<a .*?</a>", "", cell, flags=re.DOTALL) for cell in _CELL.findall(row))
        return [re.sub(r"<[^>]+>", "", cell).strip() for cell in plain]

    found = []
    for table in re.findall(r"<table.*?</table>", html, re.DOTALL):
        head, _, body = table.partition("</thead>")
        found.append((cells(head), [cells(row) for row in body.split("</tr>")[:-1]]))
    return found


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_number_leads_to_so_many_captures(visitor: httpx.Client, address: str) -> None:
    for link, text in _LINK.findall(visitor.get(address).text):
        number = re.fullmatch(r"([\d,]+)( [a-z]+)?", re.sub(r"<[^>]+>", "", text).strip())
        if number:
            listed = visitor.get(unescape(link)).text
            assert listed.count("<tr data-id=") == int(number[1]), (unescape(link), number[0])


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_count_of_captures_is_a_link(visitor: httpx.Client, address: str) -> None:
    for head, rows in tables(visitor.get(address).text):
        for row in rows if not {EVENTS, INBOX, CONNECTIONS} & {*head} else ():
            for name, cell in zip(head, row, strict=False):
                assert not re.fullmatch(r"[1-9][\d,]*", cell) or name in OTHERWISE, (name, row)
