"""One JSON object a line, in printable ASCII."""

import json

import pytest

from app.otel.lines import ascii_json, iso, json_line


def test_a_line_has_always_the_same_keys() -> None:
    line = json_line(1_000_000, "INFO", "app.x", "said", ("t", "s"), pod="p", namespace="")
    assert json.loads(line) == {
        "timestamp": "1970-01-01T00:00:00.001000Z",
        "level": "INFO",
        "logger": "app.x",
        "message": "said",
        "trace_id": "t",
        "span_id": "s",
        "pod": "p",
    }


def test_it_steers_no_terminal() -> None:
    hostile = "\x1b[2J\r\n\x7f\x9b\u202e\u2028é"
    data = ascii_json({"m": hostile})
    assert all(32 <= b < 127 for b in data)
    assert json.loads(data) == {"m": hostile}


@pytest.mark.parametrize("time_ns", [-(2**63), 2**63 - 1])
def test_clock_may_be_anywhere(time_ns: int) -> None:
    assert iso(time_ns).endswith("Z")
