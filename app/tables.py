"""Captured text made safe to show, and plain tables: for terminals and for Markdown.

Called by `app.report` and `app.analysis`. Everything a client sent may carry terminal escapes, text
that runs backwards, Markdown and HTML.
"""

from collections.abc import Iterable, Sequence

_MARKDOWN = str.maketrans(
    {**{c: "\\" + c for c in "\\|`*_[]~#"}, "<": "&lt;", ">": "&gt;", "&": "&amp;", "@": "&#64;"}
)


def plain(value: object, longest: int = 200) -> str:
    r"""One line without control, format or unassigned characters (shown as \x1b, \u202e), cut."""
    text = str(value)
    cut = text[:longest]
    shown = "".join(c if c.isprintable() else _code(ord(c)) for c in cut)
    return shown + "…" if len(text) > longest else shown


def _code(point: int) -> str:
    if point < 0x100:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


def inert(value: object) -> str:
    """`plain`, and nothing in it is Markdown, HTML or a link."""
    return plain(value).translate(_MARKDOWN).replace("://", ":&#47;&#47;")


def text_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns in line; numbers to the right. Ends with a newline."""
    body = [list(row) for row in rows]
    cells = [list(head), *([plain(v) for v in row] for row in body)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = [
        bool(body) and all(isinstance(row[i], int | float) for row in body)
        for i in range(len(head))
    ]
    return "".join(
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        + "\n"
        for line in cells
    )


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Ends with a newline."""
    lines = [[inert(v) for v in row] for row in rows]
    return "".join(
        f"| {' | '.join(line)} |\n"
        for line in ([inert(h) for h in head], ["---"] * len(head), *lines)
    )
