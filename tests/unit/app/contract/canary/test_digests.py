import hashlib
import uuid
from functools import partial

import pytest

from app.contract.canary.digests import SALTS, Derived, derived
from app.contract.canary.spec import Canary, Spec


def test_each_derivation_is_there_once_in_its_plainest_way() -> None:
    spec = Spec((Canary("user", ("someone",)), Canary("host name", ("Here",))), ("product",))
    found: dict[bytes, Derived] = {}
    for one in derived(spec):
        found.setdefault(one.digest, one)

    def of(text: str, name: str = "sha256") -> Derived:
        return found[hashlib.new(name, text.encode()).digest()]

    assert of("someone") == Derived("user", "SHA-256", of("someone").digest, True)
    assert of("here", "md5").how == "MD5 (of it in lower case)"
    assert of("product:someone").how == "SHA-256 with the salt 'product'"
    assert of("someone@Here", "sha1").source == "user and host name"
    assert (
        of(hashlib.md5(b"someone", usedforsecurity=False).hexdigest(), "sha1").how
        == "SHA-1 of its MD5"
    )
    assert found[uuid.uuid5(uuid.NAMESPACE_DNS, "here").bytes].how == "UUIDv5 in the namespace DNS"
    assert all(of(f"{salt}someone").source == "user" for salt in SALTS)


def test_fnv1a_is_the_published_one() -> None:
    found = {d.digest: d.how for d in derived(Spec((Canary("x", ("foobar",)),)))}
    assert found[bytes.fromhex("85944171f73967e8")] == "FNV-1a"


_sha1 = partial(hashlib.sha1, usedforsecurity=False)
REMOTE = "https://git.example.test/Owner/Name.git"
MACHINE = "5d41402abc4b2a76b9719d911017c592"
MAC = "02:42:ac:11:9c:7e"
HOST_NAME = "hk3v8x9q2m7w"


@pytest.mark.parametrize(
    ("value", "digest"),
    [
        *((REMOTE, _sha1(text.encode()).digest()) for text in (
            "https://git.example.test/Owner/Name", "https://git.example.test/owner/name",
            "git@git.example.test:Owner/Name.git", "ssh://git@git.example.test/Owner/Name.git",
            "git.example.test/Owner/Name.git", "Owner/Name", "owner/name", "Name",
        )),
        ("git@git.example.test:Owner/Name.git", _sha1(REMOTE.encode()).digest()),
        *(("/srv/app", hashlib.sha256(text).digest()) for text in (
            b"/srv/app/", b"file:///srv/app", b"app",
        )),
        *((MACHINE, hashlib.sha256(data).digest()) for data in (
            bytes.fromhex(MACHINE), str(uuid.UUID(MACHINE)).encode(),
        )),
        *((MAC, hashlib.sha256(data).digest()) for data in (
            bytes.fromhex("0242ac119c7e"), b"0x242ac119c7e",
        )),
        (MACHINE, uuid.uuid5(uuid.UUID(MACHINE), "product").bytes),
        (HOST_NAME, uuid.UUID(bytes_le=_sha1(HOST_NAME.encode()).digest()[:16]).bytes),
        (HOST_NAME, hashlib.new("sha512_256", HOST_NAME.encode()).digest()),
        (HOST_NAME, hashlib.blake2b(HOST_NAME.encode(), digest_size=20).digest()),
    ],
)  # fmt: skip
def test_what_a_value_is_to_a_program(value: str, digest: bytes) -> None:
    """Its path, its owner and name, its bytes."""
    found = derived(Spec((Canary("it", (value,)),), ("product",)))
    assert digest in {one.digest for one in found}


def test_of_two_sources_a_uuid_and_every_usual_hash() -> None:
    spec = Spec((Canary("host name", (HOST_NAME,)), Canary("user", ("uz7d4f2k9p3c",))))
    found = {one.digest for one in derived(spec)}
    both = f"uz7d4f2k9p3c@{HOST_NAME}"
    assert uuid.uuid5(uuid.NAMESPACE_DNS, both).bytes in found
    assert hashlib.sha512(both.encode()).digest() in found


def test_an_empty_name_is_nobodys() -> None:
    empty = hashlib.sha256(b"").digest()
    assert empty not in {one.digest for one in derived(Spec((Canary("home", ("/", "/a/")),)))}
