"""app/contract/decoding/compressed.py: what says by itself that it is compressed."""

import gzip
import zlib

import pytest
import zstandard

from app.contract.decoding import compressed

TEXT = b'{"lic":"x"}' * 50
MAKE = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstandard.compress}


@pytest.mark.parametrize("name", MAKE)
def test_it_is_undone_and_redone(name: str) -> None:
    data = MAKE[name](TEXT)
    assert compressed.named(data) == name
    assert compressed.undo(data, len(TEXT)) == TEXT
    assert compressed.undo(data, len(TEXT) - 1) is None
    assert compressed.named(compressed.redo(b"other", data)) == name
    assert compressed.undo(compressed.redo(b"other", data), 100) == b"other"


@pytest.mark.parametrize("name", ["gzip", "deflate"])
def test_what_was_cut_is_opened_as_far_as_it_goes(name: str) -> None:
    data = MAKE[name](bytes(range(256)) * 8)[:150]
    assert compressed.undo(data, 10_000) is None
    opened = compressed.opened(data, 10_000)
    assert opened is not None and opened[0] and not opened[1]


@pytest.mark.parametrize("name", MAKE)
def test_a_missing_end_and_bytes_behind_it_are_known(name: str) -> None:
    data = MAKE[name](TEXT)
    assert compressed.is_all(data)
    assert not compressed.is_all(data + b"more") and not compressed.is_all(data[:-1])
    if name != "deflate":
        assert compressed.is_all(data + data)


@pytest.mark.parametrize("data", [b"", b"x", b"x\x9c", b"xy", b"\x1f", b"{}"])
def test_other_bytes_are_none(data: bytes) -> None:
    assert compressed.undo(data, 100) is None and compressed.named(data) in ("", "deflate")
