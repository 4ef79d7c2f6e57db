"""Makes text safe for terminals and logs: no escape sequence, one line.

A client may send terminal escapes, line ends and text that runs backwards. Used by both processes'
logs, by the sidecar's standard output and, through `app.escape`, by the command line.
"""

import re

_NOT_ASCII = re.compile(r"[^ -~]+")


def one_line(text: str, *, ascii: bool = False) -> str:
    r"""Escapes control, format and unassigned characters (`ascii`: all that are not ASCII), such as
    \x1b and \u202e."""
    if text.isprintable() and not (ascii and not text.isascii()):
        return text
    return "".join(
        c if c.isprintable() and not (ascii and not c.isascii())
        else c.encode("unicode_escape").decode()
        for c in text
    )  # fmt: skip


def ascii_json(line: bytes) -> bytes:
    """The same JSON in printable ASCII."""
    if line.isascii() and b"\x7f" not in line:  # JSON has escaped the other controls
        return line
    import json  # here, as `telemock --help` does not need it

    return _NOT_ASCII.sub(lambda m: json.dumps(m[0])[1:-1], line.decode()).encode()


def place(error: BaseException) -> str:
    """The type and place of an error, without its text: that may quote what a client sent."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    kind = type(error).__name__
    return f"{kind} at {at.tb_frame.f_code.co_filename}:{at.tb_lineno}" if at else kind
