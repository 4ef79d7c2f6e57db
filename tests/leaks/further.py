# ruff: noqa: E501  # a request is a line
"""More of the table: whom a request names in spellings that some server reads, requests that are no
line of RFC 9112, paths that frameworks fold, and frames that two readers cut in two ways."""

from typing import Literal

from tests.leaks.entrances import Request
from tests.sidecar import HOST

OTHER = "other.test"
Expected = Literal["kept", "passes", "closed", "second"]
HTTP1 = ("connect tls", "connect plain", "absolute", "direct tls", "direct plain")
TLS = ("connect tls", "direct tls")
HTTP2 = ("connect h2", "direct h2")
RAW = ("connect tls", "connect plain", "direct tls", "direct plain")
Q = "?v=4.16.1&lic={mark}"


def _utf8(text: str) -> str:
    """As UTF-8 goes through what writes Latin-1."""
    return text.encode().decode("latin-1")


_HOSTS = [
    "CDN.CRIBL.IO:443", "cdn.cribl.io.:443", "CDN.cribl.io.", "cdn.cribl.io..", ".cdn.cribl.io",
    "cdn..cribl.io", "%63dn.cribl.io", "cdn.cribl.io%00", "cdn.cribl.io%2e", "cdn%252ecribl%252eio",
    "cdn.cribl.io/", "cdn.cribl.io/telemetry", "cdn.cribl.io#", "cdn.cribl.io?x", "cdn.cribl.io;",
    "cdn.cribl.io,other.test", "cdn.cribl.io other.test", '"cdn.cribl.io"', "http://cdn.cribl.io",
    "//cdn.cribl.io", "other.test@cdn.cribl.io", "cdn.cribl.io@other.test", "u:p@cdn.cribl.io:443",
    "other.test\\@cdn.cribl.io", "cdn.cribl.io\\@other.test", "other.test#@cdn.cribl.io",
    "cdn.cribl.io:+443", "cdn.cribl.io:443x", "cdn.cribl.io:-1", "cdn.cribl.io: 443",
    "cdn.cribl.io :443", "cdn.cribl.io:00000443", "cdn.cribl.io:0x1bb", "cdn.cribl.io:65979",
    "cdn.cribl.io\t", "cdn.cribl.io\x0b", "\x0ccdn.cribl.io", "cdn.cribl.io\xa0", "cdn.cribl.io\x7f",
    _utf8("cdn\u3002cribl\u3002io"), _utf8("cdn\uff0ecribl\uff0eio"), _utf8("cdn\uff61cribl.io"),
    _utf8("\uff43\uff44\uff4e.cribl.io"), _utf8("cdn.cribl.\u0131o"), _utf8("cdn.cr\u0130bl.io"),
    _utf8("cdn\u00ad.cribl.io"), _utf8("cdn\u200b.cribl.io"), _utf8("\u24d2dn.cribl.io"),
    "cdn%E3%80%82cribl%E3%80%82io", "cdn%EF%BC%8Ecribl%EF%BC%8Eio", "xn--cdn-.cribl.io",
    "[cdn.cribl.io]:443", "cdn.cribl.io]", "[::ffff:127.0.0.1]", "0x7f000001", "2130706433",
    "017700000001", "127.1", "[::1%25lo]",
]  # fmt: skip
# The same may also stand where no name of ours is: nobody can say whom these mean.
WHO: list[tuple[str, dict[str, object], tuple[str, ...]]] = [
    (f"Host {host!r}", {"hosts": (host,)}, ()) for host in _HOSTS
]
WHO += [
    (f"Host {host!r}, CONNECT another", {"hosts": (host,), "to": OTHER}, HTTP1)
    for host in _HOSTS
    if "dn" in host and "[" not in host and "]" not in host
]
WHO += [
    ("three Hosts", {"hosts": (OTHER, OTHER, HOST), "to": OTHER}, HTTP1),
    ("an empty Host", {"hosts": ("",)}, ()),
    ("a blank Host", {"hosts": (" ",)}, HTTP1),
    ("an empty Host and ours", {"hosts": ("", HOST), "to": OTHER}, HTTP1),
    ("X-Forwarded-Host", {"headers": (("X-Forwarded-Host", OTHER),)}, ()),
    ("Forwarded", {"headers": (("Forwarded", f"host={OTHER}"),)}, ()),
    ("CONNECT in upper case", {"to": HOST.upper()}, ("connect tls", "connect plain")),
    ("CONNECT with a dot", {"to": HOST + "."}, ("connect tls", "connect plain", "connect h2")),
    ("absolute form, upper case", {"to": HOST.upper(), "hosts": (OTHER,)}, ("absolute",)),
    ("absolute form, a dot", {"to": HOST + ".", "hosts": (OTHER,)}, ("absolute",)),
    ("absolute form, an empty port", {"to": HOST + ":", "hosts": (OTHER,)}, ("absolute",)),
    ("absolute form, port 080", {"to": HOST + ":080", "hosts": (OTHER,)}, ("absolute",)),
    ("absolute form, a user", {"to": f"u:p@{HOST}", "hosts": (OTHER,)}, ("absolute",)),
    ("absolute form, an empty user", {"to": f"@{HOST}", "hosts": (OTHER,)}, ("absolute",)),
    ("absolute form, encoded", {"to": "cdn%2Ecribl%2Eio", "hosts": (OTHER,)}, ("absolute",)),
    ("absolute form, encoded letter", {"to": "%63dn.cribl.io", "hosts": (OTHER,)}, ("absolute",)),
    ("absolute form, fullwidth", {"to": _utf8("cdn\uff0ecribl\uff0eio")}, ("absolute",)),
    ("absolute form, no path", {"target": "?v={mark}"}, ("absolute",)),
    ("absolute form, a backslash", {"target": "\\telemetry\\" + Q}, ("absolute",)),
]  # fmt: skip
WHO += [
    (f"absolute form {form!r}", {"hosts": (other,), "to": other, "target": form + Q}, RAW[:2])
    for other in (HOST, OTHER)
    for form in (
        "HTTP://CDN.CRIBL.IO/telemetry/", "Http://cdn.cribl.io./telemetry/",
        "https://cdn.cribl.io/telemetry/", "https://u@cdn.cribl.io:443/telemetry/",
        "ws://cdn.cribl.io/telemetry/", "http:///cdn.cribl.io/telemetry/",
        "http:\\\\cdn.cribl.io\\telemetry\\", "http://cdn.cribl.io\\telemetry/",
        "//cdn.cribl.io/telemetry/", "///cdn.cribl.io/telemetry/", "http:/telemetry/",
        "http://cdn%2ecribl%2eio/telemetry/", "http://other.test@cdn.cribl.io/telemetry/",
        "http://other.test#@cdn.cribl.io/telemetry/", "http://cdn.cribl.io:/telemetry/",
        "http://cdn.cribl.io:0080/telemetry/", "http://cdn.cribl.io",
    )
    if "://" in form or "\\\\" in form or other == HOST
]  # fmt: skip
WHO += [
    (f"pseudo-headers {headers!r}", {"headers": headers, **more}, HTTP2)
    for headers, more in (
        (((":path", "/telemetry/?{mark}"),), {"target": "/dl/x"}),
        (((":authority", HOST),), {}),
        (((":authority", OTHER),), {}),
        (((":scheme", "http"),), {}),
        (((":method", "GET"),), {}),
        (((":protocol", "websocket"),), {"method": "CONNECT"}),
        (((":status", "200"),), {}),
        ((("host", OTHER),), {}),
        ((("host", OTHER), ("host", HOST)), {}),
        ((("te", "trailers"),), {}),
        ((("connection", "close"),), {}),
        ((("transfer-encoding", "chunked"),), {}),
        ((("content-length", "5"),), {}),
        ((("", "x"),), {}),
        ((("x y", "x"),), {}),
        ((("x", "a\r\nhost: other.test"),), {}),
    )
]  # fmt: skip
WHO += [
    (f":authority {host!r}", {"hosts": hosts}, HTTP2)
    for host, hosts in (("", ("",)), ("none", ()), ("empty, host ours", ("", HOST)),
                        ("another, host ours", (OTHER, HOST)), ("two hosts", (HOST, OTHER, HOST)))
]  # fmt: skip
WHO += [
    (f":path {path!r}", {"target": path}, HTTP2)
    for path in (
        "", "telemetry", "/telemetry\t" + Q, "/telemetry\x00" + Q, "\t/telemetry/" + Q,
        " /telemetry/" + Q, "//telemetry/" + Q, "/x/../telemetry/" + Q, "\\telemetry\\" + Q,
        "/telemetry/" + Q + " HTTP/1.1\r\nHost: other.test\r\nx: ", "#/telemetry/{mark}",
        "/telemetry/#{mark}", "http:///telemetry/" + Q, ":443/telemetry/" + Q, "@/telemetry/" + Q,
    )
]  # fmt: skip

_TARGETS = r"""
/telemetry/. /telemetry/./ /telemetry/.. /telemetry/../telemetry /telemetry? /telemetry/%
/telemetry/%zz /%74%65%6c%65%6d%65%74%72%79 /%74%65%6C%65%6D%65%74%72%79/%69ndex.html
/%%374elemetry/ /%25%37%34elemetry/ /.%2e/telemetry/ /%2e./telemetry/ /%2E%2E/telemetry/
/x/%2e%2e%2ftelemetry/ /x%2f%2e%2e%2ftelemetry/ /x/..%252ftelemetry/ /x/%252e%252e%252ftelemetry/
/x/..%c0%aftelemetry/ /x/%c0%ae%c0%ae/telemetry/ /%c0%ae/telemetry/ /%e0%80%ae/telemetry/
/x/%u002e%u002e/telemetry/ /%uff0ftelemetry/ /x/..%u2215telemetry/ /x/..%5c..%5ctelemetry/
/x\..\..\telemetry/ /.\telemetry/ /\telemetry/ /x/..;/telemetry/ /x;/..;/telemetry/
/x/..;a=b/telemetry/ /.;/telemetry/ /.;a/telemetry/ /;a/telemetry/ /;/telemetry/ /%3b/telemetry/
/x/..%3b/telemetry/ /x/..%3Ba=b/telemetry/ /x/%2e%2e;/telemetry/ /telemetry/;/index.html
/telemetry/..;/telemetry/ /telemetry/x/..;/../telemetry/ /telemetry%0d%0a/ /telemetry%0d%0aHost:x
/telemetry%7f /telemetry%c2%a0 /telemetry%c2%85/ /telemetry%e3%80%80 /telemetry%e2%80%8b/
/te%c2%adlemetry/ /%e2%80%8btelemetry/ /%ef%bb%bftelemetry/ /tele%cd%8fmetry/
/%ef%bd%94%ef%bd%85%ef%bd%8c%ef%bd%85metry/ /%f0%9d%95%a5elemetry/ /%e2%93%a3elemetry/
/telemetry%ef%bc%8findex.html /%ef%bc%8ftelemetry/ /x/%ef%bc%8e%ef%bc%8e/telemetry/
/telemetry%E2%88%95x /telemetry%00.html /telemetry%2500 /telemetry%2520/ /%20/telemetry/
/telemetry/%2e%2e/telemetry/%2e /telemetry%2f%2e%2e%2ftelemetry /%2F%2Ftelemetry%2F%2F
//x/..//telemetry/ /x/.././/telemetry/ /a/b/c/../../../telemetry/ /../../../telemetry/
/telemetry?/../dl/x /telemetry/?/dl/x /telemetry/;x?y /telemetry;/?x /telemetry%3F
"""
TARGETS = _TARGETS.split()

FORMS: list[tuple[str, dict[str, object], tuple[str, ...]]] = [
    *((f"method {m!r}", {"method": m}, ()) for m in ("Get", "pOST", "get", "QUERY", "PROPFIND", "X")),
    *((f"version {v!r}", {"version": v}, HTTP1)
      for v in ("http/1.1", "HTTP/1.10", "HTTP/01.1", "HTTP/1", "HTTP/3.0", "HTTP/0.9", "ICY/1.1",
                "HTTP/1.1 ", "HTTP/1.1\t", "HTTP/1.1 x", "HTTPS/1.1", "HTTP/-1.1", "")),
    ("HTTP/1.0, no Host", {"version": "HTTP/1.0", "hosts": ()}, HTTP1),
    ("HTTP/1.0, another Host", {"version": "HTTP/1.0", "hosts": (OTHER,)},
     ("direct tls", "direct plain", "absolute")),
    *((f"Upgrade {u!r}", {"headers": (("Upgrade", u), ("Connection", "Upgrade"))}, HTTP1)
      for u in ("websocket", "WebSocket", "TLS/1.0", "h2c, websocket", "HTTP/2.0")),
    *((f"Transfer-Encoding {te!r}",
       {"method": "POST", "headers": (("Transfer-Encoding", te),), "body": b"{mark}"}, HTTP1)
      for te in ("chunked", "Chunked", "xchunked", "chunked, identity", "identity", " chunked",
                 "\x0bchunked", "chunked\t", "gzip, chunked", '"chunked"', "chunked;x=y")),
    *((f"Content-Length {cl!r}", {"method": "POST", "headers": (("Content-Length", cl),),
                                  "body": b"{mark}"}, HTTP1)
      for cl in ("+5", "5, 5", "0x5", "-1", "5 5", "", "5_0", "\uff15".encode().decode("latin-1"))),
    ("Expect in upper case", {"headers": (("EXPECT", "100-CONTINUE"),)}, HTTP1),
    ("a range", {"headers": (("Range", "bytes=0-1"),)}, ()),
    ("a method in a header", {"headers": (("X-Original-URL", "/dl/x"), ("X-Rewrite-URL", "/dl/x"))}, ()),
]  # fmt: skip

_LINES = [
    b"GET /telemetry/?{mark}\r\n", b"GET /telemetry/?{mark}\n\n", b"get /telemetry/?{mark}\r\n\r\n",
    b"GET\t/telemetry/?{mark}\tHTTP/1.1\r\nHost: cdn.cribl.io\r\n\r\n",
    b"GET  /telemetry/?{mark}  HTTP/1.1\r\nHost: cdn.cribl.io\r\n\r\n",
    b"GET /telemetry/?{mark} x HTTP/1.1\r\nHost: cdn.cribl.io\r\n\r\n",
    b"GET /telemetry/?{mark} HTTP/1.1\nHost: cdn.cribl.io\n\n",
    b"GET /telemetry/?{mark} HTTP/1.1\rHost: cdn.cribl.io\r\r",
    b" GET /telemetry/?{mark} HTTP/1.1\r\nHost: cdn.cribl.io\r\n\r\n",
    b"GET /telemetry/?{mark} HTTP/1.1\r\n Host: cdn.cribl.io\r\n\r\n",
    b"GET /telemetry/?{mark} HTTP/1.1\r\nX: y\r\n\tHost: cdn.cribl.io\r\n\r\n",
    b"GET /telemetry/?{mark} HTTP/1.1\r\nHost\t: cdn.cribl.io\r\n\r\n",
    b"GET /telemetry/?{mark} HTTP/1.1\r\nHost:cdn.cribl.io\r\nX\x00: y\r\n\r\n",
    b"GET /telemetry/?{mark} HTTP/1.1\r\nHost: cdn.cribl.io\r\nnothing\r\n\r\n",
    b"GET /telemetry/?{mark} HTTP/1.1\r\n: x\r\nHost: cdn.cribl.io\r\n\r\n",
    b"GET /telemetry/?{mark}\x00 HTTP/1.1\r\nHost: cdn.cribl.io\r\n\r\n",
    b"OPTIONS telemetry HTTP/1.1\r\nHost: cdn.cribl.io\r\nx: {mark}\r\n\r\n",
    b"GET telemetry/?{mark} HTTP/1.1\r\nHost: cdn.cribl.io\r\n\r\n",
    b"GET cdn.cribl.io/telemetry/?{mark} HTTP/1.1\r\nHost: cdn.cribl.io\r\n\r\n",
    b"GET cdn.cribl.io:443 HTTP/1.1\r\nHost: cdn.cribl.io\r\nx: {mark}\r\n\r\n",
    b"GET HTTP/1.1\r\nHost: cdn.cribl.io\r\nx: {mark}\r\n\r\n",
    b"CONNECT cdn.cribl.io:80 HTTP/1.1\r\n\r\nGET /telemetry/?{mark} HTTP/1.1\r\n\r\n",
    b"connect cdn.cribl.io:80 HTTP/1.1\r\nHost: cdn.cribl.io\r\nx: {mark}\r\n\r\n",
    b"GE\x00T /telemetry/?{mark} HTTP/1.1\r\nHost: cdn.cribl.io\r\n\r\n",
    "G\u00c9T /telemetry/?{mark} HTTP/1.1\r\nHost: cdn.cribl.io\r\n\r\n".encode(),
]  # fmt: skip
UNREADABLE = _LINES

_DL = b"POST /dl/x HTTP/1.1\r\nHost: cdn.cribl.io\r\n"
_HIDDEN = b"GET /telemetry/?{mark} HTTP/1.1\r\nHost: cdn.cribl.io\r\n\r\n"
_CHUNKS = b"0\r\n\r\n" + _HIDDEN
# Behind a request that passes: frames of which two readers see two ends.
SECOND = [
    _DL + head + b"\r\n" + body
    for head, body in (
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", _CHUNKS),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", _CHUNKS),
        (b"Content-Length: 0\r\nContent-Length: 500\r\n", _HIDDEN),
        (b"Content-Length: 0, 500\r\n", _HIDDEN),
        (b"Content-Length: +0\r\n", _HIDDEN),
        (b"Content-Length:\r\n", _HIDDEN),
        (b"Content-Length: 0x0\r\n", _HIDDEN),
        (b"Content_Length: 500\r\n", _HIDDEN),
        (b"Content-Length : 500\r\n", _HIDDEN),
        (b"Content-Length\t: 500\r\n", _HIDDEN),
        (b" Content-Length: 500\r\n", _HIDDEN),
        (b"X: y\r\n Content-Length: 500\r\n", _HIDDEN),
        (b"Transfer-Encoding: xchunked\r\nContent-Length: 0\r\n", _HIDDEN),
        (b"Transfer-Encoding: chunked, identity\r\nContent-Length: 0\r\n", _HIDDEN),
        (b"Transfer-Encoding: identity, chunked\r\nContent-Length: 0\r\n", _CHUNKS),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", _CHUNKS),
        (b"Transfer-Encoding:\x0bchunked\r\nContent-Length: 0\r\n", _CHUNKS),
        (b"Transfer-Encoding\x20: chunked\r\nContent-Length: 0\r\n", _CHUNKS),
        (b"Transfer_Encoding: chunked\r\nContent-Length: 0\r\n", _CHUNKS),
        (b"Transfer-Encoding: Chunked\r\n", _CHUNKS),
        (b"Transfer-Encoding: chunked\r\n", b"0 \r\n\r\n" + _HIDDEN),
        (b"Transfer-Encoding: chunked\r\n", b"0;x=\n\r\n\r\n" + _HIDDEN),
        (b"Transfer-Encoding: chunked\r\n", b"00\r\n\r\n" + _HIDDEN),
        (b"Transfer-Encoding: chunked\r\n", b"0x0\r\n\r\n" + _HIDDEN),
        (b"Transfer-Encoding: chunked\r\n", b"-0\r\n\r\n" + _HIDDEN),
        (b"Transfer-Encoding: chunked\r\n", b"0\n\n" + _HIDDEN),
        (b"Transfer-Encoding: chunked\r\n", b"0\r\nX: y\r\n\r\n" + _HIDDEN),
        (b"Transfer-Encoding: chunked\r\n", b"1\r\naX0\r\n\r\n" + _HIDDEN),
        (b"Transfer-Encoding: chunked\r\n", b"1\r\na0\r\n\r\n" + _HIDDEN),
        (b"Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n", _HIDDEN),
        (b"Expect: 100-continue\r\nContent-Length: 0\r\n", _HIDDEN),
        (b"Connection: close\r\nContent-Length: 0\r\n", _HIDDEN),
        (b"Content-Length: 0\r\n", b"\r\n" + _HIDDEN),
        (b"Content-Length: 0\r\n", _HIDDEN.replace(b"\r\n", b"\n")),
        (b"Content-Length: 0\r\n", _HIDDEN.replace(b"GET", b"get")),
        (b"Content-Length: 0\r\n", _HIDDEN.replace(b"cdn.cribl.io", b"other.test")),
        (b"Content-Length: 0\r\n", _HIDDEN.replace(b"/telemetry", b"http://cdn.cribl.io/telemetry")),
        (b"Content-Length: 0\r\n", _HIDDEN.replace(b"Host: cdn.cribl.io\r\n", b"")),
        (b"Content-Length: 0\r\n", _HIDDEN.replace(b"HTTP/1.1", b"HTTP/1.0")),
        (b"Content-Length: 0\r\n", b"GET /telemetry/?{mark}\r\n"),
    )
]  # fmt: skip


def requests() -> list[tuple[str, Request, Expected, tuple[str, ...]]]:
    """What is spelled how, the request, what is expected, and the ways."""
    found: list[tuple[str, Request, Expected, tuple[str, ...]]] = [
        (t, Request(t + ("&lic={mark}" if "?" in t else Q)), "kept", ()) for t in TARGETS
    ]
    found += [(n, Request(**f), "kept", w) for n, f, w in (*WHO, *FORMS)]  # type: ignore[arg-type]
    found += [(str(raw[:70]), Request(raw=raw, ends=True), "kept", RAW) for raw in UNREADABLE]
    found += [
        (f"second {raw[40:150]!r}", Request(raw=raw, ends=True), "second", RAW) for raw in SECOND
    ]
    return found
