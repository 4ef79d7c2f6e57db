"""Orders versions of a product: by the dotted number that they begin with.

Used by reports, and by the store for filters such as `version>=4.16`.
"""

import re

_NUMBER = re.compile(r"v?(\d{1,18}(?:\.\d{1,18}){0,15})")


def version_number(version: str) -> tuple[int, ...]:
    """The dotted number a version begins with, for sorting: "v4.16.1-20904e45" is (4, 16, 1)."""
    number = _NUMBER.match(version)
    return tuple(map(int, number[1].split("."))) if number else ()


def version_key(version: str) -> str:
    """The same as text that sorts alike; "" without a number."""
    return ".".join(f"{part:018}" for part in version_number(version))
