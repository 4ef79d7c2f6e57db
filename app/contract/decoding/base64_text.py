"""Base64 as it is found in messages: in either alphabet, padded or not, folded, and in a form with
a blank for each plus."""

import base64
import re

_BASE64 = re.compile(r"[A-Za-z0-9+/_\s-]{6,}(=|%3[Dd]){0,2}\s*")
_FOLD = re.compile(r"[\r\n\t]+ *")
_DATA = re.compile(r"data:[\w.+/-]*(;[\w=.-]+)*;base64,")


def undo(written: str) -> bytes | None:
    """The bytes, None if it is no base64."""
    if (url := _DATA.match(written)) is not None:
        written = written[url.end() :]
    if _BASE64.fullmatch(written) is None:
        return None
    digits = _FOLD.sub("", written.strip()).replace(" ", "+").replace("%3D", "").replace("%3d", "")
    digits = digits.rstrip("=").replace("-", "+").replace("_", "/")
    if len(digits) % 4 == 1:
        return None
    try:
        return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except ValueError:
        return None
