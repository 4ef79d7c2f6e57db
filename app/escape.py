"""Captured text made safe to show: for terminals, logs, Markdown and HTML.

Everything a client sent may carry terminal escapes, text that runs backwards, Markdown and HTML.
"""

import json

from app.contract.printable import one_line

_MARKDOWN = str.maketrans(
    {**{c: "\\" + c for c in "\\|`*_[]~#"}, "<": "&lt;", ">": "&gt;", "&": "&amp;", "@": "&#64;"}
)


def plain(value: object, longest: int = 200) -> str:
    """`one_line`, cut."""
    text = str(value)
    return one_line(text[:longest]) + ("…" if len(text) > longest else "")


def paragraphs(text: str) -> str:
    """Several lines for people, each of them `plain`."""
    return "\n".join(plain(line, 2000) for line in text.split("\n"))


def json_text(line: bytes) -> str:
    """JSON that says the same, and that no terminal acts on: what is not printable is escaped."""
    text = line.decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def as_json(value: object) -> str:
    """`json_text` of anything that msgspec writes."""
    import msgspec  # here, for `telemock --help` needs it not

    return json_text(msgspec.json.encode(value))


def inert(value: object) -> str:
    """`plain`, and nothing in it is Markdown, HTML or a link."""
    return plain(value).translate(_MARKDOWN).replace("://", ":&#47;&#47;")
