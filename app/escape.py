"""Captured text made safe to show: for terminals, logs, Markdown and HTML.

Everything a client sent may carry terminal escapes, text that runs backwards, Markdown and HTML.
"""

from app.contract.printable import one_line

_MARKDOWN = str.maketrans(
    {**{c: "\\" + c for c in "\\|`*_[]~#"}, "<": "&lt;", ">": "&gt;", "&": "&amp;", "@": "&#64;"}
)


def plain(value: object, longest: int = 200) -> str:
    """`one_line`, cut."""
    text = str(value)
    return one_line(text[:longest]) + ("…" if len(text) > longest else "")


def inert(value: object) -> str:
    """`plain`, and nothing in it is Markdown, HTML or a link."""
    return plain(value).translate(_MARKDOWN).replace("://", ":&#47;&#47;")
