"""The standard streams: closed ones, and characters that their encoding lacks."""

import codecs
import os
import sys

_ESCAPED = "telemock.escaped"
# Flags that let nobody read from standard input, or write to standard output, as if it were closed.
# What is said on a closed standard error is lost.
_CLOSED = (("stdin", "r", os.O_WRONLY), ("stdout", "w", os.O_RDONLY), ("stderr", "w", os.O_WRONLY))


def settle() -> None:
    """Fills the places of closed streams: the next file that is opened would take them, and get
    what is printed. Escapes what a stream cannot encode, as JSON does."""
    codecs.register_error(_ESCAPED, _escaped)
    for number, (name, mode, flags) in enumerate(_CLOSED):
        if getattr(sys, name) is None:
            fd = os.open(os.devnull, flags)
            if fd != number:
                os.dup2(fd, number, inheritable=False)
                os.close(fd)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
        elif mode == "w" and hasattr(getattr(sys, name), "reconfigure"):
            getattr(sys, name).reconfigure(errors=_ESCAPED)


def trouble() -> OSError | None:
    """The error of standard output, which then swallows what is left; None if all was written."""
    try:
        sys.stdout.flush()
    except OSError as e:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)
        return e
    return None


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    pairs = (units[i : i + 2].hex() for i in range(0, len(units), 2))
    return "".join(rf"\u{pair}" for pair in pairs), error.end
