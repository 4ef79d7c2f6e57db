"""Renders plain tables for terminals and for Markdown.

Called by the report, the command line and `app.analysis`. Cells hold captured text.
"""

from collections.abc import Iterable, Sequence

from app.escape import inert, plain


def text_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Aligns columns, numbers to the right. Ends with a newline."""
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
    """Ends with a newline. Nothing makes a document's cells short, so sentences stay whole."""
    lines = [[inert(v, 1_000) for v in row] for row in rows]
    return "".join(
        f"| {' | '.join(line)} |\n"
        for line in ([inert(h) for h in head], ["---"] * len(head), *lines)
    )
