"""What bytes look like that nobody can read."""

import gzip
import random

import pytest

from app.contract.decoding.looks import looks


@pytest.mark.parametrize(
    ("data", "content_type", "seems"),
    [
        (gzip.compress(b"x", mtime=0)[:-4], "", "gzip, damaged"),
        (b"\x89PNG\r\n\x1a\n", "", "image"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "", "image"),
        (b"\0\1\2", "image/x-icon", "image"),
        (b"\0\1\2", "audio/ogg", "audio"),
        (b"\xff\0", "application/x-protobuf", "protobuf, damaged"),
        (b"Salted__" + b"\0" * 9, "", "encrypted"),
        (b"words, and\nmore\tof them", "", "text"),
        (b"\x82\xa5event\xa5start", "", "msgpack"),
        (b"\0\1", "", ""),
    ],
)
def test_what_it_looks_like(data: bytes, content_type: str, seems: str) -> None:
    assert looks(data, content_type) == seems


@pytest.mark.parametrize("size", [128, 200, 256, 300, 350, 400, 450, 1_000, 5_000, 200_000])
def test_random_bytes_look_encrypted_and_others_do_not(size: int) -> None:
    noise = random.Random(size)
    assert {looks(b"\0" + noise.randbytes(size)) for _ in range(200)} == {"encrypted"}
    assert looks((b"\x08\x01\x12\x06events\x1a\x03abc\x20\x7f" * size)[:size]) == ""
