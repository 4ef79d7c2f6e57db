"""Tables whose cells were captured."""

from app.report.tables import markdown_table, text_table


def test_text_table() -> None:
    assert text_table(("name", "n"), [("a", 5), ("bb\n", 100)]) == (
        "name    n\na       5\nbb\\n  100\n"
    )
    assert text_table(("name", "n"), []) == "name  n\n"


def test_markdown_table() -> None:
    assert markdown_table(("a", "b"), [("x|y", 1)]) == "| a | b |\n| --- | --- |\n| x\\|y | 1 |\n"
