"""The table: spelling, who is meant, form, and what is expected.

`kept` requests are telemetry in some reading and never reach the vendor; `passes` are not, and
reach it as they are; `closed` cannot be judged by anybody, and get neither the vendor nor an answer
of a rule; of `second` ones only what follows the first request, and holds the mark, must not reach
it. `strict.test` denies what no rule takes; `body.test` has rules on bodies.
"""

import gzip
from typing import Literal, NamedTuple

from app.contract import rules as r
from app.profiles import load_profiles
from tests.leaks import further
from tests.leaks.entrances import Request
from tests.sidecar import HOST

OTHER, STRICT, BODY = "other.test", "strict.test", "body.test"
LINES = "lines.test"  # a host with ports of its own, where a rule takes whatever comes
PORTS = (61833, 4319)
HOSTS = (HOST, OTHER, STRICT, BODY, LINES)
VOUCHED = (HOST, STRICT, BODY, LINES)

Expected = Literal["kept", "passes", "closed", "second"]


class Case(NamedTuple):
    spelling: str
    request: Request
    expected: Expected
    ways: tuple[str, ...] = ()  # those that carry it; () are all


def bundle() -> r.Bundle:
    """The built-in profile, answered in the sidecar, and one for what it does not use."""
    cribl = load_profiles(["cribl"]).profiles[0]
    at_hand = tuple(r.msgspec.structs.replace(x, answer_at="sidecar") for x in cribl.rules)
    event = r.Match(
        hosts=(r.Host(BODY),), methods=("POST",), body=(r.Value("event", "equals", "start"),)
    )
    asked = r.Match(hosts=(r.Host(BODY),), query=(r.Value("event", "equals", "start"),))
    beat = r.Match(hosts=(r.Host(BODY),), headers=(r.Value("x-kind", "equals", "beat"),))
    public = r.Match(hosts=(r.Host(STRICT),), paths=(r.Path("prefix", "/public/"),))
    made = r.Profile(
        id="made",
        title="Made up",
        hosts=(r.Host(STRICT, unmatched="block"), r.Host(BODY), r.Host(LINES, ports=PORTS)),
        rules=(
            r.Rule("event", "mock", event, answer_at="sidecar"),
            r.Rule("asked", "mock", asked, answer_at="sidecar"),
            r.Rule("beat", "mock", beat, answer_at="sidecar"),
            r.Rule("public", "pass", public),
            r.Rule("lines", "mock", r.Match(hosts=(r.Host(LINES),)), answer_at="sidecar"),
        ),
    )
    return r.Bundle(
        r.RuleSet((r.msgspec.structs.replace(cribl, rules=at_hand), made), etag="leaks")
    )


HTTP1 = ("connect tls", "connect plain", "absolute", "direct tls", "direct plain")
TLS = ("connect tls", "direct tls")
HTTP2 = ("connect h2", "direct h2")
Q = "?v=4.16.1&lic={mark}"

_TARGETS = r"""
/telemetry/index.html /telemetry/ /telemetry /telemetry/x/y //telemetry/index.html
///telemetry//index.html /./telemetry/index.html /x/../telemetry/index.html
/x/y/../../telemetry/ /x//../telemetry/ /x/..//telemetry/ /../telemetry/
/telemetry/../telemetry/ /%74elemetry/index.html /%54/../telemetry/ /tele%6Detry
/%2574elemetry/index.html /%252574elemetry/
/telemetry%2findex.html /%2ftelemetry/ /telemetry%2Fx
/x%2f..%2ftelemetry%2findex.html /x/%2e%2e/telemetry/ /x/%2e./telemetry/ /%2e/telemetry/
/x/%252e%252e/telemetry/ /x/..%5ctelemetry/ /x\..\telemetry\ \telemetry\index.html
/telemetry;v=1/index.html /telemetry;jsessionid=1 /..;/telemetry/ /telemetry/index.html;x
/telemetry%3b/ /telemetry/index.html%00.zip /telemetry%00 /telemetry%20 /telemetry%09/
/tele%0ametry/ /telemetry#x /telemetry%23x /telemetry%3fx=1 /%c1%b4elemetry/
/telemetry%c0%afindex.html /%e0%81%b4elemetry/ /%u0074elemetry/ /%EF%BD%94elemetry/
"""
TARGETS = _TARGETS.split()
TARGETS += [f"//{HOST}/telemetry/", "/%" + "25" * 9 + "74elemetry/"]

WHO: list[tuple[str, dict[str, object], tuple[str, ...]]] = [
    ("another Host", {"hosts": (OTHER,)}, ("connect tls", "connect plain", "absolute")),
    ("another Host on the way", {"hosts": (OTHER,)}, ("direct tls", "direct plain", *HTTP2)),
    ("an unknown Host", {"hosts": ("nobody.test:8443",)}, ()),
    ("no Host", {"hosts": ()}, ()),
    ("upper case", {"hosts": ("CDN.Cribl.IO",)}, ()),
    ("a dot behind", {"hosts": (HOST + ".",), "to": HOST + "."}, HTTP1),
    ("a port", {"hosts": (HOST + ":443",)}, ()),
    ("an odd port", {"hosts": (HOST + ":0443",)}, HTTP1),
    ("another port", {"hosts": (HOST + ":4319",)}, ()),
    ("a port that there is not", {"hosts": (HOST + ":99999",)}, ()),
    ("an empty port", {"hosts": (HOST + ":",)}, ()),
    ("two ports", {"hosts": (HOST + ":443:4319",)}, HTTP1),
    ("another port, CONNECT another", {"hosts": (HOST + ":4319",), "to": OTHER}, HTTP1),
    ("an IPv6 literal with a port", {"hosts": ("[2001:db8::9]:4319",)}, ()),
    ("CONNECT to another port", {"port": 4319}, ("connect tls", "connect plain", "connect h2")),
    ("absolute form with a port", {"to": HOST + ":4319"}, ("absolute",)),
    ("absolute form with a port in a tunnel",
     {"hosts": (OTHER,), "to": OTHER, "target": f"http://{HOST}:4319/telemetry/{Q}"},
     ("connect plain",)),
    ("absolute form with a port on the way",
     {"hosts": (OTHER,), "target": f"http://{HOST}:4319//telemetry/{Q}"}, TLS),
    ("another port in :path", {"target": f"{HOST}:4319/telemetry/{Q}"}, HTTP2),
    ("user and word", {"hosts": (f"u:p@{HOST}",), "to": OTHER}, HTTP1),
    ("encoded", {"hosts": ("cdn%2ecribl%2eio",), "to": OTHER}, HTTP1),
    ("brackets", {"hosts": (f"[{HOST}]",), "to": OTHER}, HTTP1),
    ("blanks", {"hosts": (f"\t {HOST} ",), "to": OTHER}, HTTP1),
    ("a carriage return", {"hosts": (HOST + "\r",), "to": OTHER}, HTTP1),
    ("a folded Host", {"hosts": ("\r\n " + HOST,), "to": OTHER}, HTTP1),
    ("two Hosts", {"hosts": (OTHER, HOST), "to": OTHER}, HTTP1),
    ("two Hosts, the other first", {"hosts": (HOST, OTHER), "to": OTHER}, HTTP1),
    ("a list", {"hosts": (f"{OTHER}, {HOST}",), "to": OTHER}, HTTP1),
    ("SNI another, CONNECT ours", {"sni": OTHER}, ("connect tls", "connect h2")),
    ("SNI and Host another", {"sni": OTHER, "hosts": (OTHER,)}, ("connect tls", "connect h2")),
    ("the same on the way", {"sni": OTHER, "hosts": (OTHER,)}, ("direct tls", "direct h2")),
    ("CONNECT another, SNI ours", {"to": OTHER}, ("connect tls", "connect h2")),
    ("only SNI ours", {"to": OTHER, "hosts": (OTHER,)}, ("connect tls", "connect h2")),
    ("only Host ours", {"to": OTHER}, ("connect plain", "absolute")),
    ("only the absolute form ours", {"hosts": (OTHER,)}, ("absolute",)),
    ("absolute form in a tunnel",
     {"hosts": (OTHER,), "to": OTHER, "target": f"http://{HOST}/telemetry/{Q}"},
     ("connect plain",)),
    ("absolute form on the way",
     {"hosts": (OTHER,), "target": f"http://{HOST}//telemetry/{Q}"}, TLS),
    ("absolute form in :path",
     {"hosts": (OTHER,), "target": f"https://{HOST}/telemetry/{Q}"}, HTTP2),
    ("no slash in :path", {"target": "telemetry/index.html" + Q}, HTTP2),
    ("a name in :path", {"hosts": (OTHER,), "target": f"{HOST}/telemetry/{Q}"}, HTTP2),
    ("a name and a port in :path", {"target": f"{HOST}:443/telemetry/{Q}"}, HTTP2),
    ("dots in :path", {"target": "./telemetry/index.html" + Q}, HTTP2),
    ("a blank in :path", {"target": "/telemetry HTTP/1.1"}, HTTP2),
]  # fmt: skip

FORMS: list[tuple[str, dict[str, object], tuple[str, ...]]] = [
    ("POST", {"method": "POST", "target": "/telemetry" + Q, "body": b"{mark}"}, ()),
    *((m, {"method": m}, ()) for m in ("HEAD", "PUT", "OPTIONS", "TRACE", "PRI")),
    *((m, {"method": m}, ()) for m in ("get", "GO", "M-SEARCH")),
    ("a long method", {"method": "X" * 70}, ()),
    ("a line ahead", {"ahead": "\r\n"}, HTTP1),
    ("lines ahead", {"ahead": "\r\n\n\r\n"}, HTTP1),
    ("HTTP/1.0", {"version": "HTTP/1.0"}, HTTP1),
    ("HTTP/1.2", {"version": "HTTP/1.2"}, HTTP1),
    ("HTTP/2.0 as text", {"version": "HTTP/2.0"}, HTTP1),
    ("Upgrade", {"headers": (("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABk"))}, HTTP1),
    ("WebSocket", {"headers": (("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"))}, HTTP1),
    ("Expect",
     {"headers": (("Expect", "100-continue"),), "method": "POST", "body": b"{mark}"}, HTTP1),
]  # fmt: skip

UNREADABLE = [
    b"\x00{mark}\r\n\r\n", b"{mark}\r\n\r\n", b"GET /telemetry/?{mark}\r\n\r\n",
    b"\r\n\x01{mark}\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00{mark}",
    b"GET /telemetry/?{mark} HTTP/9\r\nHost: cdn.cribl.io\r\n\r\n", b'{"lic":"{mark}"}\n',
    b"G(T /telemetry/?{mark} HTTP/1.1\r\nHost: cdn.cribl.io\r\n\r\n", b"SSH-2.0-{mark}\r\n",
    b"CONNECT cdn.cribl.io:443 HTTP/1.1\r\nHost: cdn.cribl.io\r\nx: {mark}\r\n\r\n",
    b"GET /dl/x HTTP/1.1\r\nHost : cdn.cribl.io\r\nx: {mark}\r\n\r\n",
    b"GET /dl/x HTTP/1.1\r\nHost: cdn.cribl.io\r\nContent-Length: 1\r\n"
    b"Transfer-Encoding: chunked\r\nx: {mark}\r\n\r\n",
]  # fmt: skip

# What a rule for lines takes, whatever it is.
RAW = [
    b"<14>version=3.9;lic={mark}\n", b"{mark}", b"\n{mark}", b"\x00\xff{mark}" * 3,
    b"<14>a=1\nGET /telemetry/?{mark} HTTP/1.1\r\nHost: cdn.cribl.io\r\n\r\n",
    b"POST {mark}", b"GET / HTTP/1.1\r\nx: {mark}", b"x" * 70_000 + b"{mark}\n",
    b"\x16\x03{mark}", b"\x16\x03\x01\x00\x05{mark}",
]  # fmt: skip

_DL = b"GET /dl/x HTTP/1.1\r\nHost: cdn.cribl.io\r\n"
_TELEMETRY = b"GET /telemetry/ HTTP/1.1\r\nHost: cdn.cribl.io\r\n\r\n"
_SPELLED = b"GET //telemetry/?{mark} HTTP/1.1\r\nHost: cdn.cribl.io\r\nConnection: close\r\n\r\n"
_FRAMES = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00{mark}"
SECOND = [
    first + second
    for first in (_TELEMETRY, _DL + b"\r\n")
    for second in (b"\x00{mark}\r\n", b"{mark}\r\n\r\n", _SPELLED, b"\r\n" + _SPELLED, _FRAMES)
] + [_DL + b"Connection: upgrade, http2-settings\r\nUpgrade: h2c\r\n\r\n" + _FRAMES]

START = b'{"event":"start","lic":"{mark}"'
BODIES = [
    START + b"}", START + b',"x":NaN}', START + b',"x":1e999}', START + b',"x":"\\ud83d"}',
    b"\xef\xbb\xbf" + START + b"}", START + b',"event":"end"}',
    b'{"event":"end",' + START[1:] + b"}",
    START, START + b"}{}", START + b',"x":"\xff"}',
    START + b',"x":"' + b"y" * 300_000 + b'"}', b"x" * 300_000 + b"{mark}",
]  # fmt: skip

_PASSING = r"""
/dl/cribl-4.16.1.tgz?v=1&x={mark} /versions.json / /dl/telemetry/index.html /telemetryx
/telemetry-docs/ /dl/a%2Bb%20c.tgz /dl/a//b/./c;v=1/%7Ex /dl/%2e%2e%2fx /Telemetry/
/dl/x?next=/telemetry/ /dl/x?u=https://cdn.cribl.io/telemetry/ /dl/%e2%82%ac /telemetr%79s
/dl/..telemetry/ /x/telemetry /telemetry.html
"""
PASSING = _PASSING.split()


def cases() -> list[Case]:
    found = [Case(t, Request(t + ("" if "#" in t else Q)), "kept") for t in TARGETS]
    found += [Case(n, Request(**f), "kept", w) for n, f, w in (*WHO, *FORMS)]  # type: ignore[arg-type]
    found += [Case(*one) for one in further.requests()]
    found += [
        Case(
            str(raw[:40]),
            Request(raw=raw),
            "closed",
            ("connect tls", "direct tls", "connect plain"),
        )
        for raw in UNREADABLE
    ]
    there = {"hosts": (LINES,), "sni": LINES, "to": LINES}
    found += [
        Case(f"a line on {port}: {raw[:40]!r}", Request(**there, raw=raw, port=port, ends=True),  # type: ignore[arg-type]
             "kept", ("connect tls", "connect plain"))
        for raw in (*UNREADABLE, *RAW) for port in PORTS
    ]  # fmt: skip
    found += [
        Case(f"HTTP on {port}", Request(**(there | more), port=port), "kept",  # type: ignore[arg-type]
             ("connect tls", "connect plain", "connect h2"))
        for more in ({}, {"hosts": (f"{LINES}:{PORTS[0]}",)}, {"hosts": (OTHER,)}, {"hosts": ()})
        for port in (*PORTS, 9)
    ]  # fmt: skip
    ways = (*TLS, "connect plain", "direct plain")
    found += [Case(f"second {raw!r}", Request(raw=raw), "second", ways) for raw in SECOND]
    found += [Case(t, Request(t), "passes") for t in PASSING]
    strict = {"sni": STRICT, "to": STRICT}
    found += [
        Case(f"strict {t}", Request(t, hosts=(STRICT,), **strict), e, ("connect tls", "absolute"))
        for t, e in (
            ("/public/x", "passes"), ("/public/a%2Bb", "passes"), ("/x", "kept"), ("/", "kept"),
            ("/public/../x", "kept"), ("/public/%2e%2e/x", "kept"), ("//public/x", "kept"),
        )
    ]  # fmt: skip
    found += [
        Case(str(body[:40]), Request("/e", "POST", hosts=(BODY,), sni=BODY, to=BODY, body=body),
             "kept", ("connect tls", "absolute", "connect h2"))
        for body in BODIES
    ]  # fmt: skip
    encoded = {"hosts": (BODY,), "sni": BODY, "to": BODY, "method": "POST", "target": "/e"}
    found += [
        Case(name, Request(**encoded, headers=(("Content-Encoding", name),), body=body), "kept",  # type: ignore[arg-type]
             ("connect tls",))
        for name, body in (
            ("gzip", gzip.compress(b'{"event":"start"}')), ("gzip", b"{mark}"), ("odd", b"{mark}"),
        )
    ]  # fmt: skip
    found += (
        [
            Case(
                f"the query {query}",
                Request(**(encoded | {"target": "/q?" + query + "&x={mark}"})),  # type: ignore[arg-type]
                "kept",
                ("connect tls", "absolute", "connect h2"),
            )
            for query in ("event=start", "x=1;event=start", "?event=start", "event=st%2561rt")
        ]
        + [
            Case(
                f"the header {name}: {value!r}",
                Request(**(encoded | {"method": "GET"}), headers=((name, value),)),  # type: ignore[arg-type]
                "kept",
                ("connect tls", "absolute"),
            )
            for name, value in (
                ("X-Kind", "beat"),
                ("x-kind", "x, beat"),
                ("X_Kind", "beat"),
                ("x-kind", "\r\n beat"),
            )
        ]
        + [
            Case(
                f"a body of {kinds}",
                Request(**encoded, headers=tuple(("Content-Type", k) for k in kinds), body=body),  # type: ignore[arg-type]
                "kept",
                ("connect tls", "absolute"),
            )
            for kinds, body in (
                (("application/x-www-form-urlencoded",), b"x={mark};event=start"),
                (
                    ("application/x-www-form-urlencoded; charset=utf-7",),
                    b"x={mark}&event=+AHM-tart",
                ),
                (
                    ("text/plain", "multipart/form-data; boundary=b"),
                    b"--b\r\n\r\nevent=start{mark}",
                ),
            )
        ]
        + [
            Case(
                "the method in a header",
                Request(
                    **(encoded | {"method": "PUT"}),
                    headers=(("X-HTTP-Method-Override", "POST"),),  # type: ignore[arg-type]
                    body=START + b"}",
                ),
                "kept",
                ("connect tls", "absolute"),
            ),
            Case(
                "another query",
                Request(**(encoded | {"target": "/q?x=event=start&y={mark};"})),  # type: ignore[arg-type]
                "passes",
                ("connect tls", "absolute"),
            ),
            Case(
                "another event", Request(**encoded, body=b'{"event":"end","x":"{mark}"}'), "passes"
            ),  # type: ignore[arg-type]
            Case("no body", Request(**encoded, body=b""), "passes"),  # type: ignore[arg-type]
        ]
    )
    return found
