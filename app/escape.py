"""Makes captured text safe to show: in terminals, logs, Markdown and HTML.

A client's text may hold terminal escapes, characters that reverse it, Markdown and HTML.
"""

from app.contract.printable import one_line

_MARKDOWN = str.maketrans(
    {**{c: "\\" + c for c in "\\|`*_[]~#"}, "<": "&lt;", ">": "&gt;", "&": "&amp;", "@": "&#64;"}
)


def plain(value: object, longest: int = 200) -> str:
    """One printable line, cut at `longest` characters."""
    text = str(value)
    return one_line(text[:longest]) + ("…" if len(text) > longest else "")


def inert(value: object) -> str:
    """`plain`, with Markdown, HTML and links disarmed."""
    return plain(value).translate(_MARKDOWN).replace("://", ":&#47;&#47;")
