"""Requests made up by hypothesis: telemetry in any spelling, and what is none in any."""

from collections.abc import Sequence

from hypothesis import strategies as st

from tests.leaks.corpus import OTHER, WHO
from tests.leaks.entrances import Request

Q = "?v=4.16.1&lic={mark}"
_BETWEEN = ["/", "//", "/./", "/x/../", "/x/y/.././../", "/x//../", ";p=1/", "/;/"]
_BEFORE = ["", "", "", "/", "/.", "/..", "/x/..", "/x/%2e%2e", "/%2E", "/x;a/..;b", "/../.."]
_AFTER = ["", "", "/", ";v=1", "#x", "%23y", "%3Fz", "%00", "%20", "/.", "/x/.."]
_SLASHES = ["/", "/", "/", "%2f", "%2F", "\\", "%5C", "%252f"]
_METHODS = ["GET", "GET", "HEAD", "POST", "PUT", "get", "GO", "M-SEARCH", "OPTIONS"]
_NAMES = [fields for _, fields, _ in WHO if not set(fields) & {"target"}]


def encoded(text: str, level: int) -> str:
    """Percent-encoded so many times."""
    for _ in range(level):
        text = (
            "".join(f"%{ord(c):02X}" for c in text) if text.isalpha() else text.replace("%", "%25")
        )
    return text


@st.composite
def _word(draw: st.DrawFn, word: str) -> str:
    levels = draw(
        st.lists(st.sampled_from([0, 0, 0, 0, 1, 2, 3]), min_size=len(word), max_size=len(word))
    )
    return "".join(encoded(c, n) for c, n in zip(word, levels, strict=True))


@st.composite
def _spelled(draw: st.DrawFn, segments: Sequence[str]) -> str:
    path = draw(st.sampled_from(_BEFORE)) + "/"
    for number, segment in enumerate(segments):
        if number:
            path += draw(st.sampled_from(_BETWEEN))
        path += draw(_word(segment))
    path += draw(st.sampled_from(_AFTER))
    # The first slash stays: without it HTTP/1 has no request.
    rest = "".join(draw(st.sampled_from(_SLASHES)) if c == "/" else c for c in path[1:])
    return "/" + rest


@st.composite
def telemetry(draw: st.DrawFn) -> Request:
    """A request that some server could take for telemetry, and whom it names."""
    segments = draw(
        st.sampled_from([["telemetry"], ["telemetry", "index.html"], ["telemetry", "x"]])
    )
    path = draw(_spelled(segments))
    who = dict(draw(st.sampled_from([{}, *_NAMES])))
    method = draw(st.sampled_from(_METHODS))
    return Request(
        path + ("" if "#" in path else Q),
        method,
        body=b"{mark}" if method in ("POST", "PUT") else None,
        **who,  # type: ignore[arg-type]
    )


_PIECES = st.text(alphabet="abcXYZ019-_~.+@=&$", min_size=1, max_size=8).filter(
    lambda word: word.strip(".") != ""
)


@st.composite
def anything_else(draw: st.DrawFn) -> Request:
    """A request that no server could take for telemetry."""
    words = draw(st.lists(_PIECES | st.just("telemetry"), min_size=1, max_size=4))
    path = "/dl" + draw(st.sampled_from(["/", "-", "//", "/a;b/"]))
    path += draw(st.sampled_from(["/", "//", "/./", "%2F", ";/"])).join(words)
    path += draw(st.sampled_from(["", "/", "%20", "%2B", "%C3%A9", ";v=1", "%25"]))
    method = draw(st.sampled_from(["GET", "GET", "HEAD", "POST", "PUT", "OPTIONS", "DELETE"]))
    body = b"{mark}" * draw(st.integers(0, 3)) if method in ("POST", "PUT") else None
    return Request(path + Q, method, body=body)


def fits(way: str, request: Request) -> bool:
    """True if the request means the telemetry host on this way."""
    if way.startswith("direct"):
        return True
    to_other = request.to == OTHER
    by_host = any("cribl" in host.lower() for host in request.hosts)
    if way.endswith("h2"):
        by_host = any("cribl" in host.lower() for host in request.hosts[:1])
    by_sni = request.sni != OTHER and "plain" not in way and way != "absolute"
    return not to_other or by_host or by_sni
