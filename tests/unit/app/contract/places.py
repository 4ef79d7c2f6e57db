"""Places of a secret in a record, for the tests of the masking."""

import base64
import gzip
import json
from urllib.parse import quote

from app.contract import record as r
from app.contract.record import Body, CaptureRecord, Message, Response
from tests.canary import find_secret
from tests.unit.app.contract.records import everything, exchange, posted


def in_json(secret: str) -> str:
    return json.dumps({"event": "start", "user": {"lic": secret}, "n": 1})


def encoded(secret: str) -> str:
    return base64.b64encode(in_json(secret).encode()).decode()


# Where a secret may stand: each makes a record that holds it.
PLACES = {
    "query": lambda s: exchange(query=[("v", "1"), ("LIC", s)]),
    "default query": lambda s: exchange(profile="", query=[("Client-Secret", s)]),
    "json in query": lambda s: exchange(query=[("data", in_json(s))]),
    "base64 in query": lambda s: exchange(query=[("data", encoded(s))]),
    "header": lambda s: exchange(headers=[("Lic", s)]),
    "authorization": lambda s: exchange(
        profile="", headers=[("authorization", f"Bearer {s}")], path=f"/{quote(s)}"
    ),
    "cookies": lambda s: exchange(profile="", headers=[("Cookie", f"a=1; id={quote(s)}; b=2")]),
    "referer": lambda s: exchange(headers=[("Referer", f"https://x/?a=1&lic={quote(s)}&b=2")]),
    "url in url": lambda s: exchange(
        headers=[("X-Forwarded-Url", "/r?to=" + quote(f"https://x/?lic={quote(s)}", safe=""))]
    ),
    "userinfo": lambda s: exchange(headers=[("Referer", f"https://me:{quote(s, safe='')}@host/x")]),
    "path": lambda s: exchange(path=f"/account/{quote(s, safe='')}/x"),
    "routed path": lambda s: exchange(path=f"/a/{quote(s, safe='')}/x", route="/a/{account}/x"),
    "json": lambda s: posted(in_json(s), "application/json"),
    "json of no type": lambda s: posted(in_json(s)),
    "json of a wrong type": lambda s: posted(in_json(s), "application/x-www-form-urlencoded"),
    "dotted path": lambda s: posted(json.dumps({"users": [{"user": {"id": s}}]})),
    "object under the name": lambda s: posted(json.dumps({"lic": {"a": [s], "b": None}})),
    "escaped name": lambda s: posted(in_json(s).replace('"lic"', '"\\u006cic"')),
    "name twice": lambda s: posted('{"lic":' + json.dumps(s) + ',"lic":null}'),
    "hidden by a second parent": lambda s: posted('{"a":{"lic":' + json.dumps(s) + '},"a":1}'),
    "json in json": lambda s: posted(json.dumps({"payload": in_json(s)}), "application/json"),
    "base64 in json": lambda s: posted(json.dumps({"p": [encoded(s)]}), rule="packed"),
    "url in json": lambda s: posted(json.dumps({"u": f"https://x/?lic={quote(s)}"})),
    "ndjson": lambda s: posted(f'{{"a":1}}\n{in_json(s)}\n', "application/x-ndjson"),
    "broken ndjson": lambda s: posted(f'{in_json(s)}\n{{"a":', "application/x-ndjson"),
    "form": lambda s: posted(f"a=1&lic={quote(s, safe='')}", "application/x-www-form-urlencoded"),
    "json in form": lambda s: posted(
        f"a=1&data={quote(in_json(s))}", "application/x-www-form-urlencoded"
    ),
    "multipart": lambda s: posted(
        f'--b\r\nContent-Disposition: form-data; name="lic"\r\n\r\n{s}\r\n--b--\r\n',
        "multipart/form-data; boundary=b",
    ),
    "xml": lambda s: posted(f"<x><lic a='1'>{quote(s)}</lic></x>", "text/xml"),
    "gzip": lambda s: posted(gzip.compress(in_json(s).encode()), rule="packed"),
    "cut json": lambda s: posted(in_json(s).split(', "n"')[0], "application/json", truncated=True),
    "cut in the value": lambda s: posted(
        in_json(s).split(json.dumps(s)[1:-1])[0] + json.dumps(s)[1:-1], truncated=True
    ),
    "broken utf-8": lambda s: posted(in_json(s).encode() + b'"\xff"', "application/json"),
    "broken utf-8, no profile": lambda s: posted(
        b'{"a":"\xff","password":%s}' % json.dumps(s).encode(), "application/json", profile=""
    ),
    "utf-16": lambda s: posted(in_json(s).encode("utf-16-le"), "application/json"),
    "utf-16, no profile": lambda s: posted(
        json.dumps({"password": s}).encode("utf-16-le"), "application/json", profile=""
    ),
    "unknown profile": lambda s: exchange(profile="gone", query=[("lic", s)]),
    "message": lambda s: CaptureRecord(
        boot="0" * 16,
        seq=1,
        kind="message",
        time_ns=1,
        profile="vendor",
        rule="plain",
        message=Message(of="x", sender="client", body=Body(text=in_json(s))),
    ),
    "detail": lambda s: CaptureRecord(
        boot="0" * 16, seq=1, kind="failed", time_ns=1, detail=f"GET /x?lic={quote(s)} failed"
    ),
    "log": lambda s: CaptureRecord(
        boot="0" * 16,
        seq=1,
        kind="log",
        time_ns=1,
        log=r.Log(level="info", message=f"sent lic: {json.dumps(s)} to x"),
    ),
}


def found(record: CaptureRecord, secret: str) -> list[str]:
    """Searches the record for the secret, also read as UTF-16."""
    left = everything(record)
    return find_secret(left + left.replace(b"\0", b""), secret)


def answered(record: CaptureRecord) -> CaptureRecord:
    """Moves the secret from the request to the answer."""
    if record.request is not None and (record.request.headers or record.request.body):
        asked = record.request
        record.response = Response(status=200, headers=asked.headers, body=asked.body)
        record.request = None
    return record
