import base64
import gzip
import hashlib
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from app.contract import body as b
from app.contract.decoding.read import read
from app.contract.record import BODY_CAP, Body

CAP = 4096


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


def kept(data: bytes, encoding: str = "", size: int | None = None, cap: int = CAP) -> Body:
    full = len(data) if size is None else size
    return b.keep(data[:cap], size=full, sha256="abc", encoding=encoding, cap=cap)


@given(st.binary(max_size=200))
def test_any_bytes_are_kept_as_they_are(data: bytes) -> None:
    body = kept(data)
    assert b.content(body) == data
    assert (body.size, body.sha256, body.truncated, body.withheld) == (len(data), "abc", False, "")


def test_text_is_kept_as_text_and_other_bytes_as_base64() -> None:
    assert kept("é".encode()).text == "é"
    body = kept(b"\xff\x00")
    assert (body.text, body.base64) == (None, "/wA=")
    assert (kept(b"").text, kept(b"").base64) == (None, None)


def test_a_cut_is_marked_and_leaves_no_half_character() -> None:
    body = kept("éé".encode()[:3], size=4)
    assert (body.text, body.truncated, body.size) == ("é", True, 4)


@pytest.mark.parametrize("encoding", ENCODERS)
def test_an_encoding_is_undone(encoding: str) -> None:
    wire = ENCODERS[encoding](b'{"a":1}')
    body = kept(wire, encoding.upper())
    assert (body.text, body.size, body.truncated) == ('{"a":1}', len(wire), False)


def test_raw_deflate_is_undone() -> None:
    stream = zlib.compressobj(wbits=-15)
    assert kept(stream.compress(b"hello") + stream.flush(), "deflate").text == "hello"


def test_two_encodings_are_undone_and_three_are_not() -> None:
    twice = brotli.compress(gzip.compress(b"hello"))
    assert kept(twice, "gzip, identity, br").text == "hello"
    assert kept(gzip.compress(twice), "gzip, br, gzip").withheld == "encoding"


@pytest.mark.parametrize("encoding", [*ENCODERS, "compress", "aws-chunked", "\x00"])
def test_what_cannot_be_undone_is_not_kept(encoding: str) -> None:
    body = kept(b"not what it claims to be", encoding)
    assert body.withheld == "encoding"
    assert (body.text, body.base64, b.content(body)) == (None, None, b"")
    assert (body.size, body.sha256) == (24, "abc")


def test_gzip_that_is_called_brotli_is_read_whatever_its_time_is() -> None:
    """Brotli's decoder takes one in ten of such heads for a beginning of its own."""
    text = b'{"v":"4.10","event":"start"}'
    for mtime in [*range(1764450000, 1764452000, 7), 1764465764, 1764469978]:
        wire = gzip.compress(text, mtime=mtime)
        assert read(kept(wire, "br"), "application/json").value == {"v": "4.10", "event": "start"}
        cut = kept(wire[:-3], "br")
        assert cut.withheld == "encoding" or cut.text


@pytest.mark.parametrize("encoding", ENCODERS)
@pytest.mark.parametrize("made", [*ENCODERS, "", "raw"])
def test_an_encoding_that_is_another_one_is_told_by_the_bytes(encoding: str, made: str) -> None:
    stream = zlib.compressobj(wbits=-15)
    text = b'{"v":"4.10","event":"start"}'
    wire = {"": text, "raw": stream.compress(text) + stream.flush()}.get(made)
    wire = wire or ENCODERS[made](text)
    body = kept(wire, encoding)
    assert body.withheld == ""
    assert read(body, "application/json").value == {"v": "4.10", "event": "start"}
    assert kept(wire[:-3], encoding).withheld == "encoding" or kept(wire[:-3], encoding).text
    assert kept(wire, "compress").withheld == "encoding"


@pytest.mark.parametrize("encoding", ENCODERS)
def test_damage_behind_the_start_withholds_the_body(encoding: str) -> None:
    wire = bytearray(ENCODERS[encoding](bytes(range(256)) * 8))
    wire[len(wire) // 2 :] = b"\xff" * (len(wire) - len(wire) // 2)
    body = kept(bytes(wire), encoding)
    assert body.withheld == "encoding" or body.truncated


@pytest.mark.parametrize("encoding", ENCODERS)
def test_a_bomb_costs_the_cap(encoding: str) -> None:
    bomb = ENCODERS[encoding](b"\0" * 20_000_000)
    body = kept(bomb, encoding, cap=BODY_CAP)
    assert (len(b.content(body)), body.truncated, body.size) == (BODY_CAP, True, len(bomb))


def test_a_bomb_in_a_bomb_costs_the_cap() -> None:
    bomb = gzip.compress(gzip.compress(b"\0" * 20_000_000))
    assert len(b.content(kept(bomb, "gzip, gzip"))) <= CAP


def test_gzip_members_one_after_the_other_are_undone_within_a_bound() -> None:
    assert kept(gzip.compress(b"one ") + gzip.compress(b"two") + b"\0\0", "gzip").text == "one two"
    body = kept(gzip.compress(b"") * 10_000, "gzip", cap=BODY_CAP)
    assert (b.content(body), body.truncated) == (b"", True)


def test_a_zstd_frame_that_wants_much_memory_is_withheld() -> None:
    params = zstandard.ZstdCompressionParameters(window_log=27)
    stream = zstandard.ZstdCompressor(compression_params=params).compressobj()
    wire = stream.compress(b"x" * 9) + stream.flush()
    assert kept(wire, "zstd").withheld == "encoding"


@pytest.mark.parametrize("encoding", ENCODERS)
def test_a_cut_stream_yields_what_decodes(encoding: str) -> None:
    data = base64.b64encode(bytes(i * i % 251 for i in range(300_000)))
    wire = ENCODERS[encoding](data)
    body = kept(wire[: len(wire) // 2], encoding, size=len(wire), cap=BODY_CAP)
    found = b.content(body)
    assert body.truncated and body.withheld == ""
    assert data.startswith(found)
    assert found or encoding in ("br", "zstd")  # these may need more for their first block


def test_content_of_damaged_base64_is_empty() -> None:
    assert b.content(Body(base64="a")) == b.content(Body(base64="é")) == b""


@pytest.mark.parametrize("size", [0, 3, 9])
def test_a_whole_body_is_kept_up_to_the_cap(size: int) -> None:
    body = b.whole(b"x" * size, cap=5)
    assert (body.text or "", body.size, body.truncated) == ("x" * min(size, 5), size, size > 5)
    assert body.sha256 == (hashlib.sha256(b"x" * size).hexdigest() if size else "")
