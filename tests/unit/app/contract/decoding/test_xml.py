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


@given(st.lists(st.text("ab<>&'\" \n]-", min_size=1).filter(str.strip), min_size=1, max_size=4))
def test_only_changed_parts_change(values: list[str]) -> None:
    said = [value.encode() for value in values for _ in (1, 2)]

    def written(said: list[bytes]) -> bytes:
        parts = list(map(_escaped, said))
        pairs = zip(parts[::2], parts[1::2], strict=True)
        return b"<r>%b</r>" % b"".join(b"<v a='%b'>%b</v>" % two for two in pairs)

    data = written(said)
    parts = xml.split(data)
    assert parts is not None
    assert [xml.value(data, part) for part in parts] == said
    assert xml.join(data, parts, said) == data
    changed = xml.join(data, parts, [b"<*'&\">", *said[1:]])
    assert changed.endswith(data[parts[0].end :]) and changed.startswith(data[: parts[0].start])
    again = xml.split(changed)
    assert again is not None and xml.value(changed, again[0]) == b"<*'&\">"


def _escaped(value: bytes) -> bytes:
    for char, name in ((b"&", b"amp"), (b"<", b"lt"), (b">", b"gt"), (b"'", b"#39")):
        value = value.replace(char, b"&" + name + b";")
    return value


def test_entities_of_xml_are_read_and_no_others() -> None:
    assert xml.unescape(b"&#x41;&#66;&lt;&other;&") == b"AB<&other;&"


def test_in_cdata_and_comments_bytes_stand_for_themselves() -> None:
    data = b"<r><![CDATA[a&amp;<b>]]><!--c&lt;--></r>"
    parts = xml.split(data)
    assert parts is not None
    assert [xml.value(data, part) for part in parts] == [b"a&amp;<b>", b"c&lt;"]
    assert xml.join(data, parts, [b"<x>]]>", b"c&lt;"]) == b"<r><![CDATA[<x>]]><!--c&lt;--></r>"


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
