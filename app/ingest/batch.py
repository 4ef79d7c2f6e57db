"""Reads a sidecar's batch of records: bounds, decompresses and splits it.

Called by `app.ingest.reading` and `app.api.intake`. A line that is no record is refused alone; the
others are kept.
"""

import asyncio
import contextlib
import io
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, NamedTuple

import msgspec
import zstandard

from app.auth import Pod
from app.contract import account
from app.contract.account import Receipt, RefusedRecord
from app.contract.names import HEADER_ACCOUNTS
from app.contract.record import RecordError, short
from app.ingest.admission import Place
from app.store import Incoming, Told, Written

WIRE_CAP = 8 << 20  # bytes of a batch as sent
BATCH_CAP = 64 << 20  # bytes of a batch, decompressed
LINES_CAP = 10_000  # records of a batch
BUDGET = 16 << 20  # bytes of records that wait to be written
DECODING = 64 << 20  # bytes of batches that are decompressed at the same time
_PIECE = (
    4 << 10
)  # compressed bytes fed at a time: at the worst ratios they become some 100 MiB at once


class BatchError(ValueError):
    """The batch cannot be read at all; `status` is the HTTP status of the answer."""

    def __init__(self, status: int, message: str, hint: str) -> None:
        super().__init__(message)
        self.status = status
        self.hint = hint


class ReadBatch(NamedTuple):
    records: list[Incoming]
    refused: list[RefusedRecord]


class Budget:
    """Bounds the bytes in one stage of the intake; a batch larger than the bound is taken alone. So
    many small batches share a commit, and large ones do not fill the memory."""

    def __init__(self, size: int) -> None:
        self._free = self._size = size
        self._given = asyncio.Event()

    async def take(self, size: int) -> int:
        """Waits until there is room; returns the size to give back."""
        size = min(size, self._size)
        while self._free < size:
            self._given.clear()
            await self._given.wait()
        self._free -= size
        return size

    def give(self, size: int) -> None:
        self._free += size
        self._given.set()


async def read_body(chunks: AsyncIterator[bytes], place: Place) -> bytes:
    """Reads the body as sent. Raises BatchError over the cap."""
    pieces = []
    async for chunk in chunks:
        await place.more(len(chunk), len(chunk))
        pieces.append(chunk)
        if place.held > WIRE_CAP:
            raise BatchError(
                413, f"the batch is larger than {WIRE_CAP} bytes", "send fewer records at once"
            )
    place.whole()
    return b"".join(pieces)


def plain_size(body: bytes, encoding: str) -> int:
    """The most bytes that the decompressed body can take."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return len(body)
    if encoding == "zstd":
        with contextlib.suppress(zstandard.ZstdError):
            # A frame that holds more, or is followed by another, is refused later.
            if 0 <= (size := zstandard.frame_content_size(body)) <= BATCH_CAP:
                return size
    return BATCH_CAP


def read_batch(body: bytes, encoding: str, ready: Callable[[bytes], Incoming]) -> ReadBatch:
    """Applies `ready` to each line of a body; collects the lines that are no records. Takes up to a
    second, so it runs in a thread.

    Raises BatchError.
    """
    plain = _plain(body, encoding.strip().lower())
    ends = plain.count(b"\n")
    if ends > LINES_CAP or (ends == LINES_CAP and plain[plain.rfind(b"\n") :].strip()):
        raise BatchError(
            413, f"the batch holds more than {LINES_CAP} records", "send fewer records at once"
        )
    batch = ReadBatch([], [])
    # A file finds line ends eight times as fast as `split` does.
    for number, line in enumerate(io.BytesIO(plain), 1):
        line = line.strip(b"\r\n ")
        if not line:
            continue
        try:
            batch.records.append(ready(line))
        except RecordError as e:
            batch.refused.append(RefusedRecord(number, short(str(e)), _id(line)))
    return batch


def bind(batch: ReadBatch, pod: Pod, ready: Callable[[bytes], Incoming]) -> int:
    """Assigns every record to this pod; returns how many named another."""
    bound = 0
    for at, incoming in enumerate(batch.records):
        named = incoming.record.workload
        if (named.namespace, named.pod, named.uid) == pod:
            continue
        whole = _fields(incoming.line)  # keeps fields that this version does not know
        workload = _fields(whole.get("workload", b"{}"))
        names = {"namespace": pod.namespace, "pod": pod.name, "uid": pod.uid}
        bound_to = whole | {"workload": workload | names}
        batch.records[at] = ready(msgspec.json.encode(bound_to))
        bound += 1
    return bound


_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class _Identified(msgspec.Struct):
    boot: str
    seq: int


def _id(line: bytes) -> str:
    try:
        named = msgspec.json.decode(line, type=_Identified)
    except (ValueError, RecursionError):
        return ""
    return short(f"{named.boot}-{named.seq}")


def _plain(body: bytes, encoding: str) -> bytes:
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "zstd"):
        raise BatchError(
            415, f"content-encoding {short(encoding)!r} is not known", "use zstd, gzip or identity"
        )
    plain = bytearray()
    try:
        inflate: Any  # both libraries have `eof` and `unused_data`
        if encoding == "gzip":
            inflate = zlib.decompressobj(wbits=31)
        else:
            inflate = zstandard.ZstdDecompressor(max_window_size=BATCH_CAP).decompressobj()
        # In pieces, because zstandard returns a call's whole output at once.
        for start in range(0, len(body), _PIECE):
            plain += inflate.decompress(body[start : start + _PIECE])
            if len(plain) > BATCH_CAP:
                raise BatchError(
                    413,
                    f"the batch is larger than {BATCH_CAP} bytes when decompressed",
                    "send fewer records at once",
                )
            if inflate.eof:
                rest = inflate.unused_data or body[start + _PIECE :]
                break
    except (zlib.error, zstandard.ZstdError) as e:
        raise BatchError(
            400, f"the body is not {encoding}: {e}", "send what the header says"
        ) from None
    if not inflate.eof:
        raise BatchError(400, f"the {encoding} body is cut", "send the batch again")
    if rest:
        raise BatchError(
            400, f"the body goes on behind its {encoding} data", "compress the batch as one piece"
        )
    return bytes(plain)


def told_by(headers: Mapping[str, str], pod: Pod | None) -> list[Told]:
    """Decodes a sidecar's accounts of its numbers, from the batch's headers."""
    accounts = account.decode(headers.get(HEADER_ACCOUNTS, "[]"))
    return [Told(a, pod.namespace if pod else "", pod.name if pod else "") for a in accounts]


def receipt(batch: ReadBatch, written: Written) -> Receipt:
    return Receipt(len(written.stored), written.duplicates, batch.refused, dict(written.accounts))
