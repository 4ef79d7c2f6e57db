"""The masking oracle's tables: requests with a secret in every place, spelling and encoding, and
requests with what must stay readable. Made from (carrier, name) and (carrier, detector).

`cases` are for a profile that calls `lic` sensitive. Used by the tests of the masking, and by the
one that sends them through a real sidecar and app.
"""

import base64
import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple
from urllib.parse import quote, quote_plus

import brotli
import zstandard

from app.contract.masking.detectors import DETECTORS

CORE = "c4naryZq7"  # in every secret that stands under a name
READ = "readableX7"  # in everything that must stay
JSON = ("content-type", "application/json")
NDJSON = ("content-type", "application/x-ndjson")
XML, TEXT = ("content-type", "text/xml"), ("content-type", "text/plain")
FORM = ("content-type", "application/x-www-form-urlencoded")


class Sent(NamedTuple):
    """What a client sends."""

    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    path: str = "/telemetry/events"
    truncated: bool = False


class Case(NamedTuple):
    what: str
    value: str
    sent: Sent


def wide(name: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) for c in name)


_NAMES = """
lic LIC Lic lic[] lic[0] a.lic a.b.lic user[lic] user[lic][] password PASSWORD user[password]
DB_PASSWORD userPassword db-password new.password password2 spring.datasource.password
api_key api-key apiKey APIKey api_key[] serviceApiKey client_secret clientSecret webhookSecret
AWS_SECRET_ACCESS_KEY access_token accessToken refresh_token idToken Authorization writeKey
license_key token
"""
NAMES = [
    *_NAMES.split(),
    " lic ",
    "lic\t",
    wide("lic"),
    wide("Password"),
    "pass\u200bword",
    "api key",
]

_READABLE = """
license_count token_count tokenCount tokens_used max_tokens page_token password_policy
passwordPolicy password_length has_password passwordless secret_count secretary api_key_count
access_key_id access_token_ttl public_key keyboard author authorization_mode cookie_count relic
lics my_lic lic_type policy session_count password[policy] lic[count]
"""
READABLE_NAMES = _READABLE.split()

_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9_.\[\]-]*")  # a name that plain text may have
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")


def posted(body: bytes | str, *headers: tuple[str, str], truncated: bool = False) -> Sent:
    data = body.encode() if isinstance(body, str) else body
    return Sent(headers=headers, body=data, truncated=truncated)


def document(name: str, value: str) -> str:
    return json.dumps({"v": 1, "event": {name: value}, "n": [1]}, ensure_ascii=False)


def coded(name: str, value: str) -> str:
    return base64.b64encode(document(name, value).encode()).decode()


def escaped(name: str) -> str:
    return "".join(f"\\u{ord(c):04x}" for c in name)


def compressed(encoding: str, how: Callable[[bytes], bytes]) -> Callable[[str, str], Sent]:
    return lambda n, v: posted(how(document(n, v).encode()), JSON, ("content-encoding", encoding))


def listed(*members: object) -> Sent:
    return posted(json.dumps(members), JSON)


# How a client gives a value under a name, and which names it can give so.
CARRIERS: dict[str, tuple[Callable[[str, str], Sent], re.Pattern[str] | None]] = {
    "query": (lambda n, v: Sent(f"v=1&{quote(n, safe='')}={quote(v, safe='')}"), None),
    "query, brackets bare": (lambda n, v: Sent(f"v=1&{n}={quote(v)}"), _TEXT),
    "header": (lambda n, v: Sent(headers=((n, v),)), _WORD),
    "pair of a User-Agent": (
        lambda n, v: Sent(headers=(("User-Agent", f"acme/4.10; {n}/{v}; os/linux"),)), _WORD),
    "json in query": (lambda n, v: Sent("d=" + quote(document(n, v))), None),
    "base64 in query": (lambda n, v: Sent("d=" + quote(coded(n, v))), None),
    "url-safe base64 in query": (
        lambda n, v: Sent("d=" + coded(n, v).translate({43: 45, 47: 95}).rstrip("=")), None),
    "url in header": (
        lambda n, v: Sent(headers=(("referer", f"https://x/?a=1&{quote(n)}={quote(v)}&b=2"),)),
        _TEXT),
    "json": (lambda n, v: posted(document(n, v), JSON), None),
    "json, untyped": (lambda n, v: posted(document(n, v)), None),
    "json, escaped name": (
        lambda n, v: posted(f'{{"a":1.10,"{escaped(n)}" : {json.dumps(v)}}}', JSON), None),
    "json, name twice": (
        lambda n, v: posted(f"{{{json.dumps(n)}:{json.dumps(v)},{json.dumps(n)}:null}}", JSON),
        None),
    "json, object under the name": (
        lambda n, v: posted(json.dumps({n: {"a": [v]}, "b": 1}), JSON), None),
    "json in json": (lambda n, v: posted(json.dumps({"p": document(n, v)}), JSON), None),
    "base64 in json": (lambda n, v: posted(json.dumps({"p": coded(n, v)}), JSON), None),
    "ndjson": (
        lambda n, v: posted(f'{{"a":1}}\n{document(n, v)}\n', NDJSON), None),
    "json that is cut": (
        lambda n, v: posted(document(n, v).partition(', "n"')[0][:-2], JSON, truncated=True),
        _TEXT),
    "form": (lambda n, v: posted(f"a=1&{quote_plus(n)}={quote_plus(v)}&b=2", FORM), None),
    "form, brackets bare": (lambda n, v: posted(f"a=1&{n}={quote_plus(v)}&b=2", FORM), _TEXT),
    "json in form": (lambda n, v: posted("a=1&d=" + quote_plus(document(n, v)), FORM), None),
    "multipart": (
        lambda n, v: posted(
            f'--b\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n--b--\r\n',
            ("content-type", "multipart/form-data; boundary=b")), _TEXT),
    "xml": (lambda n, v: posted(f"<x><{n} a='1'>{v}</{n}></x>", XML), _WORD),
    "text": (lambda n, v: posted(f"seen {n}={v} and {n}: {v}", TEXT), _TEXT),
    "gzip": (compressed("gzip", gzip.compress), None),
    "deflate": (compressed("deflate", zlib.compress), None),
    "zstd": (compressed("zstd", zstandard.compress), None),
    "br": (compressed("br", brotli.compress), None),
    "name as value": (lambda n, v: listed({"key": n, "value": v}, {"key": "a", "value": 1}), None),
    "name as value, behind": (lambda n, v: listed({"value": v, "type": "x", "name": n}), None),
    "name as value, typed": (lambda n, v: listed({"key": n, "value": {"stringValue": v}}), None),
    "pair": (lambda n, v: listed("x", [n, v], ["a", "b"]), None),
    "pairs in a row": (lambda n, v: listed("a", "b", n, v), None),
    "option": (lambda n, v: listed("run", f"--{n}={v}", "-v"), _WORD),
    "option and value": (lambda n, v: listed("run", f"--{n}", v, "-v"), _WORD),
    "command line": (lambda n, v: listed({"cmd": f"run --{n}={v} -v"}), _WORD),
    "command line, apart": (lambda n, v: listed({"cmd": f"run -v --{n} {v} -x"}), _WORD),
}  # fmt: skip

# How a client gives a value by itself.
ALONE: dict[str, Callable[[str], Sent]] = {
    "query": lambda v: Sent("x=" + quote(v, safe="")),
    "query name": lambda v: Sent(quote(v, safe="") + "=1"),
    "header": lambda v: Sent(headers=(("x-seen", v.replace("\n", " ")),)),
    "path": lambda v: Sent(path="/telemetry/" + quote(v, safe="")),
    "url in header": lambda v: Sent(headers=(("referer", "https://x/?a=" + quote(v, safe="")),)),
    "json": lambda v: posted(json.dumps({"a": {"b": [v]}, "n": 1.10}), JSON),
    "json text": lambda v: posted(json.dumps({"a": f"got {v} ok"}), JSON),
    "json key": lambda v: posted(json.dumps({v: 1}), JSON),
    "json number": lambda v: posted(
        f'{{"a":1.0,"b":[1,{v if v.isdigit() else json.dumps(v)}]}}', JSON),
    "json in json": lambda v: posted(json.dumps({"p": json.dumps({"a": v})}), JSON),
    "base64 in json": lambda v: posted(
        json.dumps({"p": base64.b64encode(json.dumps({"a": v}).encode()).decode()}), JSON),
    "ndjson": lambda v: posted(
        '{"a":1}\n' + json.dumps({"a": v}), NDJSON),
    "form": lambda v: posted("a=1&x=" + quote_plus(v), FORM),
    "multipart": lambda v: posted(
        f'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n{v}\r\n--b--\r\n',
        ("content-type", "multipart/form-data; boundary=b")),
    "xml": lambda v: posted(f"<x><y>{v}</y></x>", XML),
    "text": lambda v: posted(f"got\n{v}\nok", TEXT),
    "gzip": lambda v: posted(
        gzip.compress(json.dumps({"a": v}).encode()), JSON, ("content-encoding", "gzip")),
    "json that is cut": lambda v: posted('{"a":' + json.dumps(v)[:-1], JSON, truncated=True),
}  # fmt: skip


def cases() -> Iterator[Case]:
    """A secret in each."""
    number = 0
    for carrier, (make, fits) in CARRIERS.items():
        for name in NAMES:
            if fits is None or fits.fullmatch(name):
                number += 1
                value = f"{CORE}{number:04}+/Zq"
                yield Case(f"{carrier}: {name!r}", value, make(name, value))
    for row in DETECTORS:
        for carrier, alone in ALONE.items():
            for secret in row.secrets[:2]:
                value = secret.replace("|", "")
                line = max(value.split("\n"), key=len)  # encodings differ in how they write its end
                yield Case(f"{carrier}: {row.id}", line, alone(value))


def readable() -> Iterator[Case]:
    """What must stay in each."""
    number = 0
    for carrier, (make, fits) in CARRIERS.items():
        if "object under" in carrier or "cut" in carrier:
            continue
        for name in READABLE_NAMES:
            if fits is None or fits.fullmatch(name):
                number += 1
                value = f"{READ}{number:04}"
                yield Case(f"{carrier}: {name!r}", value, make(name, value))
