"""How the tests of the carriers measure that hostile bytes are refused or split in linear time."""

import time
from collections.abc import Callable


def linear(split: Callable[[bytes], object], make: Callable[[int], bytes], size: int) -> bool:
    """True if four times the bytes take at most twelve times as long, or almost nothing."""

    def took(number: int) -> float:
        data = make(number)
        start = time.process_time()
        split(data)
        return time.process_time() - start

    one = min(took(size) for _ in range(3))
    four = min(took(4 * size) for _ in range(3))
    return four < 0.05 or four <= 12 * one
