"""app/contract/decoding/csv.py: cells by the name of their column."""

import csv as standard
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.decoding import csv
from tests.unit.app.contract.decoding.timing import linear


def read(data: bytes) -> list[tuple[str, bytes]]:
    parts = csv.split(data)
    assert parts is not None
    return [(p.name, data[p.start : p.end]) for p in parts]


@pytest.mark.parametrize("separator", ",;\t|")
@pytest.mark.parametrize("line", ["\n", "\r\n", "\r"])
def test_cells_are_named_by_their_column(separator: str, line: str) -> None:
    data = line.join(['a,"lic no"', '1,"x ""y""\nz"', ",2", "", "3,"]).replace(",", separator)
    expected = [("a", b"1"), ("lic no", b'x ""y""\nz'), ("a", b""), ("lic no", b"2")]
    expected += [("a", b"3")]
    assert read(data.encode()) == expected  # an empty cell at the very end says nothing
    assert read((data + line).encode()) == [*expected, ("lic no", b"")]


def test_what_was_cut_goes_to_the_end() -> None:
    assert read(b"a,lic,b\n1,sec")[-1] == ("lic", b"sec")
    assert read(b'a,lic,b\n1,"sec')[-1] == ("lic", b"sec")


@pytest.mark.parametrize(
    "data",
    [
        b"", b"a,b", b"a,b\n", b"a\n1\n", b"a,b\n1\n2,3", b"a,b\n1,2,3\n", b"1,2\n3,4\n",
        b"a,a\n1,2\n", b"a,\n1,2\n", b"{a,b\n1,2", b'a,"b"x\n1,2\n', b"a=1,b=2\n1,2\n",
        b"Hello, world\nhow are you, this is, text\n",
    ],
)  # fmt: skip
def test_other_text_is_none(data: bytes) -> None:
    assert csv.split(data) is None


_CELL = st.text(st.characters(exclude_characters="\r\x00", exclude_categories=["Cs"]), max_size=8)


@given(st.lists(st.tuples(_CELL, _CELL), min_size=1, max_size=4))
def test_only_changed_cells_change(rows: list[tuple[str, str]]) -> None:
    def written(rows: list[tuple[str, str]]) -> bytes:
        out = io.StringIO()
        standard.writer(out, quoting=standard.QUOTE_ALL).writerows([("n", "lic"), *rows])
        return out.getvalue().encode()

    data = written(rows)
    parts = csv.split(data)
    assert parts is not None
    values = [csv.value(data, p) for p in parts]
    assert values == [cell.encode() for row in rows for cell in row]
    assert csv.join(data, parts, values) == data
    assert csv.join(data, parts, [b'"***"', *values[1:]]) == written(
        [('"***"', rows[0][1]), *rows[1:]]
    )


def test_a_cell_is_quoted_where_it_needs_to_be() -> None:
    data = b"a,b\n1,2\n"
    parts = csv.split(data)
    assert parts is not None
    assert csv.join(data, parts, [b"x,y", b"2"]) == b'a,b\n"x,y",2\n'


@pytest.mark.parametrize(
    "filler", [b",", b'"', b'""', b'",', b"\n", b"\r", b"1,2\n", b'"a,', b"|;"]
)
def test_hostile_bytes_take_linear_time(filler: bytes) -> None:
    assert linear(csv.split, lambda n: b"a,b\n" + filler * n, 20_000)
    assert linear(csv.split, lambda n: b'a,b\n"' + filler * n, 20_000)
    assert linear(csv.split, lambda n: filler * n, 20_000)


def test_of_a_million_cells_the_table_says_that_it_is_not_whole() -> None:
    data = b"a,b\n" + b"1,2\n" * 500_000
    assert csv.split(data) is None
    table = csv.table(data)
    assert table is not None and not table.whole and table.width == 2
