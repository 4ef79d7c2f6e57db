import hashlib
import os
import random

import pytest

from app.contract.canary.matcher import Hit, Matcher
from app.contract.canary.spec import Canary, Spec

VALUE = "hk3v8x9q2m7w"
DIGEST = hashlib.sha256(VALUE.encode()).hexdigest()


@pytest.fixture(scope="module")
def matcher() -> Matcher:
    return Matcher(Spec((Canary("host name", (VALUE,), core=VALUE[:10]),)))


def test_a_digest_within_more_digits_counts_from_64_bits_on(matcher: Matcher) -> None:
    assert list(matcher.find(f"0f{DIGEST}00".encode())) == [Hit("host name", "SHA-256")]
    assert list(matcher.find(f"{DIGEST[:16]}0ffff{DIGEST[3:5]}".encode()))
    assert not list(matcher.find(f"{DIGEST[:12]}{'0' * 20}".encode()))


def test_a_short_beginning_counts_as_a_whole_word_alone(matcher: Matcher) -> None:
    for around in ("%s", "v:%s,", '"%s"'):
        assert list(matcher.find((around % DIGEST[:8]).encode())), around
    for around in ("%sz", "x%s", "%s.x0".replace(".x", "x")):
        assert not list(matcher.find((around % DIGEST[:8]).encode())), around
    assert not list(matcher.find(DIGEST[:7].encode()))


def test_nothing_is_found_in_random_bytes_or_words(matcher: Matcher) -> None:
    for _ in range(200):
        data = os.urandom(1000)
        assert not list(matcher.find(data))
        assert not list(matcher.find(data.hex().encode()))
    numbers = " ".join(str(random.getrandbits(64)) for _ in range(2000)).encode()
    assert not list(matcher.find(numbers))


def test_no_values_match_nothing() -> None:
    assert not list(Matcher(Spec()).find(b"anything at all"))


def test_an_address_is_found_as_a_whole_word() -> None:
    of_pod = Matcher(Spec((Canary("pod IP", ("10.1.2.3",)),)))
    assert list(of_pod.find(b"from 10.1.2.3:80")) == [Hit("pod IP", "as it is")]
    for other in (b"10.1.2.34", b"110.1.2.3", b"10.1.2.3.4", b"10123"):
        assert not list(of_pod.find(other)), other
