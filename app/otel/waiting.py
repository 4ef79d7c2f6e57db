"""The bounded queue between those who hand over spans and records, and the thread that sends them.

Used by `app.otel.sender`.
"""

import threading
from collections import deque

SIZE = 16 << 20  # characters that wait at most, of one signal
BATCH_SIZE = 4 << 20  # of one request; Collectors take 20 MiB unless told otherwise


class Waiting[Item]:
    """Bounded by items and by their size, since a record may be large. Any thread."""

    def __init__(self, items: int, batch: int) -> None:
        self._items = items
        self._batch = batch
        self._queue: deque[tuple[Item, int]] = deque()
        self._size = 0
        self._closed = False
        self._changed = threading.Condition()

    def put(self, item: Item, size: int) -> str:
        """ "" when it was taken, else why not: `queue_full` or `shutdown`."""
        with self._changed:
            if self._closed:
                return "shutdown"
            if len(self._queue) >= self._items or self._size + size > SIZE:
                return "queue_full"
            self._queue.append((item, size))
            self._size += size
            if self._enough():
                self._changed.notify()
        return ""

    def take(self, delay_s: float) -> list[Item]:
        """A batch: at once when a full one waits or it is closed, else what came after the delay,
        which may be nothing."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._enough(), delay_s)
            taken: list[Item] = []
            size = 0
            while self._queue and len(taken) < self._batch:
                if taken and size + self._queue[0][1] > BATCH_SIZE:
                    break
                item, of_item = self._queue.popleft()
                taken.append(item)
                size += of_item
            self._size -= size
            return taken

    def close(self) -> None:
        """Nothing is taken in from now on; what waits can still be taken out."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    @property
    def closed(self) -> bool:
        return self._closed

    def clear(self) -> int:
        """How many were thrown away."""
        with self._changed:
            left = len(self._queue)
            self._queue.clear()
            self._size = 0
            return left

    def __len__(self) -> int:
        return len(self._queue)

    def _enough(self) -> bool:
        return len(self._queue) >= self._batch or self._size >= BATCH_SIZE
