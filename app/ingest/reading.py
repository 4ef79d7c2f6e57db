"""Schedules the reading of batches: a few records on the event loop, more in a thread, with bounded
memory.

Called by `app.api.intake`; `app.ingest.batch` does the reading.
"""

import asyncio
import logging
from collections.abc import Callable

import zstandard

from app.auth import Pod
from app.ingest.batch import ReadBatch, bind, read_batch
from app.store import Incoming

log = logging.getLogger(__name__)

# A sidecar sends about a record a minute, and a thread costs more than reading it. This many block
# the event loop for up to a millisecond.
_FEW, _FEW_BYTES = 4, 8 << 10  # lines; bytes as sent, and decompressed

_frame = zstandard.ZstdDecompressor()  # for the event loop only


async def read(
    body: bytes, encoding: str, pod: Pod | None, ready: Callable[[bytes], Incoming]
) -> tuple[ReadBatch, int]:
    """Reads a batch, bound to `pod` if given. Returns it, and how many records named another."""
    few = _few(body, encoding)
    if few is None:
        return await asyncio.to_thread(_read, body, encoding, pod, ready)
    return _read(few, "", pod, ready)


def _few(body: bytes, encoding: str) -> bytes | None:
    """The lines of a small batch as sidecars compress it; None for any other batch, and for an
    invalid one: `read_batch` explains it."""
    if encoding != "zstd" or len(body) > _FEW_BYTES:
        return None
    try:
        if not 0 <= zstandard.frame_content_size(body) <= _FEW_BYTES:
            return None
        # Bounded: a frame that holds more than it declares is an error.
        plain = _frame.decompress(body, allow_extra_data=False)
    except zstandard.ZstdError:
        return None
    return plain if plain.count(b"\n") <= _FEW else None


def _read(
    body: bytes, encoding: str, pod: Pod | None, ready: Callable[[bytes], Incoming]
) -> tuple[ReadBatch, int]:
    batch = read_batch(body, encoding, ready)
    return batch, bind(batch, pod, ready) if pod else 0
