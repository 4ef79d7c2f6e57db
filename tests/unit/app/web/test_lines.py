from app.contract.record import encode
from app.web.lines import arrived, drawn, row
from tests.records import BOOT, T0, exchange, log, spliced


def test_a_capture_as_a_row() -> None:
    found = row(encode(exchange(7, query=[("a", "1"), ("b", "2")])), f"{T0}.3")
    assert (found.word, found.place, found.sender) == ("answered", f"{T0}.3", "logs/leader-0")
    assert found.what == "cdn.cribl.io/telemetry/index.html?a=1&b=2"
    assert row(encode(spliced(8)), "1.1").what == "other.example"
    assert row(encode(log(9, "disk full")), "1.1").what == "WARNING disk full"


def test_the_place_of_what_arrived_has_its_time() -> None:
    assert arrived(encode(exchange(7)), "0.42").place == f"{T0}.42"


def test_drawn_rows_hold_nothing_that_acts() -> None:
    hostile = '"><script>1</script>{{ 7*7 }}'
    html = drawn([row(encode(exchange(7, pod=hostile, path="/" + hostile)), "5.1")], hostile, 9)
    assert html.count("<tr ") == 1
    assert f'data-id="{BOOT}-7"' in html and 'data-place="5.1"' in html
    assert 'aria-rowindex="11"' in html  # the head is the first
    assert "<script>" not in html and "49" not in html
    assert "aria-rowindex" not in drawn([row(encode(exchange(7)), "5.1")], "")
