"""Cuts what is no HTTP into lines, each to be recorded.

`addon.mitm.lines` has one for each direction of a connection.
"""

from collections.abc import Iterator

from addon.exchange.exchange import Kept

CAP = 64 * 1024  # bytes of a line that are kept
ALONE = 1000  # lines of one direction with a record each; those that follow share one
TOGETHER = 24 * 1024  # bytes from which lines that share a record fill it


class LineCutter:
    """A line has its end within it, so that the sizes of all add up to what was sent. It is not
    recorded in pieces: a secret that was cut in two could not be masked."""

    def __init__(self, cap: int) -> None:
        self._cap = min(cap, CAP)
        self._line = Kept(self._cap)
        self.number = 0  # of records

    @property
    def size(self) -> int:
        """Bytes of the line that has not ended."""
        return self._line.size

    @property
    def held(self) -> int:
        return self._line.held

    def add(self, data: bytes) -> Iterator[Kept]:
        """Takes the next bytes; gives what they complete."""
        begin = 0
        while begin < len(data):
            shared = self.number >= ALONE
            end = data.rfind(b"\n", begin, begin + TOGETHER) + 1 if shared else 0
            end = end or data.find(b"\n", begin) + 1
            self._line.add(data[begin : end or len(data)])
            begin = end or len(data)
            if end and (not shared or self._line.size >= TOGETHER):
                yield from self.end()

    def end(self) -> Iterator[Kept]:
        """Gives what has no end yet."""
        if self._line.size:
            line, self._line = self._line, Kept(self._cap)
            self.number += 1
            yield line
