import hashlib
import hmac
import os
import random
import uuid

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


@pytest.mark.parametrize("version", [1, 4, 5])  # of one that the digest has, and others
@pytest.mark.parametrize("form", ["str", "hex", "bytes"])
def test_a_versioned_uuid_is_found_however_it_is_written(
    matcher: Matcher, version: int, form: str
) -> None:
    """As systemd writes an id of an application: 32 digits, in which two are the version's."""

    def found(digits: str) -> list[Hit]:
        made = uuid.UUID(hex=digits, version=version)
        view = {"str": str(made).encode(), "hex": made.hex.encode(), "bytes": made.bytes}[form]
        return list(matcher.find(view))

    assert found(DIGEST[:32]) == [Hit("host name", "SHA-256, as a UUID")]
    assert not found(DIGEST[:12] + "0" * 20)


def test_an_id_of_an_application_as_systemd_makes_it() -> None:
    machine, app = uuid.uuid4(), uuid.uuid4()
    digest = hmac.digest(machine.bytes, app.bytes, "sha256")
    made = uuid.UUID(bytes=digest[:16], version=4).hex
    spec = Spec((Canary("machine id", (machine.hex, str(machine))),), (app.hex,))
    (hit,) = Matcher(spec).find(made.encode())
    assert hit.source == "machine id"
    assert hit.how.endswith("with its bytes as the key, as a UUID")
