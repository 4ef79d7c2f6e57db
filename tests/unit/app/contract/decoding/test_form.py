"""Forms: their fields, where the values stand, and what is called a form unasked."""

from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.decoding.form import is_form, plain, split


@given(st.lists(st.tuples(st.text(min_size=1), st.text()), min_size=1))
def test_fields_are_those_that_were_written(fields: list[tuple[str, str]]) -> None:
    fields = [(n.encode("utf-8", "replace").decode(), v.encode("utf-8", "replace").decode())
              for n, v in fields]  # fmt: skip
    data = urlencode(fields).encode()
    found = split(data)
    assert found is not None
    assert [(n, plain(data[start:end])) for n, start, end in found] == fields
    assert [(n, plain(data[s:e])) for n, s, e in found] == parse_qsl(
        data.decode(), keep_blank_values=True
    )


def test_odd_fields() -> None:
    assert split(b"no field") is None
    assert split(b"a=1&&b&=2") == [("a", 2, 3), ("b", 6, 6), ("", 8, 9)]
    assert split(b"a=1;b=2", b";") == [("a", 2, 3), ("b", 6, 7)]
    assert plain(b"a+b%20c%") == "a b c%"
    assert plain(b"%fc") == "ü"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("a=1&b=x", True),
        ("user%5Bname%5D=x&a[b]=", True),
        ("a=1", False),
        ("x = y & z = 1", False),
        ("if a==b&c: pass", False),
        ("<a href='x=1&y=2'>", False),
        ('{"a":"b=1&c=2"}', False),
        ("a=1&" * 50_000 + "!", False),
    ],
)
def test_what_is_a_form_where_nothing_says_so(written: str, expected: bool) -> None:
    assert is_form(written) is expected
