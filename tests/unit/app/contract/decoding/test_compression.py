"""app/contract/decoding/compression.py: what is undone, and how much of it."""

import gzip
import zlib

import pytest

from app.contract.decoding.compression import undo

TEXT = b"telemetry " * 100
RAW = zlib.compressobj(wbits=-zlib.MAX_WBITS)


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("gzip", gzip.compress(TEXT, mtime=0)),
        ("x-gzip", gzip.compress(TEXT[:500], mtime=0) + gzip.compress(TEXT[500:], mtime=0)),
        ("gzip", gzip.compress(TEXT, mtime=0) + b"behind"),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", RAW.compress(TEXT) + RAW.flush()),
    ],
)
def test_what_is_encoded_is_undone_up_to_the_cap(encoding: str, data: bytes) -> None:
    whole, cut = undo(encoding, data, len(TEXT)), undo(encoding, data, 10)
    assert whole and whole[:2] == (TEXT, True)
    assert cut and cut[:2] == (TEXT[:10], False)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "odd"])
def test_what_is_no_such_encoding_is_none(encoding: str) -> None:
    assert undo(encoding, b"\xffnothing of the kind", 100) is None
