"""app/gate/show.py: a check for people; captured names stay text."""

from markdown_it import MarkdownIt

from app.gate.show import markdown, text
from tests.unit.app.gate.violating import checked, evil, violation


def test_text_says_what_and_where() -> None:
    head, *rest = text(checked(violation(), doubts=["1 field was not told"])).splitlines()
    assert head == "1 violation: 3 captures of cribl 1 checked against p.yaml"
    assert rest[:2] == ["  1 field was not told", "  coverage: not complete: x"]
    assert rest[4].split()[:4] == ["unplanned_field", "cdn.cribl.io", "GET", "/a"]
    assert rest[4].endswith("abababab-1")
    assert text(checked()).startswith("kept: 3 captures")
    head, first, *_ = text(checked(unchecked=["1 request was cut"])).splitlines()
    assert head.startswith("kept as far as it could be checked: 3 captures")
    assert first == "  not checked: 1 request was cut"


def test_markdown_explains_the_kinds_that_it_has() -> None:
    shown = markdown(checked(violation()))
    assert "- `unplanned_field`: a field" in shown and "`cadence`" not in shown
    assert "| --- |" not in markdown(checked())


def test_names_stay_text() -> None:
    for shown in (text(evil()), markdown(evil())):
        assert not [c for c in shown if not c.isprintable() and c != "\n"]
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(markdown(evil()))
    children = [c.type for token in tokens for c in token.children or ()]
    assert {"text"} <= set(children) <= {"text", "code_inline", "softbreak"}
    assert sum(token.type == "td_open" for token in tokens) == 9
