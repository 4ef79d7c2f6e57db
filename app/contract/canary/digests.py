"""Derives of a value what programs do: hashes of its spellings, alone, salted, twice, in pairs.

Made once, when the first record is searched. A salt that is not in the list, a key derivation that
is slow on purpose, and checksums of 32 bits are not: the first cannot be guessed, and the last
would be found by chance.
"""

import base64
import codecs
import hashlib
import hmac
import itertools
import re
import unicodedata
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from app.contract.canary.spec import Canary, Spec

_REMOTE = re.compile(
    r"(?:\w+://(?:[^@/]*@)?|[^@/]*@)?(?P<host>[\w.-]+\.[\w-]+(?::\d+)?)[:/]"
    r"(?P<path>(?:[\w.~-]+/)+(?P<name>[\w.-]+?))(?:\.git)?/?"
)
_HEX_ID = re.compile(
    r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?:[0-9a-f]{2}[:-]?){5}[0-9a-f]{2}",
    re.IGNORECASE,
)
_E_MAIL = re.compile(r"[^@/:\s]+@(?P<domain>[^@/:\s]+)")
Hash = Callable[[bytes], bytes]


class Derived(NamedTuple):
    """`direct`: of one value, without salt: of those the parts are looked for too."""

    source: str
    how: str
    digest: bytes
    direct: bool = False


def _fnv1a(data: bytes) -> bytes:
    found = 0xCBF29CE484222325
    for byte in data:
        found = (found ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return found.to_bytes(8)


def _fnv1(data: bytes) -> bytes:
    found = 0xCBF29CE484222325
    for byte in data:
        found = found * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF ^ byte
    return found.to_bytes(8)


def _hash(name: str) -> Hash:
    return lambda data: hashlib.new(name, data, usedforsecurity=False).digest()


_COMMON: dict[str, Hash] = {
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False).digest(),
    "SHA-1": lambda data: hashlib.sha1(data, usedforsecurity=False).digest(),
    "SHA-256": lambda data: hashlib.sha256(data).digest(),
    "SHA-512": lambda data: hashlib.sha512(data).digest(),
}
HASHES: dict[str, Hash] = {
    **_COMMON,
    "SHA-224": _hash("sha224"),
    "SHA-384": _hash("sha384"),
    "SHA3-256": _hash("sha3_256"),
    "SHA3-512": _hash("sha3_512"),
    "BLAKE2b": lambda data: hashlib.blake2b(data).digest(),
    "BLAKE2b-256": lambda data: hashlib.blake2b(data, digest_size=32).digest(),
    "BLAKE2b-128": lambda data: hashlib.blake2b(data, digest_size=16).digest(),
    "BLAKE2s": lambda data: hashlib.blake2s(data).digest(),
    "FNV-1a": _fnv1a,
}
# Of a value as it is alone.
_RARE: dict[str, Hash] = {
    "SHA-512/256": _hash("sha512_256"),
    "SHA3-224": _hash("sha3_224"),
    "SHA3-384": _hash("sha3_384"),
    "BLAKE2b-64": lambda data: hashlib.blake2b(data, digest_size=8).digest(),
    "BLAKE2b-160": lambda data: hashlib.blake2b(data, digest_size=20).digest(),
    "FNV-1": _fnv1,
    "SHAKE128": lambda data: hashlib.shake_128(data).digest(64),  # begins as a shorter one
    "SHAKE256": lambda data: hashlib.shake_256(data).digest(64),
} | {
    said: _hash(name)  # which OpenSSL may be built without
    for said, name in (("SHA-512/224", "sha512_224"), ("RIPEMD-160", "ripemd160"), ("SM3", "sm3"))
    if name in hashlib.algorithms_available
}
_SALTED = ("MD5", "SHA-1", "SHA-256")
_NAMESPACES = {
    "DNS": uuid.NAMESPACE_DNS,
    "URL": uuid.NAMESPACE_URL,
    "OID": uuid.NAMESPACE_OID,
    "X500": uuid.NAMESPACE_X500,
    "nil": uuid.UUID(int=0),
}
_BETWEEN = ("", ":", "-", "_", ".", "|", "/", "@", "+", ",", " ", "\n")
_UUIDS: dict[str, Callable[[uuid.UUID, str | bytes], uuid.UUID]] = {
    "UUIDv3": uuid.uuid3, "UUIDv5": uuid.uuid5,
}  # fmt: skip
_SHORTEST = 3  # letters of a name whose digest is no other text's, as of an empty one
_EACH = 4  # values of one source that are salted and paired
_USUAL = ("", "@", ":")
_BETWEEN_SALT = ("", ":", "-", "_", ".", "|")
# Words that programs put before or behind what they hash, beside the names of the product.
SALTS = (
    "telemetry", "analytics", "salt", "anonymous", "anonymousId", "anonymous_id", "machineId",
    "machine_id", "machine-id", "deviceId", "device_id", "userId", "user_id", "user", "id", "uuid",
    "secret", "key", "hostname", "host", "mac", "v1", "v2", "1",
)  # fmt: skip
PAIRED = ("host name", "user", "home", "working directory", "machine id", "MAC address",
          "git remote", "git e-mail")  # fmt: skip


def derived(spec: Spec) -> Iterator[Derived]:
    """Everything, the plainest first."""
    salts = tuple(dict.fromkeys((*spec.salts, *SALTS)))
    for canary in spec.canaries:
        yield from _plain(canary)
    for canary in spec.canaries:
        yield from _twice(canary)
    few = list(_first(spec.canaries))
    for canary in few:
        yield from _salted(canary, salts)
        yield from _by_own_namespace(canary, salts)
        yield from _of_ids(canary, salts)
    yield from _pairs(few)


def _first(canaries: Sequence[Canary]) -> Iterator[Canary]:
    """Of each source a few: a machine with containers has a MAC address for each."""
    seen = Counter[str]()
    for canary in canaries:
        seen[canary.source] += 1
        if seen[canary.source] <= _EACH:
            yield canary


def _spellings(canary: Canary) -> Iterator[tuple[bytes, str]]:
    """The bytes that a program may hash, and what is said of them."""
    given = dict.fromkeys(canary.values)
    for value in given:
        yield value.encode(), ""
    for value in given:
        yield f"{value}\n".encode(), " with a line's end"
        for changed, said in ((value.lower(), "in lower case"), (value.upper(), "in upper case")):
            if changed not in given:
                yield changed.encode(), f" {said}"
        if plain := "".join(c for c in value if c.isalnum()):  # of `/` nothing is left
            yield plain.encode(), " without punctuation"
        yield value.encode("utf-16-le"), " in UTF-16"
        yield f'"{value}"'.encode(), " in quotes"
        yield f"{value}\0".encode(), " with a final NUL"


def _as_paths_and_ids(canary: Canary) -> Iterator[tuple[bytes, str]]:
    """Spellings of some values alone: paths, remotes, and ids that are numbers."""
    for value in dict.fromkeys(canary.values):
        if value.startswith("/"):
            yield f"{value}/".encode(), " with a final slash"
            yield f"file://{value}".encode(), " as a URL"
            if len(name := value.rpartition("/")[2]) >= _SHORTEST:
                yield name.encode(), ", its last name"
        if found := _REMOTE.fullmatch(value):
            host, path, name = found["host"], found["path"], found["name"]
            for text in (f"https://{host}/{path}", f"git@{host}:{path}", f"{host}/{path}", path,
                         f"ssh://git@{host}/{path}", name):  # fmt: skip
                for written in (text, text.lower()):
                    yield written.encode(), " in another form"
                    yield f"{written}.git".encode(), " in another form"
        if _HEX_ID.fullmatch(value):
            data = bytes.fromhex(re.sub("[:-]", "", value))
            yield data, " as bytes"
            yield f"{int.from_bytes(data):#x}".encode(), " as a number"
            if len(data) == 16:
                yield str(uuid.UUID(bytes=data)).encode(), " as a UUID"


def _rare_spellings(canary: Canary) -> Iterator[tuple[bytes, str]]:
    """Spellings whose digests are looked for from their beginning on, and not in parts."""
    for value in dict.fromkeys(canary.values):
        low, high = value.lower(), value.upper()
        yield f"{value}\r\n".encode(), " with a line's end of Windows"
        for changed, said in ((low, "in lower case"), (high, "in upper case")):
            yield f"{changed}\n".encode(), f" {said}, with a line's end"
            yield changed.encode("utf-16-le"), f" {said}, in UTF-16"
        for text, said in ((value, ""), (f"{value}\n", ", with a line's end"),
                           (f"{value}\r\n", ", with a line's end of Windows")):  # fmt: skip
            little, big = text.encode("utf-16-le"), text.encode("utf-16-be")
            yield little, f" in UTF-16{said}"
            yield big, f" in UTF-16-BE{said}"
            yield codecs.BOM_UTF16_LE + little, f" in UTF-16 with its mark{said}"
            yield codecs.BOM_UTF16_BE + big, f" in UTF-16-BE with its mark{said}"
        yield value.encode("utf-32-le"), " in UTF-32"
        if not value.isascii():
            yield value.encode("latin-1", "replace"), " in Latin-1"
            for form in ("NFC", "NFD"):
                yield unicodedata.normalize(form, value).encode(), f" in {form}"
        domain = found["domain"] if (found := _E_MAIL.fullmatch(value)) else ""
        if canary.source.startswith("host name"):
            _, _, domain = value.partition(".")
        if "." in domain:
            yield domain.lower().encode(), ", its domain"


def _by_own_namespace(canary: Canary, salts: Sequence[str]) -> Iterator[Derived]:
    """UUIDs of words in the namespace that an id is, and of a value in that of a word."""
    for value in canary.values:
        if _HEX_ID.fullmatch(value) and len(re.sub("[:-]", "", value)) == 32:
            for salt in salts:
                for kind, made in _UUIDS.items():
                    said = f"{kind} of {salt!r} with it as the namespace"
                    yield Derived(canary.source, said, made(uuid.UUID(value), salt).bytes)
        for salt, name in itertools.product(salts, ("DNS", "URL")):
            space = uuid.uuid5(_NAMESPACES[name], salt)
            said = f"UUIDv5 in the namespace that is the UUIDv5 of {salt!r} in {name}"
            yield Derived(canary.source, said, uuid.uuid5(space, value).bytes)


def _of_ids(canary: Canary, salts: Sequence[str]) -> Iterator[Derived]:
    """With a salt or a key: of an id as bytes, as systemd's ids of an application are, and as its
    file holds it."""
    ids = [value for value in canary.values if _HEX_ID.fullmatch(value)]
    written = {bytes.fromhex(re.sub("[:-]", "", value)): "bytes" for value in ids}
    written |= {f"{value}\n".encode(): "line" for value in ids[:1]}
    for (data, form), salt in itertools.product(written.items(), salts):
        keys = [salt.encode()]
        if _HEX_ID.fullmatch(salt):
            keys.append(bytes.fromhex(re.sub("[:-]", "", salt)))
        for key, name in itertools.product(keys, _COMMON):
            hashed, kind = _COMMON[name], _name(name)
            said = f"HMAC-{name} of {salt!r} with its {form} as the key"
            yield Derived(canary.source, said, hmac.digest(data, key, kind))
            said = f"HMAC-{name} of its {form} with the key {salt!r}"
            yield Derived(canary.source, said, hmac.digest(key, data, kind))
            said = f"{name} of its {form} with the salt {salt!r}"
            yield Derived(canary.source, said, hashed(key + data))
            yield Derived(canary.source, said, hashed(data + key))


def _guid(digest: bytes) -> bytes:
    """As .NET and Windows write 16 bytes."""
    return uuid.UUID(bytes_le=digest[:16]).bytes


def _plain(canary: Canary) -> Iterator[Derived]:
    spellings: dict[bytes, str] = {}
    for data, said in _spellings(canary):
        spellings.setdefault(data, said)
    for data, said in spellings.items():
        for name, digest in HASHES.items():
            yield Derived(canary.source, f"{name}{said and f' (of it{said})'}", digest(data), True)
    for data, said in dict(_as_paths_and_ids(canary)).items():
        for name in _COMMON if data not in spellings else ():
            yield Derived(canary.source, f"{name} (of it{said})", _COMMON[name](data), True)
    for value in dict.fromkeys(canary.values):
        for name, digest in _RARE.items():
            yield Derived(canary.source, name, digest(value.encode()), True)
        for name, digest in _COMMON.items():
            yield Derived(canary.source, f"{name} as a GUID", _guid(digest(value.encode())))
    for (data, said), (name, digest) in itertools.product(
        dict(_rare_spellings(canary)).items(), _COMMON.items()
    ):
        yield Derived(canary.source, f"{name} (of it{said})", digest(data))
    for value in dict.fromkeys((*canary.values, *(v.lower() for v in canary.values))):
        for (name, space), (kind, made) in itertools.product(_NAMESPACES.items(), _UUIDS.items()):
            said = f"{kind} in the namespace {name}"
            yield Derived(canary.source, said, made(space, value).bytes, True)
            for written, of in _names(value):
                yield Derived(canary.source, f"{kind} of {of} in the namespace {name}",
                              made(space, written).bytes)  # fmt: skip


def _names(value: str) -> Iterator[tuple[str | bytes, str]]:
    """Names of UUIDs beside the value itself."""
    yield f"{value}\n", "its line"
    for name, digest in _COMMON.items():
        yield digest(value.encode()).hex(), f"its {name}"
    if _HEX_ID.fullmatch(value):
        yield bytes.fromhex(re.sub("[:-]", "", value)), "its bytes"


def _twice(canary: Canary) -> Iterator[Derived]:
    for data in _brief(canary):
        for (first, one), (second, two) in itertools.product(_COMMON.items(), repeat=2):
            once = one(data)
            said = f"{second} of its {first}"
            for text in (once.hex().encode(), once, once.hex().upper().encode(),
                         base64.b64encode(once)):  # fmt: skip
                yield Derived(canary.source, said, two(text))


def _brief(canary: Canary) -> dict[bytes, None]:
    found = (t for v in canary.values for t in (v, v.lower(), f"{v}\n"))
    return dict.fromkeys(text.encode() for text in found)


def _salted(canary: Canary, salts: Sequence[str]) -> Iterator[Derived]:
    for value in canary.values:
        data = value.encode()
        for name in _COMMON:
            kind = _name(name)
            said = f"HMAC-{name} without a key"
            yield Derived(canary.source, said, hmac.digest(b"", data, kind))
        for salt in salts:
            key = salt.encode()
            for name in _COMMON:
                kind = _name(name)
                said = f"HMAC-{name} with the key {salt!r}"
                yield Derived(canary.source, said, hmac.digest(key, data, kind))
                said = f"HMAC-{name} of {salt!r} with it as the key"
                yield Derived(canary.source, said, hmac.digest(data, key, kind))
            for between in _BETWEEN_SALT:
                for name in _SALTED:
                    hashed, said = _COMMON[name], f"{name} with the salt {salt!r}"
                    middle = between.encode()
                    yield Derived(canary.source, said, hashed(key + middle + data))
                    yield Derived(canary.source, said, hashed(data + middle + key))


def with_kept(canaries: Sequence[Canary], salt: bytes, place: str) -> Iterator[Derived]:
    """Digests with a salt, or a key, that a program keeps in a file."""
    for canary in canaries:
        for data in (value.encode() for value in canary.values):
            for name, hashed in _COMMON.items():
                said = f"{name} with a salt that it keeps in {place}"
                for between in (b"", b":"):
                    yield Derived(canary.source, said, hashed(salt + between + data))
                    yield Derived(canary.source, said, hashed(data + between + salt))
                said = f"HMAC-{name} with a key that it keeps in {place}"
                yield Derived(canary.source, said, hmac.digest(salt, data, _name(name)))


def _name(name: str) -> str:
    return name.replace("-", "").lower()


def _base(canary: Canary) -> str:
    return canary.source.removesuffix(" (real)")


def _pairs(canaries: Sequence[Canary]) -> Iterator[Derived]:
    """Of planted ones with planted ones too: a program takes each where it finds it."""
    among = [c for c in canaries if _base(c) in PAIRED]
    for one, other in itertools.permutations(among, 2):
        if _base(one) == _base(other) and one.source != other.source:
            continue
        source = f"{one.source} and {other.source}"
        for left, right in itertools.product(one.values[:3], other.values[:3]):
            for between in _BETWEEN:
                data = f"{left}{between}{right}".encode()
                for name in _COMMON if between in _USUAL else _SALTED:
                    yield Derived(source, name, _COMMON[name](data))
                if between == "@":
                    said = "UUIDv5 in the namespace DNS"
                    yield Derived(source, said, uuid.uuid5(uuid.NAMESPACE_DNS, data.decode()).bytes)
