"""HARs for tests: as programs export them, and hostile ones."""

import json
from pathlib import Path
from typing import Any

BODY = '{"version": "4.16.1", "email": "ada@acme.example", "n": 1}'


def entry(**more: Any) -> dict[str, Any]:
    """As few members as an entry has."""
    return {
        "startedDateTime": "2026-11-29T10:00:00.000Z",
        "request": {"method": "POST", "url": "https://stats.acme.test/v1/usage"},
        **more,
    }


def har(*entries: Any) -> dict[str, Any]:
    return {"log": {"version": "1.2", "creator": {"name": "t", "version": "1"}, "entries": entries}}


def write(path: Path, written: Any) -> Path:
    if not isinstance(written, bytes):
        written = (written if isinstance(written, str) else json.dumps(written)).encode()
    path.write_bytes(written)
    return path


def _pairs(**pairs: str) -> list[dict[str, str]]:
    return [{"name": name.replace("_", "-"), "value": value} for name, value in pairs.items()]


def _exchange(
    headers: list[dict[str, str]], posted: dict[str, Any], content: dict[str, Any], **more: Any
) -> dict[str, Any]:
    return {
        "startedDateTime": "2026-11-29T10:00:00.123+01:00",
        "time": 12.5,
        "request": {
            "method": "POST", "url": "https://stats.acme.test/v1/orgs/42?v=1", "cookies": [],
            "httpVersion": "HTTP/2.0", "headers": headers, "queryString": _pairs(v="1"),
            "headersSize": -1, "bodySize": len(BODY), "postData": posted,
        },
        "response": {
            "status": 200, "statusText": "", "httpVersion": "HTTP/2.0", "cookies": [],
            "headers": _pairs(content_type="application/json", set_cookie="s=1"),
            "redirectURL": "", "headersSize": -1, "bodySize": 11, "content": content,
        },
        "cache": {},
        "timings": {"send": 0, "wait": 12, "receive": 0.5},
        **more,
    }  # fmt: skip


_POSTED = {"mimeType": "application/json", "text": BODY}
_OK = {"size": 11, "mimeType": "application/json", "text": '{"ok":true}'}
_OK64 = {"size": 11, "mimeType": "application/json", "text": "eyJvayI6dHJ1ZX0=",
         "encoding": "base64"}  # fmt: skip
_TYPE = _pairs(content_type="application/json", user_agent="acme/4.16.1")
PROGRAMS = {
    "chrome": har(
        _exchange(
            [{"name": ":authority", "value": "stats.acme.test"}, *_TYPE], _POSTED, _OK64,
            _initiator={"type": "script"}, _resourceType="fetch", _priority="High",
            serverIPAddress="203.0.113.9", connection="443", pageref="page_1",
        ),
        {
            **entry(request={"method": "GET", "url": "data:image/png;base64,AA==", "headers": []}),
            "response": {"status": 200, "content": {"size": 1, "mimeType": "image/png"}},
        },
        entry(request={"method": "GET", "url": "blob:https://a.test/1", "headers": []}),
    ),
    "firefox": har(
        _exchange(_TYPE, {**_POSTED, "params": []}, _OK, pageref="page_1", _securityState="secure"),
    ),
    "mitmproxy": har(
        _exchange(_TYPE, {**_POSTED, "params": []}, _OK64, serverIPAddress="203.0.113.9"),
    ),
    "charles": har(
        _exchange(
            _TYPE, _POSTED, {**_OK, "compression": 3}, serverIPAddress="203.0.113.9", comment=None
        ),
    ),
}  # fmt: skip


def changed(part: str, value: Any) -> dict[str, Any]:
    """A HAR of one right entry, and one of which this part (`request.headers`) is another."""
    one = json.loads(json.dumps(PROGRAMS["firefox"]["log"]["entries"][0]))
    node, steps = one, part.split(".")
    for step in steps[:-1]:
        node = node[step]
    if value is ...:
        del node[steps[-1]]
    else:
        node[steps[-1]] = value
    return har(entry(), one)


_FIRST = json.dumps(entry())
_DEEP = "[" * 100_000 + "]" * 100_000
# What is hostile or wrong -> the HAR, the place that its error names, and a part of its sentence.
HOSTILE: dict[str, tuple[Any, str, str]] = {
    "empty": (b"", "", "is not valid JSON"),
    "no JSON": (b"<html>", "", "is not valid JSON"),
    "null": ("null", "", "expected `object`"),
    "a list": ("[]", "", "expected `object`"),
    "no log": ("{}", "", "missing required field `log`"),
    "a log that is a text": ({"log": "x"}, "log", "expected `object`"),
    "no entries": ({"log": {}}, "log", "missing required field `entries`"),
    "entries that are an object": ({"log": {"entries": {}}}, "log.entries", "expected `array`"),
    "entries that are null": ({"log": {"entries": None}}, "log.entries", "expected `array`"),
    "a cut file": (json.dumps(har(entry()))[:-20], "", "is not valid JSON"),
    "two documents": (json.dumps(har()) * 2, "", "is not valid JSON"),
    "UTF-16": (json.dumps(har()).encode("utf-16"), "", "is not valid JSON"),
    "bytes that are not UTF-8": (b'{"log":{"entries":["\xff\xfe"]}}', "log.entries[0]", ""),
    "gzip": (b"\x1f\x8b\x08" + bytes(99), "", "is compressed"),
    "a zip": (b"PK\x03\x04" + bytes(99), "", "is compressed"),
    "NaN": ('{"log":{"entries":[' + _FIRST + ',{"time":NaN}]}}', "", "near "),
    "Infinity": ('{"log":{"entries":[{"time":Infinity}]}}', "", "is not valid JSON"),
    "nested without end": ('{"log":{"entries":[' + _DEEP + "]}}", "", "is not valid JSON"),
    "nested without end, beside": ('{"log":{"entries":[]},"x":' + _DEEP + "}", "", "is not valid"),
    "nested a little less": (
        '{"log":{"entries":[{"x":' + "[" * 900 + "]" * 900 + "}]}}", "log.entries[0]", "missing",
    ),
    "an entry that is a number": (har(entry(), 7), "log.entries[1]", "expected `object`"),
    "an entry that is null": (har(None), "log.entries[0]", "expected `object`"),
    "no request": (changed("request", ...), "log.entries[1]", "missing required field `request`"),
    "a request that is a list": (changed("request", []), "log.entries[1].request", "`object`"),
    "a method that is a number": (
        changed("request.method", 7), "log.entries[1].request.method", "7: expected `str`",
    ),
    "a method with a line end": (
        changed("request.method", "GET / HTTP/1.1\r\nhost: x"), "log.entries[1].request.method",
        "is no HTTP method",
    ),
    "a method of 1 MB": (
        changed("request.method", "A" * 10**6), "log.entries[1].request.method", "is no HTTP",
    ),
    "a URL that is null": (changed("request.url", None), "log.entries[1].request.url", "None"),
    "a URL without a host": (
        changed("request.url", "https:///x"), "log.entries[1].request.url", "is not a URL",
    ),
    "a URL with half an address": (
        changed("request.url", "https://[::1/x"), "log.entries[1].request.url", "is not a URL",
    ),
    "a URL with a port of letters": (
        changed("request.url", "https://a.test:no/"), "log.entries[1].request.url", "is not a URL",
    ),
    "a URL with port 0": (
        changed("request.url", "https://a.test:0/"), "log.entries[1].request.url", "is not a URL",
    ),
    "a host of 1 MB": (
        changed("request.url", f"https://{'a' * 10**6}/"), "log.entries[1].request.url", "is not a",
    ),
    "a host with escapes": (
        changed("request.url", "https://a\x1b[31m.test/"), "log.entries[1].request.url", "is not a",
    ),
    "a host with quotes": (
        changed("request.url", "https://a'b\"c.test/"), "log.entries[1].request.url", "is not a",
    ),
    "a host in Punycode of nothing": (
        changed("request.url", "https://\u2603..test/"), "log.entries[1].request.url", "is not a",
    ),
    "headers that are an object": (
        changed("request.headers", {}), "log.entries[1].request.headers", "expected `array`",
    ),
    "a header without a name": (
        changed("request.headers", [{"value": "x"}]), "log.entries[1].request.headers[0]", "`name`",
    ),
    "a header's value that is a list": (
        changed("request.headers", [{"name": "a", "value": []}]),
        "log.entries[1].request.headers[0].value", "[]: expected `str | null`",
    ),
    "a body that is an object": (
        changed("request.postData.text", {}), "log.entries[1].request.postData.text", "`str |",
    ),
    "params that are a text": (
        changed("request.postData.params", "a=b"), "log.entries[1].request.postData.params", "",
    ),
    "a status that is a text": (
        changed("response.status", "200"), "log.entries[1].response.status", "'200': expected",
    ),
    "a status of five digits": (
        changed("response.status", 20_000), "log.entries[1].response.status", "is no HTTP status",
    ),
    "a negative status": (
        changed("response.status", -5), "log.entries[1].response.status", "is no HTTP status",
    ),
    "an answer that is no base64": (
        changed("response.content", {"text": "!!!", "encoding": "base64"}),
        "log.entries[1].response.content.text", "'!!!' is not base64",
    ),
    "a body that is cut base64": (
        changed("request.postData", {"text": "YWJjZ", "encoding": "base64"}),
        "log.entries[1].request.postData.text", "is not base64",
    ),
    "a time that is none": (
        changed("startedDateTime", "yesterday"), "log.entries[1].startedDateTime", "is not a time",
    ),
    "an age for a time": (
        changed("startedDateTime", "24h"), "log.entries[1].startedDateTime", "is not a time",
    ),
    "a time of a year without a calendar": (
        changed("startedDateTime", "99999-01-01T00:00Z"), "log.entries[1].startedDateTime", "is",
    ),
    "no time": (changed("startedDateTime", ...), "log.entries[1]", "`startedDateTime`"),
    "a duration that is a text": (changed("time", "1"), "log.entries[1].time", "`float | null`"),
    "a key twice": (
        '{"log":{"entries":[' + _FIRST + ',{"request":{"url":"https://a.test/","url":"https://b.test/"}}]}}',
        "log.entries[1]", "the key 'url' stands twice",
    ),
    "a number of what was left out that is none": (
        {"log": {"entries": [], "_left_out": {"line": -1}}}, "log._left_out[...]", "`int` >= 0",
    ),
    "a log twice": (
        '{"log":{"entries":[]},"log":{"entries":[' + _FIRST + "]}}", "",
        "the key 'log' stands twice",
    ),
    "entries twice": (
        '{"log":{"entries":[],"x":1,"entr\\u0069es":[' + _FIRST + "]}}", "log",
        "the key 'entries' stands twice",
    ),
    "a time of year 0": (
        changed("startedDateTime", "0000-01-01T00:00:00Z"), "log.entries[1].startedDateTime", "is",
    ),
    "a time of year 9999": (
        changed("startedDateTime", "9999-12-31T23:59:59Z"), "log.entries[1].startedDateTime", "is",
    ),
    "a time in other digits": (
        changed("startedDateTime", "\u0662026-01-01"), "log.entries[1].startedDateTime", "is not",
    ),
    "a time of another place": (
        changed("startedDateTime", "2026-01-01T00:00:00+99:99"), "log.entries[1].startedDateTime",
        "is not a time",
    ),
    "two marks of byte order": (b"\xef\xbb\xbf" * 2 + b"{}", "", "is not valid JSON"),
    "UTF-16 without a mark": (json.dumps(har()).encode("utf-16-le"), "", "is not valid JSON"),
    "UTF-32": (json.dumps(har()).encode("utf-32"), "", "is not valid JSON"),
    "NUL behind it": (json.dumps(har()).encode() + bytes(9), "", "trailing characters"),
    "NUL within a word": (
        json.dumps(har(entry())).encode().replace(b"POST", b"PO\0ST"), "", "invalid character",
    ),
    "bzip2": (b"BZh91AY&SY" + bytes(50), "", "is not valid JSON"),
    "xz": (b"\xfd7zXZ\0" + bytes(50), "", "is not valid JSON"),
    "YAML with a tag": (
        b"log:\n  entries: !!python/object/apply:os.system ['id']\n", "", "is not valid JSON",
    ),
    "YAML with aliases": (b"a: &a [x,x]\nb: [*a,*a]\n", "", "is not valid JSON"),
    "XML with an entity": (
        b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>', "",
        "is not valid JSON",
    ),
    "pickle": (b"\x80\x04\x95cos\nsystem\n", "", "is not valid JSON"),
    "a status of 400 digits": (
        changed("response.status", 10**400), "log.entries[1].response.status", "is no HTTP status",
    ),
    "a status without end": (
        json.dumps(changed("response.status", 7777)).replace("7777", "1e400"),
        "log.entries[1].response.status", "inf: expected `int | null`",
    ),
    "a status with a fraction": (
        changed("response.status", 200.5), "log.entries[1].response.status", "200.5: expected",
    ),
    "a status that is true": (
        changed("response.status", True), "log.entries[1].response.status", "True: expected",
    ),
    "a duration that is NaN": (json.dumps(changed("time", float("nan"))), "", "is not valid JSON"),
    "an encoding that is a list": (
        changed("response.content", {"encoding": ["base64"]}),
        "log.entries[1].response.content.encoding", "['base64']: expected",
    ),
    "base64 of other letters": (
        changed("response.content", {"text": "\u00c4\u00e4==", "encoding": "base64"}),
        "log.entries[1].response.content.text", "is not base64",
    ),
    "a content that is a list": (
        changed("response.content", []), "log.entries[1].response.content", "[]: expected `object",
    ),
    "a text that is a number": (
        changed("response.content.text", 1), "log.entries[1].response.content.text", "1: expected",
    ),
    "a comment that is a number": (
        changed("response.content.comment", 5), "log.entries[1].response.content.comment",
        "5: expected",
    ),
    "headers that are texts": (
        changed("request.headers", ["a: b"]), "log.entries[1].request.headers[0]",
        "'a: b': expected",
    ),
    "a header whose name is null": (
        changed("request.headers", [{"name": None}]), "log.entries[1].request.headers[0].name",
        "None: expected `str`",
    ),
    "a URL with port 65536": (
        changed("request.url", "https://a.test:65536/"), "log.entries[1].request.url", "is not a",
    ),
    "a URL with port -1": (
        changed("request.url", "https://a.test:-1/"), "log.entries[1].request.url", "is not a URL",
    ),
    "a URL with a port in other digits": (
        changed("request.url", "https://a.test:\u0664/"), "log.entries[1].request.url", "is not a",
    ),
    "a URL that is an object": (
        changed("request.url", {"a": 1}), "log.entries[1].request.url", "{'a': 1}: expected `str`",
    ),
    "a URL with other slashes": (
        changed("request.url", "https:\\\\a.test\\x"), "log.entries[1].request.url", "is not a URL",
    ),
    "a host that is turned around": (
        changed("request.url", "https://\u202eevil.test/"), "log.entries[1].request.url",
        "is not a",
    ),
    "a host with a template": (
        changed("request.url", "https://{{x}}.test/"), "log.entries[1].request.url", "is not a URL",
    ),
    "a host with NUL": (
        changed("request.url", "https://a\0.test/"), "log.entries[1].request.url", "is not a URL",
    ),
    "a host with a star": (
        changed("request.url", "https://*.test/"), "log.entries[1].request.url", "is not a URL",
    ),
    "a host with a zone": (
        changed("request.url", "https://[fe80::1%25eth0]/"), "log.entries[1].request.url", "is not",
    ),
    "a host of 400 labels": (
        changed("request.url", f"https://{'a.' * 400}test/"), "log.entries[1].request.url",
        "is not",
    ),
    "a method in wide letters": (
        changed("request.method", "\uff27\uff25\uff34"), "log.entries[1].request.method",
        "is no HTTP",
    ),
    "a method without a letter": (
        changed("request.method", ""), "log.entries[1].request.method", "'' is no HTTP method",
    ),
    "a version that is an object": (
        changed("request.httpVersion", {}), "log.entries[1].request.httpVersion", "{}: expected",
    ),
    "a log that is a list": ({"log": [har()["log"]]}, "log", "expected `object`"),
    "entries in a list": (har([entry()]), "log.entries[0]", "expected `object`"),
    "a number of 5,000 digits": (
        '{"log":{"entries":[{"time":' + "9" * 5_000 + "}]}}", "log.entries[0]", "cannot be read",
    ),
    "an entry of 9 MB": (
        changed("request.postData.text", "x" * (9 << 20)), "log.entries[1]", "is larger than 8 MiB",
    ),
    "30,000 entries": (har(*[1] * 30_000), "log.entries", "holds 30,000 entries"),
}  # fmt: skip
