"""What the first bytes of a connection say: whom it is for, and whether it is opened.

Asked by `addon.front` and `addon.gate` for connections that the redirect brings, and by
`addon.next_layer` for those that mitmproxy reads. Only a host that a profile names is opened; the
name is the ClientHello's SNI or the Host header, else what the destination stands for.
"""

import re
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from mitmproxy.net.tls import starts_like_tls_record
from mitmproxy.proxy.layers.tls import parse_client_hello

HEAD_CAP = 64 * 1024  # bytes of a request's head

_HOST = re.compile(rb"\r?\nhost:[ \t]*([^\r\n]*?)[ \t]*\r?\n", re.IGNORECASE)
_REQUEST_LINE = re.compile(rb"[A-Za-z]{3,32} [^\r\n]+ HTTP/1\.[01]\r?\n")
_MAYBE_REQUEST_LINE = re.compile(rb"[A-Za-z]{1,32}( [^\r\n]*)?\r?\Z")
_PORT = re.compile(r":\d*\Z")


class Wait(Enum):
    """Too little was received to tell."""

    WAIT = "wait"


class Verdict(NamedTuple):
    """`reason` is why the connection is relayed unread, an id in REASONS; "" when it is opened.
    `tls` and `h2`: it is to be opened with TLS, and its client offers HTTP/2 in it."""

    host: str
    sni: str = ""
    reason: str = ""
    tls: bool = False
    h2: bool = False


def judge(data: bytes, destination: str, names: Callable[[str], bool]) -> Verdict | Wait:
    """From a client's first bytes. `destination` is the host that it means without naming one;
    `names` tells whether a profile names a host."""
    if len(data) < 3 and b"\x16\x03".startswith(data[:2]):
        return Wait.WAIT
    if starts_like_tls_record(data):
        return _tls(data, destination, names)
    return _plain(data, destination, names)


def starts_like_http(data: bytes) -> bool | Wait:
    """Whether the client begins with an HTTP/1 request."""
    if _REQUEST_LINE.match(data):
        return True
    if _MAYBE_REQUEST_LINE.match(data) and len(data) < HEAD_CAP:
        return Wait.WAIT
    return False


def host_of(authority: str) -> str:
    """A Host header without its port, lower case."""
    return _PORT.sub("", authority).strip("[]").lower().rstrip(".")


def _tls(data: bytes, destination: str, names: Callable[[str], bool]) -> Verdict | Wait:
    try:
        hello = parse_client_hello(data)
    except ValueError:
        return Verdict(destination, "", "not_named")
    if hello is None:
        return Wait.WAIT if len(data) < HEAD_CAP else Verdict(destination, "", "not_named")
    sni = (hello.sni or "").lower().rstrip(".")
    host = sni or destination
    if not names(host):
        return Verdict(host, sni, "not_named")
    return Verdict(host, sni, tls=True, h2=b"h2" in hello.alpn_protocols)


def _plain(data: bytes, destination: str, names: Callable[[str], bool]) -> Verdict | Wait:
    http = starts_like_http(data)
    if http is Wait.WAIT:
        return http
    header = _HOST.search(data) if http else None
    if http and not header and b"\n\r\n" not in data and len(data) < HEAD_CAP:
        return Wait.WAIT
    host = host_of(header.group(1).decode("latin-1")) if header else ""
    host = host or destination
    if not names(host):
        return Verdict(host, reason="not_named")
    return Verdict(host, reason="" if http else "not_http")
