"""app/contract/decoding/xml.py: texts and attributes by path, and nothing expanded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.decoding import xml
from tests.unit.app.contract.decoding.timing import linear


def read(data: bytes) -> list[tuple[str, bytes]]:
    parts = xml.split(data)
    assert parts is not None
    return [(p.name, data[p.start : p.end]) for p in parts]


def test_elements_and_attributes_are_named_by_their_path() -> None:
    data = (
        b"<?xml version='1.0'?><!-- seen --><r xmlns:a=\"u\">\n <a:lic id='1' k = \"2>\">x &amp; y"
        b"</a:lic><e/><e f='3' /><b>t<![CDATA[<s>]]>u</b></r>\n"
    )
    assert read(data) == [
        ("#comment", b"xml version='1.0'"),
        ("#comment", b" seen "),
        ("r.@xmlns:a", b"u"),
        ("r.a:lic.@id", b"1"),
        ("r.a:lic.@k", b"2>"),
        ("r.a:lic", b"x &amp; y"),
        ("r.e.@f", b"3"),
        ("r.b", b"t"),
        ("r.b", b"<s>"),
        ("r.b", b"u"),
    ]


@pytest.mark.parametrize(
    ("data", "last"),
    [
        (b"<a><lic>sec", ("a.lic", b"sec")),
        (b"<a lic='sec", ("a.@lic", b"sec")),
        (b"<a><![CDATA[sec", ("a", b"sec")),
        (b"<a>1</b>sec</a>", ("a", b"sec")),  # an end that nothing began
    ],
)
def test_what_was_cut_goes_to_the_end(data: bytes, last: tuple[str, bytes]) -> None:
    assert read(data)[-1] == last


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{}", b"<", b"< a>", b"a<b>", b"<1>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        b"<a>" * 100,
        b"".join(b"<%b>" % (b"n" * 200) for _ in range(9)) + b"x",
    ],
)  # fmt: skip
def test_other_bytes_entities_and_depth_are_refused(data: bytes) -> None:
    assert xml.split(data) is None


@given(st.binary(max_size=30))
def test_a_value_is_read_as_it_was_written(value: bytes) -> None:
    assert xml.unescape(xml.escape(value)) == value
    assert xml.unescape(b"&#x41;&#66;&other;&") == b"AB&other;&"


@given(st.lists(st.text("ab<>&'\" \n", min_size=1).filter(str.strip), min_size=1, max_size=4))
def test_only_changed_parts_change(values: list[str]) -> None:
    written = [xml.escape(value.encode()) for value in values]
    data = b"<r>%b</r>" % b"".join(b"<v a='%b'>%b</v>" % (w, w) for w in written)
    parts = xml.split(data)
    assert parts is not None
    found = [data[p.start : p.end] for p in parts]
    assert found == [w for each in written for w in (each, each)]
    assert xml.join(data, parts, found) == data
    assert xml.join(data, parts, [b"***", *found[1:]]) == data.replace(
        b"'%b'" % written[0], b"'***'", 1
    )


@pytest.mark.parametrize(
    "filler",
    [b"<a>", b"<a ", b'<a "', b"<!--", b"<![CDATA[", b"<?", b"<!", b"</a>", b"<a b='c'/>", b" x=",
     b"<a b=", b"&", b"<a>&#1;</a>", b"a='"],
)  # fmt: skip
def test_hostile_bytes_take_linear_time(filler: bytes) -> None:
    assert linear(xml.split, lambda n: b"<r " + filler * n, 15_000)
    assert linear(xml.split, lambda n: b"<r>" + filler * n, 15_000)


def test_a_million_elements_are_refused() -> None:
    assert xml.split(b"<r>" + b"<a>1</a>" * 1_000_000) is None
