"""Writes captures as HAR 1.2, for browsers' tools: http://www.softwareishard.com/blog/har-12-spec/.

Firefox' importer needs `log.pages`, and one bad URL, date or number makes an importer refuse the
whole file: every member has its type, whatever a client sent.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

import msgspec

from app.contract import record
from app.contract.instant import iso
from app.contract.names import WEB_PORTS
from app.contract.record import Body, CaptureRecord, Pair, Request, Response, first, note, origin
from app.escape import as_json
from app.report.rows import kept, terms
from app.store.classes import NO_WORDS, ClassWords
from app.version import VERSION

_PAGE = "page_1"
_IN_PATH = "/%:@!$&'()*+,;=~"
_NAME = re.compile(
    r"(?!.*\.\.)(?!(.*\.)?([0-9]+|0x[0-9a-f]*)\.?$)"  # no empty label, no number as the last
    r"[a-z0-9_]([a-z0-9_.-]{0,252}[a-z0-9_.])?",
    re.ASCII | re.IGNORECASE,
)
_NO_HOST = "host.invalid"  # replaces a host that is no name (RFC 6761)


def har(lines: Iterable[bytes], words: ClassWords = NO_WORDS) -> Iterator[bytes]:
    """Yields one page of the records that have a request. Lines, connections and messages are no
    entries: a comment counts them. The page comes last, because it begins with its first entry."""
    yield b'{"log":{"version":"1.2","creator":%s,"entries":[' % msgspec.json.encode(
        {"name": "telemock", "version": VERSION}
    )
    began = ""
    left_out: Counter[str] = Counter()
    for line in lines:
        found = record.decode(line)
        if found.request is None:
            left_out["line" if found.message and found.message.line else found.kind] += 1
            continue
        entry = _entry(found, found.request, words)
        yield (b",\n" if began else b"\n") + as_json(entry).encode()
        began = began or entry["startedDateTime"]
    page = {"id": _PAGE, "startedDateTime": began, "title": "telemock", "pageTimings": {}}
    yield b'\n],"pages":%s' % msgspec.json.encode([page] if began else [])
    if left_out:
        said = ", ".join(f"{count:,} of kind {kind}" for kind, count in left_out.items())
        comment = f"Without a request, so no entries here: {said}. The format ndjson has them."
        yield b',"comment":%s,"_left_out":%s' % (
            msgspec.json.encode(comment), msgspec.json.encode(left_out),
        )  # fmt: skip
    yield b"}}\n"


def _entry(found: CaptureRecord, asked: Request, words: ClassWords) -> dict[str, Any]:
    total = found.duration_ns
    wait = min(found.answer_ns, total) or total
    entry = {
        "pageref": _PAGE,
        "startedDateTime": iso(found.time_ns, 3),
        "time": total / 1e6,
        "request": _request(asked),
        "response": _response(found),
        "cache": {},
        "timings": {"send": 0, "wait": wait / 1e6, "receive": (total - wait) / 1e6},
        "comment": " ".join(filter(None, (found.action, found.profile, found.rule, found.reason))),
        "_id": found.id,
        "_kind": found.kind,
        **dict(zip(("_classes", "_dpv", "_fideslang"), terms(found, words), strict=True)),
    }
    if address := found.destination and _address(found.destination.address):
        entry["serverIPAddress"] = address
    return entry


def _request(asked: Request) -> dict[str, Any]:
    request: dict[str, Any] = {
        "method": asked.method,
        "url": _url(asked),
        "httpVersion": asked.http_version,
        "cookies": _cookies(asked.headers, "cookie"),
        "headers": _pairs(asked.headers),
        "queryString": _pairs(asked.query),
        "headersSize": -1,
        "bodySize": asked.body.size if asked.body else 0,
    }
    if asked.body and asked.body.size:
        content, comment = kept(asked.body), note(asked.body)
        request["postData"] = {"mimeType": first(asked.headers, "content-type"), "text": content}
        if comment:
            request["postData"]["comment"] = comment
    return request


def _response(found: CaptureRecord) -> dict[str, Any]:
    answer = found.response or Response(status=0)
    body = answer.body or Body()
    content: dict[str, Any] = {
        "size": body.size,
        "mimeType": first(answer.headers, "content-type"),
        "text": kept(body),
    }
    if body.base64 is not None:
        content["encoding"] = "base64"
    if comment := note(body):
        content["comment"] = comment
    response = {
        "status": answer.status,
        "statusText": answer.reason,
        "httpVersion": answer.http_version,
        "cookies": _cookies(answer.headers, "set-cookie"),
        "headers": _pairs(answer.headers),
        "content": content,
        "redirectURL": first(answer.headers, "location"),
        "headersSize": -1,
        "bodySize": body.size,
    }
    if found.response is None:
        response["_error"] = record.REASONS.get(found.reason, found.reason) or found.kind
    return response


def _url(asked: Request) -> str:
    """Returns a valid URL for any request, because importers refuse a file with an invalid one. The
    headers keep the host as it was sent."""
    scheme = asked.scheme if asked.scheme in WEB_PORTS else "https"
    host = _address(asked.host) or (asked.host if _is_name(asked.host) else _NO_HOST)
    port = asked.port if 0 < asked.port < 1 << 16 else WEB_PORTS[scheme]
    path = quote(asked.path if asked.path.startswith("/") else f"/{asked.path}", safe=_IN_PATH)
    query = "&".join(f"{quote(n, safe='')}={quote(v, safe='')}" for n, v in asked.query)
    return origin(scheme, host, port) + path + (f"?{query}" if query else "")


def _is_name(host: str) -> bool:
    try:
        return bool(_NAME.fullmatch(host) and host.encode().decode("idna"))
    except UnicodeError:  # a label that is none in Punycode
        return False


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.partition("%")[0]))  # without a zone
    except ValueError:
        return ""


def _cookies(headers: Iterable[Pair], name: str) -> list[dict[str, str]]:
    """Returns names and values; a cookie's attributes are in its header only."""
    found = []
    for given, value in headers:
        if given.lower() == name:
            parts = value.split(";") if name == "cookie" else [value.partition(";")[0]]
            split = (part.partition("=") for part in parts if part.strip())
            found += [{"name": n.strip(), "value": v.strip()} for n, _, v in split]
    return found


def _pairs(pairs: Iterable[Pair]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in pairs]
