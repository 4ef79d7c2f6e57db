"""A named value in the bytes of a carrier: what each carrier of `app.contract.decoding` finds."""

from typing import NamedTuple


class Part(NamedTuple):
    """The value's bytes are `data[start:end]`, as they are written there."""

    name: str
    start: int
    end: int
