import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.masking.patterns import Searches, as_owned, compiled, either_of, narrowed

SEARCHES = Searches(["lic", "api_key", "a.b[é]+", "cookie"])


@pytest.mark.parametrize(
    ("text", "names", "value"),
    [
        (b"my_lic=1", ("my_lic",), b"1"),
        (b"%26lic%3D1", ("26lic", "lic"), b"1"),
        (b"\\u0026lic=1", ("u0026lic", "lic"), b"1"),
        (b"x-api key=1", ("x-api key",), b"1"),
        (b"--api-key 'a b'", ("--api-key",), b"a b"),
        (b"dbApiKey2 : 1", ("dbApiKey2",), b"1"),
        ("a.b[é]+=1".encode(), ("a.b[é]+",), b"1"),
        (b"cookie: a=1", ("cookie",), b"a=1"),
        (b"Bearer abcdefgh", (), b"abcdefgh"),
        (b"x" * 1000 + b"lic=1", ("x" * 256 + "lic",), b"1"),
    ],
)
def test_a_value_and_the_whole_name_before_it(
    text: bytes, names: tuple[str, ...], value: bytes
) -> None:
    found = SEARCHES.given(text, 0)
    assert found is not None and SEARCHES.maybe(text)
    given, begins = found
    assert tuple(n.lstrip("-") for n in given.names) == tuple(n.lstrip("-") for n in names)
    assert text[given.start : given.end] == value and begins <= given.start


@given(st.text("licLIC=-_ \uff4c\uff29\uff43\uff1d\uffef\ufeff").map(str.encode))
def test_full_width_text_is_read_as_ascii(data: bytes) -> None:
    read, moved = narrowed(data)
    assert read.decode() == "".join(
        chr(ord(c) - 0xFEE0) if "\uff01" <= c <= "\uff5e" else c for c in data.decode()
    )
    assert len(read) + (moved[-1][1] if moved else 0) == len(data)


def test_a_value_as_its_owner_knows_it() -> None:
    assert as_owned(b'a\\"b\\/', "dq") == 'a"b/' and as_owned(b"a%2Fb", "bare") == "a/b"
    assert as_owned(b"a%2Fb", "mv") == "a%2Fb" and as_owned(b"\xff", "bare") == "\\xff"


@pytest.mark.parametrize("unit", [b"lic", b"--lic ", b"api_key ", b"lic[]", b"\xef\xbd\x8c"])
def test_hostile_text_takes_linear_time(unit: bytes) -> None:
    began = time.process_time()
    text = narrowed(unit * (256 * 1024 // len(unit)))[0]
    SEARCHES.maybe(text)
    SEARCHES.given(text, 0)
    assert time.process_time() - began < 5


def test_a_search_takes_the_memory_that_it_needs() -> None:
    """With too little it would find nothing, and say nothing."""
    many = Searches([f"name_{number}_of_a_field" for number in range(3000)])
    assert many.maybe(b"a name-2999-of-a-field=1") and not many.maybe(b"a name_3000_of_a_field=1")
    with pytest.raises(ValueError, match="a pattern of 4"):
        compiled(b"(a|b")
    with pytest.raises(ValueError, match="2 patterns"):
        either_of([b"a", b"b"], b"c")


def test_what_else_stands_in_a_text_is_told_apart() -> None:
    searches = Searches(["lic"], [b"[0-9]{4}"])
    assert searches.maybe(b"lic=a") and not searches.maybe_else(b"lic=a")
    assert searches.maybe(b"a 1234") and searches.maybe_else(b"a 1234")
    assert not searches.maybe(b"a") and not searches.maybe_else(b"a")


@pytest.mark.parametrize("names", [1, 100, 1000])
def test_a_search_has_room_for_its_automaton(names: int) -> None:
    """Without it a search goes on, letter by letter; nothing but its time would tell."""
    search = Searches([f"name_{n}" for n in range(names)])._given
    assert search.options.max_mem >= 300 * search.programsize
