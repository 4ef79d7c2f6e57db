"""From a body's bytes on the wire to what a record keeps, and to what rules and the inventory read.

Called by the sidecar's capture and by the mock, before masking. Never trusts a size, a ratio or a
type that a peer claims: every step is bounded by the caller's cap.
"""

from collections.abc import Sequence
from typing import Any

from app.contract.record import Body


def keep(
    prefix: bytes, *, size: int, sha256: str, encoding: str = "", cap: int
) -> Body:
    """The record's body from the first bytes on the wire.

    `prefix` is at most `cap` bytes of `size`; `encoding` the Content-Encoding header. The content
    encoding is undone (gzip, deflate, br, zstd; at most two of them) into at most `cap` bytes; what
    cannot be undone is not kept, and `withheld` says why.
    """
    raise NotImplementedError


def content(body: Body) -> bytes:
    """The kept bytes, b"" when there are none."""
    raise NotImplementedError


def documents(body: Body, content_type: str, decoders: Sequence[str] = ()) -> list[Any]:
    """The JSON values a kept body holds: one for JSON, one a line for NDJSON, an object of lists for
    a form, with base64 JSON in string values opened where a decoder says so. Empty when it is none
    of these, is cut, or does not parse. `decoders` of a rule win over the content type."""
    raise NotImplementedError
