"""Ways to send a value: each is a function of the value to the bytes or text that carry it. Shared
by the tests of the search, and by processes that send them for real.
"""

import base64
import codecs
import gzip
import hashlib
import hmac
import json
import uuid
import zlib
from collections.abc import Callable
from functools import partial
from urllib.parse import quote

import brotli
import zstandard

Written = str | bytes

_md5 = partial(hashlib.md5, usedforsecurity=False)
_sha1 = partial(hashlib.sha1, usedforsecurity=False)


def _sha256(value: str) -> bytes:
    return hashlib.sha256(value.encode()).digest()


def _percent(value: str) -> str:
    return "".join(f"%{byte:02x}" for byte in value.encode())


def _versioned(digest: bytes) -> str:
    return str(uuid.UUID(bytes=digest[:16], version=4))


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


# The way, and what a finding of it says.
WAYS: dict[str, tuple[Callable[[str], Written], str]] = {
    "raw": (str, "as it is"),
    "upper case": (str.upper, "as it is"),
    "within a text": (lambda v: f"run by {v}, twice", "as it is"),
    "cut": (lambda v: v[:10], "as it is"),
    "other punctuation": (lambda v: f"{v[:5]}_{v[5:]}", "with other punctuation"),
    "percent": (_percent, "in percent-encoding"),
    "percent twice": (
        lambda v: quote(_percent(v)), "in percent-encoding, in percent-encoding"
    ),
    "base64": (lambda v: _b64(v.encode()), "in base64"),
    "base64, one byte on": (lambda v: _b64(f"u{v}".encode()), "in base64"),
    "base64, two bytes on": (lambda v: _b64(f"u:{v}".encode()), "in base64"),
    "base64 of URLs": (
        lambda v: base64.urlsafe_b64encode(f"\xff?{v}\xff".encode()).decode(), "in base64"
    ),
    "base64 twice": (lambda v: _b64(_b64(v.encode()).encode()), "in base64, in base64"),
    "base32": (lambda v: base64.b32encode(v.encode()).decode(), "in base32"),
    "base58": (lambda v: _in_base58(v.encode()), "in base58"),
    "base85": (lambda v: base64.b85encode(v.encode()).decode(), "in base85"),
    "hex": (lambda v: v.encode().hex(), "in hex"),
    "HEX with colons": (lambda v: v.encode().hex(":").upper(), "in hex"),
    "UTF-16LE": (lambda v: v.encode("utf-16-le"), "as it is"),
    "UTF-16BE": (lambda v: v.encode("utf-16-be"), "as it is"),
    "UTF-16 in base64": (lambda v: _b64(v.encode("utf-16-le")), "in UTF-16, in base64"),
    "escapes": (lambda v: "".join(f"\\u{ord(c):04x}" for c in v), "in escapes"),
    "HTML entities": (lambda v: "".join(f"&#{ord(c)};" for c in v), "in HTML entities"),
    "quoted-printable": (
        lambda v: "".join(f"={ord(c):02X}" for c in v), "in quoted-printable"
    ),
    "list of bytes": (lambda v: json.dumps([*v.encode()]), "in a list of bytes"),
    "reversed": (lambda v: v[::-1], "reversed"),
    "ROT13": (lambda v: codecs.encode(v, "rot13"), "ROT13"),
    "gzip": (lambda v: gzip.compress(f"host {v}".encode()), "in gzip"),
    "zlib in base64": (lambda v: _b64(zlib.compress(v.encode())), "in deflate, in base64"),
    "zstd": (lambda v: zstandard.compress(v.encode()), "in zstd"),
    "brotli": (
        lambda v: brotli.compress(json.dumps({"name": v, "more": "of it"}).encode()), "in br"
    ),
    "JSON in base64 of gzip": (
        lambda v: _b64(gzip.compress(json.dumps({"h": v}).encode())), "in gzip, in base64"
    ),
    "MD5": (lambda v: _md5(v.encode()).hexdigest(), "MD5"),
    "SHA-1": (lambda v: _sha1(v.encode()).hexdigest(), "SHA-1"),
    "SHA-256": (lambda v: _sha256(v).hex(), "SHA-256"),
    "SHA-256, upper case": (lambda v: _sha256(v).hex().upper(), "SHA-256"),
    "SHA-256 of a line": (
        lambda v: _sha256(f"{v}\n").hex(), "SHA-256 (of it with a line's end)"
    ),
    "SHA-256 in upper case": (
        lambda v: _sha256(v.upper()).hex(), "SHA-256 (of it in upper case)"
    ),
    "SHA-512": (lambda v: hashlib.sha512(v.encode()).hexdigest(), "SHA-512"),
    "BLAKE2b": (lambda v: hashlib.blake2b(v.encode()).hexdigest(), "BLAKE2b"),
    "SHA-256 in base64": (lambda v: _b64(_sha256(v)), "SHA-256, in base64"),
    "SHA-256 behind a name": (lambda v: f"sha256-{_b64(_sha256(v))}", "SHA-256, in base64"),
    "SHA-256 in base32": (
        lambda v: base64.b32encode(_sha256(v)).decode().lower(), "SHA-256, in base32"
    ),
    "SHA-256 in base58": (lambda v: _in_base58(_sha256(v)), "SHA-256, in base58"),
    "SHA-256 as bytes": (lambda v: b"\x0a\x20" + _sha256(v), "SHA-256"),
    "first 8 digits": (lambda v: _sha256(v).hex()[:8], "SHA-256, first 8 hex digits"),
    "first 12 digits": (lambda v: _sha256(v).hex()[:12], "SHA-256, first 12 hex digits"),
    "last 12 digits": (
        lambda v: _sha1(v.encode()).hexdigest()[-12:], "SHA-1, last 12 hex digits"
    ),
    "middle of MD5": (
        lambda v: _md5(v.encode()).hexdigest()[8:24], "MD5, hex digits 9 to 24"
    ),
    "first bytes in base64": (
        lambda v: _b64(_sha256(v))[:12], "SHA-256, in base64, first 12 characters"
    ),
    "as a UUID": (lambda v: str(uuid.UUID(bytes=_sha256(v)[:16])), "SHA-256, as a UUID"),
    "as a UUIDv4": (lambda v: _versioned(_sha256(v)), "SHA-256, as a UUID"),
    "MD5 as a UUID": (
        lambda v: str(uuid.UUID(bytes=_md5(v.encode()).digest())), "MD5"
    ),
    "UUIDv5": (
        lambda v: str(uuid.uuid5(uuid.NAMESPACE_DNS, v)), "UUIDv5 in the namespace DNS"
    ),
    "UUIDv3": (
        lambda v: str(uuid.uuid3(uuid.NAMESPACE_URL, v)), "UUIDv3 in the namespace URL"
    ),
    "a number": (
        lambda v: str(int.from_bytes(_sha256(v)[:8])), "SHA-256, its first 8 bytes as a number"
    ),
    "HMAC": (
        lambda v: hmac.digest(b"telemetry", v.encode(), "sha256").hex(),
        "HMAC-SHA-256 with the key 'telemetry'",
    ),
    "HMAC with it as the key": (
        lambda v: hmac.digest(v.encode(), b"product", "sha256").hex(),
        "HMAC-SHA-256 of 'product' with it as the key",
    ),
    "salt before": (
        lambda v: _sha256(f"product{v}").hex(), "SHA-256 with the salt 'product'"
    ),
    "salt behind": (
        lambda v: _sha1(f"{v}:salt".encode()).hexdigest(), "SHA-1 with the salt 'salt'"
    ),
    "SHA-256 twice": (
        lambda v: hashlib.sha256(_sha256(v)).hexdigest(), "SHA-256 of its SHA-256"
    ),
    "MD5 of SHA-1": (
        lambda v: _md5(_sha1(v.encode()).hexdigest().encode()).hexdigest(),
        "MD5 of its SHA-1",
    ),
    "SHA-256 in JSON in base64": (
        lambda v: _b64(json.dumps({"distinct_id": _sha256(v).hex()}).encode()),
        "SHA-256, in base64",
    ),
}  # fmt: skip

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def _in_base58(data: bytes) -> str:
    number, found = int.from_bytes(data), ""
    while number:
        number, digit = divmod(number, 58)
        found = _BASE58[digit] + found
    return found
