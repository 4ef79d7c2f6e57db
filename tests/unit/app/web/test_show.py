import pytest

from app.store.filter import read
from app.web import show


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
