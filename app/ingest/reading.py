"""Where and when a batch is read: a few records in the event loop, more of them in a thread, and
no more at a time than the memory takes.

Called by the route in `app.api.routes`; what reading is stands in `app.ingest.batch`.
"""

import asyncio
import logging
from collections.abc import Callable

import zstandard

from app.auth import Pod
from app.ingest.batch import Batch, bind, read_batch
from app.store import Incoming

log = logging.getLogger(__name__)

# A sidecar sends about a record a minute, and a thread costs more than reading one. This many take
# the event loop up to a millisecond.
_FEW, _FEW_BYTES = 4, 8 << 10  # lines; bytes as sent, and decompressed

_frame = zstandard.ZstdDecompressor()  # of the event loop alone


async def read(
    body: bytes, encoding: str, pod: Pod | None, ready: Callable[[bytes], Incoming]
) -> tuple[Batch, int]:
    """The batch, of that pod alone where there is one; how many records named another.

    Raises BatchError.
    """
    few = _few(body, encoding)
    if few is None:
        return await asyncio.to_thread(_read, body, encoding, pod, ready)
    return _read(few, "", pod, ready)


def _few(body: bytes, encoding: str) -> bytes | None:
    """The lines of a small batch, as sidecars compress it. None of any other, and of what is no
    such batch: `read_batch` says why."""
    if encoding != "zstd" or len(body) > _FEW_BYTES:
        return None
    try:
        if not 0 <= zstandard.frame_content_size(body) <= _FEW_BYTES:
            return None
        # Never gives more than that: it is an error when the frame holds more than it says.
        plain = _frame.decompress(body, allow_extra_data=False)
    except zstandard.ZstdError:
        return None
    return plain if plain.count(b"\n") <= _FEW else None


def _read(
    body: bytes, encoding: str, pod: Pod | None, ready: Callable[[bytes], Incoming]
) -> tuple[Batch, int]:
    batch = read_batch(body, encoding, ready)
    return batch, bind(batch, pod, ready) if pod else 0
