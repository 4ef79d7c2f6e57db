"""Captured text made safe to show: for terminals, logs, Markdown and HTML.

Everything a client sent may carry terminal escapes, text that runs backwards, Markdown and HTML.
"""

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
