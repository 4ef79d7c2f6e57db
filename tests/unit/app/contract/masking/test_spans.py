import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.masking.spans import (
    Edit,
    applied,
    end_of,
    next_,
    numbers,
    outside,
    plain_member,
    quoted,
    requoted,
    scalars_changed,
    string,
)

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(ANY, st.sampled_from([None, 1]), st.booleans())
def test_where_a_value_ends(document: Any, indent: int | None, ascii_: bool) -> None:
    written = json.dumps(document, indent=indent, ensure_ascii=ascii_)
    assert end_of(written + ",1", 0) == len(written)
    if isinstance(document, str):
        assert string(written + "]", 0) == (document, len(written))


@given(st.dictionaries(st.text(), st.none() | st.integers() | st.text(), min_size=1))
def test_a_plain_member_is_read_at_once(document: dict[str, Any]) -> None:
    written = json.dumps(document, separators=(" ,\n", "\t: "))
    name, value = next(iter(document.items()))
    member = plain_member(written, 1)
    if "\\" in json.dumps(name) + json.dumps(value):
        assert member is None
        return
    assert member is not None
    key, text, other = member.groups()
    assert (key, json.loads(other or f'"{text}"')) == (name, value)
    assert written[member.end()] == ("}" if len(document) == 1 else '"')


def test_no_plain_member() -> None:
    for written in ('"a":{}', '"a":[1]', '"a\\n":1', '"a":"\\n"'):
        assert plain_member(written, 0) is None


@pytest.mark.parametrize(
    ("written", "found"),
    [('1,2 , true,\n"a"]', (3, 12)), ("1]", (1, 1)), ("1, 2 ]", (2, 5)), ("1,[2]]", (1, 2))],
)
def test_numbers_in_a_row(written: str, found: tuple[int, int]) -> None:
    assert numbers(written, 0) == found
    assert next_("1 , 2", 1) == 4 and next_("1 ]", 1) == 2


def test_edits() -> None:
    edits = [Edit(4, 5, "b"), Edit(0, 2, "a")]
    assert applied("012345", edits) == "a23b5" and applied("012345", []) == "012345"
    assert outside(edits, [(3, 5), (8, 9)]) == [Edit(0, 2, "a")]
    assert outside(edits, []) == edits == outside(edits, [(2, 4), (5, 9)])


@pytest.mark.parametrize(
    ("raw", "new", "written"),
    [
        ('"a b"', "a ***", '"a ***"'),
        ('"\\/a\\u00e9 b \\u0041\\n"', "/a\u00e9 *** A\n", '"\\/a\\u00e9 *** \\u0041\\n"'),
        ('"\\ud83d\\ude00 b \\ud83d\\ude00"', "\U0001f600 \n \U0001f600",
         '"\\ud83d\\ude00 \\n \\ud83d\\ude00"'),
        ('"\\u0041"', "***", '"***"'),
        ('"aa\\naa"', "aa", '"aa"'),
        ('"\\ud83d b"', "\ud83d c", '"\\ud83d c"'),
    ],
)  # fmt: skip
def test_the_rest_of_a_string_stays_as_it_is_written(raw: str, new: str, written: str) -> None:
    assert requoted(new, json.loads(raw), raw) == written


@given(st.text(), st.text(), st.booleans())
def test_any_string_can_be_changed(old: str, new: str, ascii_: bool) -> None:
    raw = json.dumps(old, ensure_ascii=ascii_)
    assert json.loads(requoted(new, old, raw)) == new == json.loads(quoted(new))


def test_scalars_are_changed_and_nothing_else() -> None:
    written = '{ "a b":1.10, "c\\u0020b": [1E2,-0, "\\/", null],\n"b":"b" }'

    def change(value: str) -> str:
        return value.replace("b", "***").replace("1E2", "***")

    assert scalars_changed(written, change) == (
        '{ "a ***":1.10, "c\\u0020***": ["***",-0, "\\/", null],\n"***":"***" }'
    )


@pytest.mark.parametrize("unit", ["\\\\", '\\"', " ", "1,", '"",', "[],", '{"":1} ,'])
@pytest.mark.parametrize("inside", ['"{}"', "[{}1]"])
def test_long_text_takes_linear_time(unit: str, inside: str) -> None:
    if inside[0] == '"' and '"' in unit and "\\" not in unit:
        return
    if inside[0] == "[" and "\\" in unit:
        return
    began = time.process_time()
    written = '{"a":' + inside.replace("{}", unit * (256 * 1024 // len(unit))) + "}"
    assert end_of(written, 0) == len(written) == 1 + end_of(written, 5)
    plain_member(written, 1)
    numbers(written, 6)
    scalars_changed(written, lambda value: value)
    assert time.process_time() - began < 5
