"""Converts an ASGI request to the contract's types: names, pairs and body.

Called by `app.mock.mock` and `app.mock.websocket`. Keeps only the first bytes of a body.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple

from app.contract.body import keep
from app.contract.canonical import hosts_in, pairs_of
from app.contract.names import HEADER_SCHEME, HEADERS_INTERNAL, WEB_PORTS
from app.contract.record import (
    BODY_CAP,
    HEADER_CAP,
    QUERY_CAP,
    VALUE_CAP,
    Body,
    Endpoint,
    Pair,
    Request,
    clip,
    cut,
    short,
    text,
)
from app.ingest.admission import Arriving, Slow

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_PORT = re.compile(r":(\d{1,5})\s*\Z")
WHOLE_S = 300.0  # for a whole body to arrive, whatever its size
_HTTP = {"ws": "http", "wss": "https"}


class Arrived(NamedTuple):
    """A request. `headers` are in order, without internal ones; `host` is lower case without port,
    `hosts` are all names in the Host headers."""

    method: str
    scheme: str
    host: str
    hosts: tuple[str, ...]
    port: int
    path: str
    query: list[Pair]
    more_query: int  # number of parameters beyond those in `query`
    headers: list[Pair]
    internal: dict[str, str]
    http_version: str
    client: Endpoint | None


def hosts_of(scope: Scope) -> tuple[str, ...]:
    """All names in the Host headers, the effective one first; in lower case, without ports."""
    values = [text(value) for name, value in scope["headers"] if name == b"host"]
    return tuple(dict.fromkeys(name for value in values for name in hosts_in(value)))


def _port(scope: Scope) -> int | None:
    """The port in the Host header, None without one."""
    for name, value in scope["headers"]:
        if name == b"host" and (found := _PORT.search(text(value))) and int(found[1]) < 65536:
            return int(found[1])
    return None


def internal_headers(scope: Scope) -> dict[str, str]:
    """Our own headers, which a sidecar adds to its request."""
    names = {n.encode() for n in HEADERS_INTERNAL}
    return {n.decode(): text(v) for n, v in scope["headers"] if n in names}


def arrived(scope: Scope) -> Arrived:
    internal = internal_headers(scope)
    scheme = internal.get(HEADER_SCHEME) or _HTTP.get(scope["scheme"]) or str(scope["scheme"])
    hosts, port = hosts_of(scope), _port(scope)
    client = scope.get("client")
    query = scope["query_string"].split(b"&", QUERY_CAP)
    return Arrived(
        method=scope.get("method", "GET"),
        scheme=short(scheme),
        host=hosts[0] if hosts else "",
        hosts=hosts,
        port=port or WEB_PORTS.get(scheme, 80),
        path=text(scope.get("raw_path") or scope["path"]),
        query=pairs_of(text(b"&".join(query[:QUERY_CAP]))),
        more_query=query[QUERY_CAP].count(b"&") + 1 if len(query) > QUERY_CAP else 0,
        headers=[
            (text(n), text(v)) for n, v in scope["headers"] if n.decode("latin-1") not in internal
        ],
        internal=internal,
        http_version=scope.get("http_version", ""),
        client=Endpoint(short(client[0]), client[1]) if client else None,
    )


def request_of(asked: Arrived, body: Body | None) -> Request:
    headers, more_headers = clip(asked.headers, HEADER_CAP)
    query, _ = clip(asked.query, QUERY_CAP)
    return Request(
        method=short(asked.method),
        scheme=asked.scheme,
        host=short(asked.host),
        port=asked.port,
        path=cut(asked.path, VALUE_CAP),
        query=query,
        http_version=short("HTTP/" + asked.http_version) if asked.http_version else "",
        headers=headers,
        left_out=more_headers + asked.more_query,
        body=body,
    )


class Unread(Exception):
    """The body was not read to its end; `body` is the part that came."""

    def __init__(self, body: Body) -> None:
        super().__init__()
        self.body = body


class TooLarge(Unread):
    """The body is over the limit."""


class ClientGone(Unread):
    """The client left before its request was complete."""


class TooSlow(Unread):
    """The body did not arrive in time."""


async def read_body(
    receive: Receive, encoding: str, limit: int, arriving: Arriving, sender: str
) -> Body | None:
    """Reads the request's body to its end; None when it has none.

    Raises TooLarge, TooSlow, ClientGone.
    """
    digest = hashlib.sha256()
    prefix = bytearray()
    size = 0

    def kept() -> Body:
        return keep(
            bytes(prefix), size=size, sha256=digest.hexdigest(), encoding=encoding, cap=BODY_CAP
        )

    try:
        async with arriving.place(sender, WHOLE_S) as place:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone(kept())
                chunk = message.get("body", b"")
                part = chunk[: BODY_CAP - len(prefix)]
                await place.more(len(chunk), len(part))
                digest.update(chunk)
                size += len(chunk)
                prefix += part
                if size > limit:
                    raise TooLarge(kept())
                if not message.get("more_body", False):
                    return kept() if size else None
    except Slow:
        raise TooSlow(kept()) from None
