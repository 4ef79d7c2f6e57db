import hashlib
import uuid

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
