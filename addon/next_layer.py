"""Which connections are opened, and which are relayed unread.

mitmproxy's `next_layer` hook (in `addon.main`) asks `choose` before its own addon. Only a host that
a profile names is opened; the name is the ClientHello's SNI or the Host header, else CONNECT's,
else what the dummy address stands for.
"""

import re
from enum import Enum
from typing import Protocol

from mitmproxy.net.tls import starts_like_tls_record
from mitmproxy.proxy import layer, tunnel
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import ClientTLSLayer, ServerTLSLayer, modes
from mitmproxy.proxy.layers.http import HTTPMode
from mitmproxy.proxy.layers.tls import HTTP_ALPNS, parse_client_hello

from addon.answer import AnswerLayer, Answers
from addon.dns import Names
from addon.layers import HEAD_CAP, Http, Relay, Sidecar

_HOST = re.compile(rb"\r?\nhost:[ \t]*([^\r\n]*?)[ \t]*\r?\n", re.IGNORECASE)
_REQUEST_LINE = re.compile(rb"[A-Za-z]{3,32} [^\r\n]+ HTTP/1\.[01]\r?\n")
_MAYBE_REQUEST_LINE = re.compile(rb"[A-Za-z]{1,32}( [^\r\n]*)?\r?\Z")
_PORT = re.compile(r":\d*\Z")


class Wait(Enum):
    """Too little was received to tell."""

    WAIT = "wait"


class Opener(Sidecar, Protocol):
    """What is asked of `addon.connections`. Without `answers` mitmproxy reads all requests."""

    answers: Answers | None


def choose(context: Context, data: bytes, sidecar: Opener, names: Names) -> layer.Layer | Wait:
    """The layer for a connection's next protocol, from the client's first bytes."""
    top = context.layers[-1]
    if isinstance(top, modes.TransparentProxy) and sidecar.unread():
        host = _named_by_destination(context, names)
        _aim(context, host)
        return Relay(context, sidecar, host=host, reason="all_ended")
    if isinstance(top, modes.HttpProxy):
        return _explicit(context, data, sidecar)
    if isinstance(top, ClientTLSLayer):
        return _opened(context, data, sidecar)
    if len(data) < 3 and b"\x16\x03".startswith(data[:2]):
        return Wait.WAIT
    if starts_like_tls_record(data):
        return _tls(context, data, sidecar, names)
    return _plain(context, data, sidecar, names)


def host_of(authority: str) -> str:
    """A Host header without its port, lower case."""
    return _PORT.sub("", authority).strip("[]").lower().rstrip(".")


def _explicit(context: Context, data: bytes, sidecar: Opener) -> layer.Layer:
    stack = tunnel.LayerStack()
    if starts_like_tls_record(data):
        stack /= ClientTLSLayer(context)
    stack /= Http(context, HTTPMode.regular, sidecar)
    return stack[0]


def _opened(context: Context, data: bytes, sidecar: Opener) -> layer.Layer | Wait:
    """Inside TLS that was opened: HTTP, or something that is passed on unread."""
    if context.client.alpn not in HTTP_ALPNS and not _REQUEST_LINE.match(data):
        if _MAYBE_REQUEST_LINE.match(data) and len(data) < HEAD_CAP:
            return Wait.WAIT
        host = _destination_host(context)
        return Relay(context, sidecar, host=host, sni=context.client.sni or "", reason="not_http")
    return _http(context, sidecar)


def _tls(context: Context, data: bytes, sidecar: Opener, names: Names) -> layer.Layer | Wait:
    try:
        hello = parse_client_hello(data)
    except ValueError:
        hello = None
        sni = ""
    else:
        if hello is None and len(data) < HEAD_CAP:
            return Wait.WAIT
        sni = (hello.sni or "").lower().rstrip(".") if hello else ""
    host = sni or _named_by_destination(context, names)
    if hello is None or not sidecar.names(host):
        return Relay(context, sidecar, host=host, sni=sni, reason="not_named")
    _aim(context, host)
    server = ServerTLSLayer(context)
    server.child_layer = ClientTLSLayer(context)
    return server


def _plain(context: Context, data: bytes, sidecar: Opener, names: Names) -> layer.Layer | Wait:
    http = _REQUEST_LINE.match(data)
    if not http and _MAYBE_REQUEST_LINE.match(data) and len(data) < HEAD_CAP:
        return Wait.WAIT
    header = _HOST.search(data) if http else None
    if http and not header and b"\n\r\n" not in data and len(data) < HEAD_CAP:
        return Wait.WAIT
    host = host_of(header.group(1).decode("latin-1")) if header else ""
    host = host or _named_by_destination(context, names)
    if http and sidecar.names(host):
        _aim(context, host)
        return _http(context, sidecar)
    reason = "not_http" if sidecar.names(host) else "not_named"
    return Relay(context, sidecar, host=host, reason=reason)


def _http(context: Context, sidecar: Opener) -> layer.Layer:
    """What reads the requests of an opened connection."""
    if sidecar.answers is not None and context.client.alpn not in (b"h2", b"h3"):
        return AnswerLayer(context, sidecar, sidecar.answers)
    return Http(context, HTTPMode.transparent, sidecar)


def _named_by_destination(context: Context, names: Names) -> str:
    """CONNECT's host or the original destination; for a dummy address the host it stands for."""
    host = _destination_host(context)
    return names.named(host) or host


def _destination_host(context: Context) -> str:
    return str(context.server.address[0]).lower() if context.server.address else ""


def _aim(context: Context, host: str) -> None:
    """Makes the host the connection's destination: its address may be a dummy, and the certificate
    for a client without SNI, and the check of the real host's, need the name."""
    if context.server.address and not context.server.connected:
        context.server.address = (host, context.server.address[1])
