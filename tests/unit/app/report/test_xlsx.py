"""A workbook holds text and numbers, and nothing else, whatever was captured."""

import io
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from app.contract.record import Body, CaptureRecord, encode
from app.report import xlsx as module
from app.report.rows import COLUMNS
from app.report.xlsx import xlsx
from tests.records import BOOT, exchange, log
from tests.unit.app.report.formulas import FORMULAS

_NS = {"x": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}


def opened(records: Iterable[CaptureRecord]) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(b"".join(xlsx(map(encode, records)))))


def cells(book: zipfile.ZipFile, sheet: int = 1) -> list[list[ElementTree.Element]]:
    text = book.read(f"xl/worksheets/sheet{sheet}.xml")
    root = ElementTree.fromstring(text)  # noqa: S314 - it is ours
    return [list(row) for row in root.iterfind(".//x:row", _NS)]


def rows(book: zipfile.ZipFile, sheet: int = 1) -> list[dict[str, str]]:
    head, *found = [["".join(c.itertext()) for c in row] for row in cells(book, sheet)]
    assert tuple(head) == COLUMNS
    return [dict(zip(COLUMNS, row, strict=True)) for row in found]


def test_columns_are_those_of_csv_and_text_stays_text() -> None:
    book = opened(
        [exchange(1, product_version="4.10", body=Body(text="a\nb", size=3)), log(2, "x")]
    )
    first, second = rows(book)
    assert (first["id"], first["product_version"]) == (f"{BOOT}-1", "4.10")
    assert (first["status"], first["request_body"], second["detail"]) == ("200", "a\nb", "x")
    types = {name: cell.get("t") for name, cell in zip(COLUMNS, cells(book)[1], strict=True)}
    assert (types["product_version"], types["status"]) == ("inlineStr", None)


@pytest.mark.parametrize("text", [*FORMULAS, "<r><t>x</t></r>", "<r></r>", "</c><c><f>1+1</f></c>"])
def test_nothing_is_a_formula_or_xml(text: str) -> None:
    book = opened([exchange(1, path=text, pod=text, body=Body(text=text, size=1))])
    (row,) = rows(book)
    assert "<f>" not in book.read("xl/worksheets/sheet1.xml").decode()
    if text.isprintable():
        assert row["path"] == (f"{text} " if text.startswith("<r>") else text)
    path = cells(book)[1][COLUMNS.index("path")]
    assert bool(path.get("s")) == (text in FORMULAS)  # the format that marks it as text
    assert ('quotePrefix="1"' in book.read("xl/styles.xml").decode()) == (text in FORMULAS)


def test_control_characters_and_long_texts_keep_the_file_valid() -> None:
    (row,) = rows(opened([exchange(1, path="\x00\x1b\ufffe_x0041_")]))
    assert row["path"].startswith(r"\x00\x1b\ufffe")
    (long,) = rows(opened([exchange(1, body=Body(text="\U0001f600" * 60_000, size=1))]))
    assert len(long["request_body"].encode("utf-16-le")) // 2 < 32_767


def test_a_full_sheet_is_followed_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SHEET", 3)
    book = opened(exchange(n) for n in range(1, 6))
    assert [len(rows(book, sheet)) for sheet in (1, 2, 3)] == [2, 2, 1]


def test_without_captures_there_is_a_head() -> None:
    assert rows(opened([])) == []


def test_nothing_is_left_behind_when_captures_end_in_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lines() -> Iterator[bytes]:
        yield encode(exchange(1))
        raise OSError("no more")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(OSError, match="no more"):
        list(xlsx(lines()))
    pieces = xlsx([encode(exchange(1))])
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    assert list(tmp_path.iterdir()) == []
