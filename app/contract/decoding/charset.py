"""Bytes as text: UTF-8, and Latin-1 for each byte that is none."""

import codecs

_BAD = "telemock-latin-1"


def _latin_1(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error(_BAD, _latin_1)


def decoded(data: bytes, charset: str = "utf-8") -> str:
    """Never fails; an unknown charset is read as UTF-8."""
    try:
        return data.decode(charset, _BAD)
    except (UnicodeError, LookupError):
        return data.decode("utf-8", _BAD)
