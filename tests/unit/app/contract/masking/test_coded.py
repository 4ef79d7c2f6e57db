"""app/contract/masking/coded.py: how encoded text begins, and what does not look like it."""

import base64
import gzip
import random
import zlib

import pytest
import zstandard

from app.contract.masking import coded
from app.contract.masking.patterns import compiled

BEGINNINGS = [
    b'{"lic":"x","a":1}', b'[ {"lic":1}, 2, 3]', b'{\n  "lic": 1234567}', b"lic=abcdefgh&b=1",
    b"<r><lic>abc</lic></r>", b"--b\r\nContent-Disposition: x", b"a,lic,b\n1,2,3\n4,5,6\n",
    b'\xef\xbb\xbf{"lic":12345678}', '{"lic":1}'.encode("utf-16"),
    '{"lic":1}'.encode("utf-16-le"),
    b"\xfe\xff" + '{"lic":1}'.encode("utf-16-be"), gzip.compress(b'{"lic":1}', mtime=0),
    zlib.compress(b'{"lic":1}'), zlib.compress(b'{"lic":1}', 1), zstandard.compress(b'{"lic":1}'),
]  # fmt: skip


@pytest.mark.parametrize("data", BEGINNINGS)
def test_encoded_text_is_found_wherever_it_begins(data: bytes) -> None:
    search = compiled(coded.CODED)
    for text in (
        base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode(), data.hex(),
        data.hex().upper(),
    ):  # fmt: skip
        assert coded.begins(text[:32]), text
        assert coded.start("v1/" + text) >= 0 and coded.start("a-b_c-" + text) >= 0
        for before in ("", "d=", '"', "v1/", "a b "):
            assert search.search((before + text).encode()) is not None, text


def test_few_random_tokens_look_like_it() -> None:
    numbers = random.Random(1)
    tokens = [base64.b64encode(numbers.randbytes(24)).decode() for _ in range(5000)]
    assert sum(map(coded.begins, tokens)) < 150  # of which base64 of protobuf is most
    assert sum(map(coded.begins, (numbers.randbytes(16).hex() for _ in range(5000)))) < 150


@pytest.mark.parametrize(
    "text", ["telemetry", "application", "de305d54-75b4-431b-adb2-eb6b9e546014", "x" * 40, "4.16.1"]
)
def test_words_do_not(text: str) -> None:
    assert coded.start(text) == -1
