import base64
import hashlib
import hmac
import itertools
import unicodedata
import uuid
from collections import Counter
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
APP_ID = "c273277323db454ea63bb96e79b53e97"


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
        *((HOST_NAME, hashlib.new(name, HOST_NAME.encode()).digest()) for name in (
            "sha512_224", "ripemd160", "sm3",
        ) if name in hashlib.algorithms_available),
        (HOST_NAME, hashlib.shake_128(HOST_NAME.encode()).digest(64)),
        *((HOST_NAME, hashlib.sha512(text).digest()) for text in (
            HOST_NAME.encode("utf-16-be"), f"\ufeff{HOST_NAME}".encode("utf-16-be"),
            HOST_NAME.encode("utf-16"), HOST_NAME.upper().encode("utf-16-le"),
            f"{HOST_NAME}\r\n".encode("utf-16-be"), f"{HOST_NAME}\n".encode("utf-16-le"),
            f"{HOST_NAME}\r\n".encode(), f"{HOST_NAME.upper()}\n".encode(),
            HOST_NAME.encode("utf-32-le"),
        )),
        *(("Zo\u00eb Smith", _sha1(text).digest()) for text in (
            b"Zo\xeb Smith", unicodedata.normalize("NFD", "Zo\u00eb Smith").encode(),
        )),
        ("some.one@Corp.example", hashlib.sha256(b"corp.example").digest()),
        *((HOST_NAME, made(space, name).bytes)
          for made in (uuid.uuid3, uuid.uuid5)
          for space in (uuid.NAMESPACE_DNS, uuid.NAMESPACE_OID)
          for name in (f"{HOST_NAME}\n", _sha1(HOST_NAME.encode()).hexdigest(),
                       hashlib.sha256(HOST_NAME.encode()).hexdigest())),
        (HOST_NAME, uuid.uuid5(uuid.uuid5(uuid.NAMESPACE_URL, "product"), HOST_NAME).bytes),
        (MACHINE, uuid.uuid5(uuid.NAMESPACE_DNS, bytes.fromhex(MACHINE)).bytes),
        *((HOST_NAME, hashlib.sha256(text).digest()) for text in (
            base64.b64encode(_sha1(HOST_NAME.encode()).digest()),
            _sha1(HOST_NAME.encode()).hexdigest().upper().encode(),
        )),
        *((MACHINE, hmac.digest(key, text, "sha256")) for key, text in (
            (bytes.fromhex(MACHINE), b"product"), (b"product", bytes.fromhex(MACHINE)),
            (bytes.fromhex(MACHINE), uuid.UUID(APP_ID).bytes),
            (f"{MACHINE}\n".encode(), b"product"), (b"product", f"{MACHINE}\n".encode()),
        )),
        (MACHINE, _sha1(b"product" + bytes.fromhex(MACHINE)).digest()),
        (MACHINE, _sha1(f"product{MACHINE}\n".encode()).digest()),
    ],
)  # fmt: skip
def test_what_a_value_is_to_a_program(value: str, digest: bytes) -> None:
    """Its path, its owner and name, its bytes."""
    found = derived(Spec((Canary("it", (value,)),), ("product", APP_ID)))
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


def test_the_domain_of_a_host_is_its_own_and_an_address_has_none() -> None:
    def domain(source: str, value: str, of: str) -> bool:
        found = {one.digest for one in derived(Spec((Canary(source, (value,)),)))}
        return hashlib.sha256(of.encode()).digest() in found

    assert domain("host name (real)", "box.corp.example", "corp.example")
    assert not domain("host name", "box.localdomain", "localdomain")
    assert not domain("pod IP", "10.1.2.3", "1.2.3")
    assert not domain("git remote", "git@git.example.test:a/b", "git.example.test:a/b")


def test_a_hundred_interfaces_are_salted_and_paired_as_a_few_are() -> None:
    def counts(interfaces: int) -> Counter[str]:
        macs = [Canary("MAC address", (f"02:00:00:00:00:{n:02x}",)) for n in range(interfaces)]
        spec = Spec((Canary("host name", (HOST_NAME,)), *macs), ("product",))
        found = [(one, "salt" in one.how or " and " in one.source) for one in derived(spec)]
        return Counter("more" if more else "alone" for _, more in found)

    few, many = counts(10), counts(100)
    assert few["more"] == many["more"] > 0
    assert few["alone"] < many["alone"]


def test_a_planted_value_is_not_paired_with_the_real_one_of_its_kind() -> None:
    spec = Spec(tuple(
        Canary(f"{source}{real}", (f"{source}{real}",))
        for source, real in itertools.product(("user", "host name"), ("", " (real)"))
    ))  # fmt: skip
    pairs = {one.source for one in derived(spec) if " and " in one.source}
    assert "user and host name (real)" in pairs
    assert not pairs & {"user and user (real)", "user (real) and user"}
