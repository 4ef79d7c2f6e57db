"""Cells are text or numbers, whatever was captured."""

import pytest

from app.contract.record import Body, Message, encode
from app.report.rows import COLUMNS, cell, row
from tests.records import exchange, log
from tests.unit.app.report.formulas import FORMULAS

# What a terminal would act on in them.
ESCAPED = {"\r=1": "\\r=1", "\x0b=1": "\\x0b=1", " \u200e-1": " \\u200e-1"}


def columns(line: bytes) -> dict[str, object]:
    return dict(zip(COLUMNS, row(line), strict=True))


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_are_neutralised(text: str) -> None:
    assert cell(text) == "'" + ESCAPED.get(text, text)


def test_other_cells_stay_as_they_are_and_long_ones_are_cut() -> None:
    assert cell('a=b,"c"\nd\te\r\nf') == 'a=b,"c"\nd\te\r\nf'
    assert cell(0.5) == "0.5"
    assert cell("a\0b") == "a\\x00b"
    assert len(cell("x" * 100_000)) < 32_767
    assert len(cell("\x1b" * 30_000)) < 32_767


def test_no_terminal_acts_on_a_cell() -> None:
    evil = "\x1b]0;owned\x07\x9b31m\u202e\x7f\x85\u2028\u2066 a\rb"
    assert cell(evil) == (r"\x1b]0;owned\x07\x9b31m\u202e\x7f\x85\u2028\u2066 a\rb")
    assert cell("日本　語 \u200d") == "日本　語 \u200d"


def test_request_and_response_are_there_with_their_headers() -> None:
    sent = exchange(1, headers=[("Content-Type", "text/x"), ("X-A", "1")], body=Body(text="a"))
    found = columns(encode(sent))
    assert found["request_headers"] == "Content-Type: text/x\nX-A: 1"
    assert (found["request_type"], found["request_body"]) == ("text/x", "a")
    assert found["response_headers"] == "content-type: text/html"
    assert found["response_type"] == "text/html"
    assert found["response_body"] == "cribl /// living the stream!\n"
    assert found["request_body_note"] == found["response_body_note"] == ""


def test_messages_and_log_lines_say_what_they_hold() -> None:
    assert columns(encode(log(1, "disk is slow")))["detail"] == "disk is slow"
    for sender, column in (("client", "request_body"), ("server", "response_body")):
        message = Message(of="x", sender=sender, body=Body(text="hi", size=2))  # type: ignore[arg-type]
        one = exchange(1, kind="message", response=None, message=message)
        one.request = None
        assert columns(encode(one))[column] == "hi"


def test_events_are_counted_and_named() -> None:
    text = '{"batch":[{"event":"start"},{"event":"stop"},{"event":"start"}]}'
    found = columns(encode(exchange(1, body=Body(text=text, size=len(text)))))
    assert (found["events"], found["event_names"]) == (3, "start\nstop")
    assert columns(encode(exchange(1)))["events"] == 0
