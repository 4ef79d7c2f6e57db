"""A row of the table of detectors: values that are secrets by what they are.

Used by the tables of the masking.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple


class Detector(NamedTuple):
    """`pattern` is google-re2's. `begins` is how a value begins, of which a cut may have left no
    more; `check` says of what the pattern finds whether it is one."""

    id: str
    begins: str
    pattern: str
    secrets: tuple[str, ...]
    others: tuple[str, ...]
    check: Callable[[str], bool] | None = None
    # What must not stand before or behind it: letters, digits and underscores; for a token hyphens
    # too; for numbers signs and points; nothing.
    alone: Literal["word", "token", "number", ""] = "word"
    hint: str = (
        ""  # part of the pattern, for the first look, which a long one without a start slows
    )
