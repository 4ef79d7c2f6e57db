"""Finds encoded text: the pattern of what may be base64 of text or of compressed bytes, hexadecimal
or percent-encoded. Used by the sensitive names, beside their own search, and by the opening.

Base64 of ASCII text is known by its quanta: three in a row occur by chance in one of 1,400 tokens.
"""

import base64
import re
from functools import cache, lru_cache
from typing import Any

from app.contract.decoding.compressed import IN_BASE64
from app.contract.masking.patterns import compiled

_QUANTUM = "[CDI-Za-f][AC-HQS-Xgi-nwy-z0-3][ABEFIJMNQRUVYZcdghklopstwx014589][A-Za-z0-9+/_-]"
# gzip, zstd, zlib, byte order marks, indented JSON, and a message of protobuf.
_BEGUN = (
    "H4sI|KLUv|eJ[w-z]|eF[4-7]|eN[o-r]|eA[E-H]|77u[/_]|//[4-7]|__[4-7]|_v8|/v8|e[wy]|W[wyz1-3]"
    "|C[A-Pg-v][A-Za-z0-9+/_-]{22}|E[g-v][A-Za-z0-9+/_-]{22}"
)
_TEXT = f"(?:{_QUANTUM}){{3}}"
_BASE64 = f"(?:{_TEXT}|(?:{_BEGUN})[A-Za-z0-9+/_-]{{8}}|{IN_BASE64})"
_HEX = (
    "(?:[2-7][0-9A-Fa-f]|0[9ADad]){12}|(?:[2-7][0-9A-Fa-f]00|00[2-7][0-9A-Fa-f]){6}"
    "|(?:[57][bB]|3[cC]|efbbbf|EFBBBF|fffe|FFFE|feff|FEFF|1f8b08|1F8B08|28b52ffd|28B52FFD|78(?:01|5[eE]|9[cC]|[dD][aA]))"
    "[0-9A-Fa-f]{16}|(?:0[8aA]|12)[0-9A-Fa-f]{22}"
)
# Names in base64 and hexadecimal, whatever stands before them.
_NAMES = ("password", "passwd", "secret")


def _cores(data: bytes) -> list[str]:
    """The characters that base64 text has for bytes with these in them, by their offset."""
    texts = (base64.b64encode(bytes(at) + data).decode().rstrip("=") for at in range(3))
    return [
        text[(0, 2, 3)[at] : len(text) - ((at + len(data)) % 3 != 0)]
        for at, text in enumerate(texts)
    ]


_NAMED = "|".join(core for name in _NAMES for core in (*_cores(name.encode()), name.encode().hex()))
# For google-re2.
CODED = (
    f"(?:^|[^A-Za-z0-9+])(?:{_BASE64}|{_HEX})|{_TEXT}|{_NAMED}|%[0-9A-Fa-f]{{2}}|\\\\u[0-9A-Fa-f]{{4}}"
).encode()
RUN = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")
_HERE = re.compile(f"{_BASE64}|{_HEX}")
_AFTER = re.compile("[/_+-]+")
_TRIES = 16  # pieces of one run of characters


@lru_cache(maxsize=1024)
def begins(run: str) -> bool:
    """True if base64 or hexadecimal text may begin so."""
    return _HERE.match(run) is not None


@lru_cache(maxsize=1024)
def names(run: str) -> bool:
    """True if a sensitive name stands in it, in base64 or hexadecimal."""
    return _searched().search(run.encode()) is not None


@cache  # made when first needed: the sidecar's start counts
def _searched() -> Any:
    return compiled(_NAMED.encode())


def start(run: str) -> int:
    """The position in a run of base64's characters at which such text may begin; -1 for none. It
    may follow words that are written in the same characters (`v1/eyJ…`)."""
    if begins(run[:32]):
        return 0
    for tried, gap in enumerate(_AFTER.finditer(run)):
        if tried == _TRIES:
            break
        for at in range(gap.end(), max(gap.end() - 3, gap.start()), -1):  # `//` may begin it
            if begins(run[at : at + 32]):
                return at
    return 0 if names(run) else -1
