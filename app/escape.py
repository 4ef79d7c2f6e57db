"""Makes captured text safe to show: in terminals, logs, Markdown and HTML.

A client's text may hold terminal escapes, characters that reverse it, Markdown and HTML.
"""

import json

from app.contract.printable import one_line

_MARKDOWN = str.maketrans(
    {**{c: "\\" + c for c in "\\|`*_[]~#"}, "<": "&lt;", ">": "&gt;", "&": "&amp;", "@": "&#64;"}
)


def plain(value: object, longest: int = 200) -> str:
    """One printable line, cut at `longest` characters."""
    text = str(value)
    return one_line(text[:longest]) + ("…" if len(text) > longest else "")


def paragraphs(text: str) -> str:
    """Makes each line of the text `plain`."""
    return "\n".join(plain(line, 2000) for line in text.split("\n"))


def json_text(line: bytes) -> str:
    """Makes JSON safe for a terminal: characters that do not print become JSON escapes."""
    text = line.decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    acting = [c for c in set(text) if not c.isprintable() and c != "\n"]
    return text.translate({ord(c): json.dumps(c)[1:-1] for c in acting})


def as_json(value: object) -> str:
    """Encodes a value as `json_text`."""
    import msgspec  # here, for `telemock --help` needs it not

    return json_text(msgspec.json.encode(value))


def inert(value: object, longest: int = 200) -> str:
    """`plain`, with Markdown, HTML and links disarmed."""
    return plain(value, longest).translate(_MARKDOWN).replace("://", ":&#47;&#47;")
