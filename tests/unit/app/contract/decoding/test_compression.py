"""app/contract/decoding/compression.py: what is undone, and how much of it."""

import gzip
import zlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from app.contract.decoding.compression import Aside, undo, with_asides

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


SQUEEZED = {
    "gzip": gzip.compress(TEXT, mtime=0),
    "deflate": zlib.compress(TEXT),
    "zstd": zstandard.compress(TEXT),
}
BESIDE = {"gzip": ("extra", "name", "comment"), "zstd": ("skipped",), "deflate": ()}
BEHIND = Aside("behind", b"user=x")


@pytest.mark.parametrize("encoding", SQUEEZED)
def test_what_is_beside_the_content_is_found_and_written_again(encoding: str) -> None:
    asides = (*(Aside(name, b"user=x") for name in BESIDE[encoding]), BEHIND)
    data = with_asides(encoding, SQUEEZED[encoding], asides)
    assert undo(encoding, data, len(TEXT)) == (TEXT, True, asides)
    assert undo(encoding, SQUEEZED[encoding], len(TEXT)) == (TEXT, True, ())


def test_padding_behind_the_end_says_nothing() -> None:
    assert undo("gzip", SQUEEZED["gzip"] + bytes(512), len(TEXT)) == (TEXT, True, ())


@pytest.mark.parametrize("encoding", SQUEEZED)
@given(cut=st.integers(1, 1000), beside=st.binary(max_size=9))
def test_what_was_cut_is_not_whole(encoding: str, cut: int, beside: bytes) -> None:
    name = (*BESIDE[encoding], "behind")[0]
    whole = with_asides(encoding, SQUEEZED[encoding], (Aside(name, beside.replace(b"\0", b"")),))
    data = SQUEEZED[encoding][: -min(cut, len(SQUEEZED[encoding]))]
    found = undo(encoding, data, len(TEXT))
    assert found is None or not found.whole or not data
    assert (again := undo(encoding, whole, len(TEXT))) and again[:2] == (TEXT, True)


def test_of_many_skipped_frames_the_rest_is_behind() -> None:
    asides = tuple(Aside("skipped", b"%d" % n) for n in range(1000))
    found = undo("zstd", with_asides("zstd", SQUEEZED["zstd"], asides), len(TEXT))
    assert found and found.content == TEXT and found.asides[-1].name == "behind"
    assert len(found.asides) < 100


@given(st.sampled_from([*SQUEEZED, "br"]), st.binary(max_size=60))
def test_any_bytes_are_undone_or_refused(encoding: str, data: bytes) -> None:
    heads = {"gzip": b"\x1f\x8b\x08", "zstd": b"\x28\xb5\x2f\xfd", "deflate": b"\x78\x9c"}
    undo(encoding, heads.get(encoding, b"") + data, 1000)
