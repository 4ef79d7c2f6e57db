import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contract.masking import detection
from app.contract.masking.detection import cut, detected
from app.contract.masking.detectors import DETECTORS

SECRETS = [one.replace("|", "") for row in DETECTORS for one in row.secrets]
# What telemetry is full of, and what looks like a secret.
READABLE = [
    "4.16.1-20904e45", "3f8b1c5e-7a0d-4d1b-9a3e-5b1f0c2d4e6f", "2026-11-29T14:00:00.000Z",
    "1764424800000", "1764424800000000000", "4503599627370496", "18446744073709551615",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "d41d8cd98f00b204e9800998ecf8427e", "0.1234567890123456", "1.7976931348623157e308",
    "arn:aws:iam::123456789012:role/x", "AROAIOSFODNN7EXAMPLE", "i-0123456789abcdef0",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", "W/\"5f3-18b2\"", "192.168.100.200:4242",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "+49 30 901820", "DE123456789",
    "image: ghcr.io/x/y@sha256:0123456789abcdef", "eyJ2IjoiMSJ9", "https://host/a/b?c=d",
    "pk_live_is_public", "phc_public_key_of_a_project", "task-runner-1234567890abcdef",
    "550e8400-e29b-41d4-a716-446655440000", "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
    "978-3-16-148410-0", "4012-8888", "1,234,567,890,123,456", "k8s-node-0123456789abcdef",
]  # fmt: skip


def masked(data: bytes) -> bytes:
    return detected(data, lambda how, raw: b"***")


@pytest.mark.parametrize("text", READABLE)
def test_what_is_no_secret_stays(text: str) -> None:
    for around in ("{}", "a={}&b", '{{"a":"{}"}}', "x {} y"):
        assert masked(around.format(text).encode()) == around.format(text).encode()


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_that_was_cut_is_found_from_its_start(secret: str) -> None:
    """From where it begins as no other word does."""
    row = next(r for r in DETECTORS if secret in [one.replace("|", "") for one in r.secrets])
    if not row.begins or secret[4] in " -" or secret.startswith("?"):
        return
    for text in ("a ", '{"a":"', "a="):
        start = len(text)
        assert cut(f"{text}{secret[:15]}".encode()) == start, secret[:15]
    assert cut(f"{secret} and more".encode()) == len(f"{secret} and more".encode())


def test_text_that_ends_in_no_secret_is_not_cut() -> None:
    for text in ("", "a b", "4.16.1-20904e45", '{"a":"b', "node-1", "v=12345"):
        assert cut(text.encode()) == len(text)


@given(st.binary())
def test_any_bytes_can_be_searched(data: bytes) -> None:
    assert masked(data) == data or b"***" in masked(data)
    assert 0 <= cut(data) <= len(data)


UNITS = ["4242 ", "4242424242424242 ", "eyJ", "eyJ.", "sk-", "-----BEGIN PRIVATE KEY-----",
         "A" * 64, "DE89", "gh", "xoxb-", "0" * 13, "\\n", "%20", "?sig=", "SK0"]  # fmt: skip


@pytest.mark.parametrize("unit", UNITS)
def test_hostile_text_takes_linear_time(unit: str) -> None:
    began = time.process_time()
    masked((unit * (256 * 1024 // len(unit))).encode())
    cut((unit * (256 * 1024 // len(unit))).encode())
    assert time.process_time() - began < 5


@pytest.mark.parametrize("unit", UNITS)
def test_a_secret_behind_hostile_text_is_found(unit: str) -> None:
    """Where a search ran out of memory it would find none."""
    secret = "AKIA" + "IOSFODNN7EXAMPLE"
    text = (unit * (100_000 // len(unit)) + "\n" + secret + "\n").encode()
    assert secret.encode() not in masked(text)


def test_a_text_of_numbers_like_cards_costs_few_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checking each took 9 ms for 5 KB, and a batch of such lines a minute."""
    asked = []
    rows = [
        row._replace(check=lambda value: asked.append(value) or False) if row.id == "card number"
        else row
        for row in detection.DETECTORS
    ]  # fmt: skip
    monkeypatch.setattr(detection, "DETECTORS", rows)
    found = detection.detected(b"4123 " * 1000, lambda how, value: b"***")
    assert len(asked) == detection.MOST + 1
    assert found.endswith(b"***") and found.count(b"***") == 1  # and what is left is masked
