"""app/contract/decoding/compressed.py: what says by itself that it is compressed."""

import gzip
import random
import zlib

import brotli
import pytest
import zstandard

from app.contract.decoding import compressed


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


TEXT = b'{"lic":"x"}' * 50
MAKE = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstandard.compress,
        "br": brotli.compress, "deflate-raw": raw_deflate}  # fmt: skip


@pytest.mark.parametrize("name", MAKE)
def test_it_is_undone_and_redone(name: str) -> None:
    data = MAKE[name](TEXT)
    assert compressed.named(data) == name
    assert compressed.undo(data, len(TEXT)) == TEXT
    assert compressed.undo(data, len(TEXT) - 1) is None
    other = b"other, and long enough to be known again"
    assert compressed.named(compressed.redo(other, data)) == name
    assert compressed.undo(compressed.redo(other, data), 100) == other


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
    if name in compressed.TRIED:
        assert compressed.named(data + b"more") == compressed.named(data[:-1]) == ""
        return
    assert not compressed.is_all(data + b"more") and not compressed.is_all(data[:-1])
    if name in ("gzip", "zstd"):
        assert compressed.is_all(data + data)


@pytest.mark.parametrize("data", [b"", b"x", b"x\x9c", b"xy", b"\x1f", b"{}"])
def test_other_bytes_are_none(data: bytes) -> None:
    assert compressed.undo(data, 100) is None and compressed.named(data) in ("", "deflate")


@pytest.mark.parametrize("name", compressed.TRIED)
@pytest.mark.parametrize("data", [b"\0" + TEXT, b"\xff" + TEXT, b"\x1f\x8b\x08" + TEXT, b""])
def test_without_a_header_it_must_stand_for_text(name: str, data: bytes) -> None:
    assert compressed.named(MAKE[name](data)) == ""


def test_text_is_never_tried() -> None:
    """What is text is what it seems, whatever a decoder makes of it."""
    for data in (b"<words and words/>", TEXT, "Grüße".encode() * 9, b"a=1&b=words"):
        stored = (
            b"\x01" + len(data).to_bytes(2, "little") + (len(data) ^ 65535).to_bytes(2, "little")
        )
        assert compressed.named(data) == ""
        assert compressed.named(stored + data) == "deflate-raw"


def chance(maker: random.Random, size: int) -> bytes:
    """Random bytes, or such as binary formats have: many zeros, texts with their lengths."""
    kind = maker.randrange(3)
    if kind == 0:
        return maker.randbytes(size)
    if kind == 1:
        return bytes(
            maker.choice((0, 0, 0, 1, 8, 10, 255, maker.randrange(256))) for _ in range(size)
        )
    word = bytes(maker.choice(b"abcdefgh01.-") for _ in range(maker.randrange(3, 9)))
    return (bytes((10, len(word))) + word + bytes((16, maker.randrange(128)))) * (size // 8)


def test_no_chance_bytes_are_taken_for_compressed() -> None:
    """60,000 of each seed; 9 million of random bytes alone had none either."""
    maker = random.Random(7)
    found = [
        data
        for size in (16, 20, 28, 32, 64, 200)
        for _ in range(10_000)
        if compressed.named(data := chance(maker, size)) in compressed.TRIED
    ]
    assert found == []
