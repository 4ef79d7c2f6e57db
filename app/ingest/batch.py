"""A batch of records as a sidecar sends it: bounded, decompressed, taken apart.

Called by `app.ingest.reading` and the route in `app.api.routes`. A line that is no record is
refused alone; the others are kept.
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
from app.contract.names import HEADER_ACCOUNTS
from app.contract.record import RecordError, short
from app.ingest.admission import Place
from app.store import Incoming, Told, Written

WIRE_CAP = 8 << 20  # bytes of a batch as sent
BATCH_CAP = 64 << 20  # bytes of a batch, decompressed
LINES_CAP = 10_000  # records of a batch
BUDGET = 16 << 20  # bytes of records that wait for the disk
DECODING = 64 << 20  # bytes of batches that are decompressed at a time
_PIECE = (
    4 << 10
)  # of compressed input at a time: at the worst ratios it becomes some 100 MiB at once


class BatchError(ValueError):
    """A batch that cannot be read at all; `status` is the HTTP status that says so."""

    def __init__(self, status: int, message: str, hint: str) -> None:
        super().__init__(message)
        self.status = status
        self.hint = hint


class Refused(msgspec.Struct, omit_defaults=True):
    """`line` counts from 1; `id` stands where it could be read."""

    line: int
    reason: str
    id: str = ""


class Receipt(msgspec.Struct, omit_defaults=True):
    """What became of a batch. Refused records are not to be sent again; the rest are on disk.
    `accounts`: of each boot whose account was taken, how many of its records are stored."""

    stored: int
    duplicates: int
    refused: list[Refused]
    accounts: dict[str, int] = {}


class Batch(NamedTuple):
    records: list[Incoming]
    refused: list[Refused]


class Budget:
    """Bytes that a stage of the intake holds at a time; a batch larger than all of it goes alone.
    So many small batches share a commit, and large ones do not fill the memory."""

    def __init__(self, size: int) -> None:
        self._free = self._size = size
        self._given = asyncio.Event()

    async def take(self, size: int) -> int:
        """Waits until there is room; returns what is to be given back."""
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
    """The body as sent. Raises BatchError over the cap."""
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
    """Bytes that the body takes when it is decompressed, at most."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return len(body)
    if encoding == "zstd":
        with contextlib.suppress(zstandard.ZstdError):
            # Holds the frame more, or does another follow it, then it is refused.
            if 0 <= (size := zstandard.frame_content_size(body)) <= BATCH_CAP:
                return size
    return BATCH_CAP


def read_batch(body: bytes, encoding: str, ready: Callable[[bytes], Incoming]) -> Batch:
    """What `ready` makes of the lines in a body, and those in which it finds no record. Runs in a
    thread: takes up to a second.

    Raises BatchError.
    """
    plain = _plain(body, encoding.strip().lower())
    ends = plain.count(b"\n")
    if ends > LINES_CAP or (ends == LINES_CAP and plain[plain.rfind(b"\n") :].strip()):
        raise BatchError(
            413, f"the batch holds more than {LINES_CAP} records", "send fewer records at once"
        )
    batch = Batch([], [])
    # As a file, because that finds the ends of lines eight times as fast as `split` does.
    for number, line in enumerate(io.BytesIO(plain), 1):
        line = line.strip(b"\r\n ")
        if not line:
            continue
        try:
            batch.records.append(ready(line))
        except RecordError as e:
            batch.refused.append(Refused(number, short(str(e)), _id(line)))
    return batch


def bind(batch: Batch, pod: Pod, ready: Callable[[bytes], Incoming]) -> int:
    """Make every record one of that pod, whatever it says; how many said otherwise."""
    bound = 0
    for at, incoming in enumerate(batch.records):
        named = incoming.record.workload
        if (named.namespace, named.pod, named.uid) == pod:
            continue
        whole = _fields(incoming.line)  # those that this version does not know stay
        workload = _fields(whole.get("workload", b"{}"))
        names = {"namespace": pod.namespace, "pod": pod.name, "uid": pod.uid}
        bound_to = whole | {"workload": workload | names}
        batch.records[at] = ready(msgspec.json.encode(bound_to))
        bound += 1
    return bound


_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class _Named(msgspec.Struct):
    boot: str
    seq: int


def _id(line: bytes) -> str:
    try:
        named = msgspec.json.decode(line, type=_Named)
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
        inflate: Any  # both kinds say `eof` and `unused_data`
        if encoding == "gzip":
            inflate = zlib.decompressobj(wbits=31)
        else:
            inflate = zstandard.ZstdDecompressor(max_window_size=BATCH_CAP).decompressobj()
        # In pieces, because zstandard gives the whole output of a call at once.
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
    """What a sidecar says beside the batch of its numbers."""
    accounts = account.decode(headers.get(HEADER_ACCOUNTS, "[]"))
    return [Told(a, pod.namespace if pod else "", pod.name if pod else "") for a in accounts]


def receipt(batch: Batch, written: Written) -> Receipt:
    return Receipt(len(written.stored), written.duplicates, batch.refused, dict(written.accounts))
