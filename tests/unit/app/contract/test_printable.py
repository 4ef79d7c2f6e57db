import json

from hypothesis import given
from hypothesis import strategies as st

from app.contract.printable import ascii_json, one_line, place

SECRET = "canary-lic-0123456789"
EVIL = '\x1b[2J\x7f\x85\u009b31m\u2028\u2029\u202e\u200f\ufeff\U000e0041é\U0001f600"\\\n\r\t\0'


@given(st.text())
def test_json_is_printable_ascii_and_says_the_same(text: str) -> None:
    line = ascii_json(json.dumps({"a": text}, ensure_ascii=False).encode())
    assert json.loads(line) == {"a": text}
    assert all(0x20 <= byte <= 0x7E for byte in line)


def test_json_of_hostile_text_stays_one_line() -> None:
    line = ascii_json(json.dumps(EVIL, ensure_ascii=False).encode())
    assert json.loads(line) == EVIL
    assert len(line.decode().splitlines()) == 1 and b"\x1b" not in line and b"\x7f" not in line


def test_text_keeps_letters_and_loses_controls() -> None:
    line = one_line(EVIL)
    assert len(line.splitlines()) == 1 and line.isprintable()
    assert r"\x1b[2J" in line and r"\u202e" in line and r"\n" in line and "é\U0001f600" in line


def test_text_that_is_ascii_says_what_was_there() -> None:
    line = one_line(EVIL, ascii=True)
    assert line.isascii() and line.isprintable()
    assert r"\xe9\U0001f600" in line
    assert one_line("plain", ascii=True) == "plain"


def test_place_names_the_line_and_not_the_text() -> None:
    try:
        raise ValueError(SECRET)
    except ValueError as e:
        told = place(e)
    assert told.startswith("ValueError at ") and "test_printable.py:" in told
    assert SECRET not in told
    assert place(KeyError(SECRET)) == "KeyError"
