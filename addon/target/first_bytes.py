"""Decides from a connection's first bytes for whom it is, and whether to open it.

Called by `addon.arrive.direct` and `addon.arrive.accept` for redirected connections, and by
`addon.mitm.next_layer` for those that mitmproxy reads. A connection is opened if it names a
profile's host in any way: by the ClientHello's SNI, a Host header or an absolute form, or by the
host that its destination stands for.
"""

import re
from collections.abc import Callable, Iterator
from enum import Enum
from typing import NamedTuple

from mitmproxy.tls import ClientHello

from addon.target.hello import HEAD_CAP, parse, starts_like_tls
from app.contract.canonical import authority_of, hosts_in
from app.contract.record import text

# Up to the line feed: servers also differ in how they read a carriage return within.
_HOST = re.compile(rb"\nhost[ \t]*+:((?:[^\n]|\n[ \t])*+)(?=\n)", re.IGNORECASE)
_TARGET = re.compile(rb"\s*+\S++[ \t]++(\S++)")
_HEAD_END = re.compile(rb"\n\r?\n")
# Any token may be the method, and any digit the minor version: `addon.mitm.layers` judges them, or
# refuses.
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_LINES = rb"(?:\r?\n)*+"  # some clients send them first
_REQUEST_LINE = re.compile(_LINES + _TOKEN + rb"++[ \t]([^\r\n]*+)\r?\n")
_VERSION = re.compile(rb"[ \t]HTTP/1\.[0-9]")
_MAYBE_REQUEST_LINE = re.compile(_LINES + rb"(?:\r|" + _TOKEN + rb"++(?:[ \t][^\r\n]*)?\r?)?\Z")


class Wait(Enum):
    """More bytes are needed for a verdict."""

    WAIT = "wait"


class Verdict(NamedTuple):
    """`host` is the one that a profile names, if any. `reason`, an id in REASONS, tells why the
    connection is not opened; "" opens it. `tls`: it must be opened with TLS; `h2`: its client
    offers HTTP/2 in it."""

    host: str
    sni: str = ""
    reason: str = ""
    tls: bool = False
    h2: bool = False


def judge(data: bytes, destination: str, names: Callable[[str], bool]) -> Verdict | Wait:
    """The verdict on a client's first bytes. `destination` is the host that it means if it names
    none; `names` tells if a profile names a host."""
    if len(data) < 3 and b"\x16\x03".startswith(data[:2]):
        return Wait.WAIT
    if starts_like_tls(data):
        return _tls(data, destination, names)
    return _plain(data, destination, names)


def starts_like_http(data: bytes) -> bool | Wait:
    """True if the client begins with an HTTP/1 request."""
    if found := _REQUEST_LINE.match(data):
        return _VERSION.fullmatch(found[1].rstrip(b" \t")[-9:]) is not None
    if _MAYBE_REQUEST_LINE.match(data) and len(data) < HEAD_CAP:
        return Wait.WAIT
    return False


def _tls(data: bytes, destination: str, names: Callable[[str], bool]) -> Verdict | Wait:
    try:
        hello = parse(data)
    except ValueError:
        return _unread(destination, names)
    if hello is None:
        return Wait.WAIT if len(data) < HEAD_CAP else _unread(destination, names)
    sni = (hello.sni or "").lower().rstrip(".")
    host = next(filter(names, (sni, *_server_names(hello), destination)), "")
    if not host:
        return Verdict(sni or destination, sni, "not_named")
    return Verdict(host, sni, tls=True, h2=b"h2" in hello.alpn_protocols)


def _server_names(hello: ClientHello) -> Iterator[str]:
    """Reads SNI extensions that mitmproxy ignores, too: one with two names, as some servers read
    the first one, or with an odd name."""
    for kind, data in hello.extensions:
        at = 2 if kind == 0 else len(data)
        while at + 3 < len(data):
            begin, at = at + 3, at + 3 + int.from_bytes(data[at + 1 : at + 3])
            yield from hosts_in(text(data[begin:at]))


def names_another(data: bytes, names: Callable[[str], bool]) -> str:
    """The profile's host that a further request or ClientHello on a connection names; "" if these
    bytes begin neither."""
    if starts_like_tls(data) or starts_like_http(data) is True:
        found = judge(data, "", names)
        if isinstance(found, Verdict) and names(found.host):
            return found.host
    return ""


def named_in(data: bytes, names: Callable[[str], bool]) -> str:
    """The profile's host that a request to a proxy names, of which this is the beginning."""
    return next(filter(names, _hosts(data)), "")


def _plain(data: bytes, destination: str, names: Callable[[str], bool]) -> Verdict | Wait:
    http = starts_like_http(data)
    if http is Wait.WAIT:
        return http
    said = tuple(_hosts(data))
    host = next(filter(names, said), "")
    if http and not host and not _HEAD_END.search(data) and len(data) < HEAD_CAP:
        return Wait.WAIT  # another header may follow
    if host or names(destination):
        return Verdict(host or destination, reason="" if http else "not_http")
    return Verdict(said[0] if http and said else destination, reason="not_named")


def _unread(destination: str, names: Callable[[str], bool]) -> Verdict:
    """The verdict on bytes that look like TLS, but hold no ClientHello."""
    return Verdict(destination, reason="not_http" if names(destination) else "not_named")


def _hosts(head: bytes) -> Iterator[str]:
    """Every name in a request's head."""
    for found in _HOST.finditer(head):
        yield from hosts_in(text(found[1]))
    if (found_target := _TARGET.match(head)) and not found_target[1].startswith(b"/"):
        target = text(found_target[1])
        yield from hosts_in(authority_of(target) or target)  # CONNECT's target is an authority
