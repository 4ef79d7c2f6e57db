"""Decides which connections are opened, and which are relayed unread.

mitmproxy's `next_layer` hook (in `addon.connections`) calls `choose` before its own addon.
`addon.target.first_bytes` judges the first bytes; if they name no host, CONNECT's is meant, or the
one that the dummy address stands for. If a profile's host fails closed, bytes that are not HTTP go
to the HTTP layer all the same, which refuses them (`addon.mitm.layers.Http1Server`).
"""

from collections.abc import Iterable

from mitmproxy.net.tls import starts_like_tls_record
from mitmproxy.proxy import layer, tunnel
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import ClientTLSLayer, ServerTLSLayer, modes
from mitmproxy.proxy.layers.http import HTTPMode

from addon.mitm.answer_layer import AnswerLayer
from addon.mitm.layers import Http
from addon.mitm.lines import HTTP2, Lines
from addon.mitm.relay import LayerEvents, Relay
from addon.target.dns import Destinations
from addon.target.first_bytes import Wait, judge, starts_like_http
from addon.target.hello import Hello, look
from app.contract.hosts import is_address
from app.contract.names import REDIRECTED_PORTS

HTTP_WITHOUT_LINES = (b"h2", b"h3")
TLS = b"\x16"  # the first byte of a ClientHello


def choose(
    context: Context, data: bytes, told: LayerEvents, names: Destinations
) -> layer.Layer | Wait:
    """The layer for a connection's next protocol, from the client's first bytes."""
    top = context.layers[-1]
    if isinstance(top, modes.TransparentProxy) and told.unread():
        host = _named_by_destination(context, names)
        _aim(context, host)
        return Relay(context, told, host=host, reason="all_ended")
    if data and look(data) is not Hello.READY:
        return Wait.WAIT  # for ever if no client would send it so: the bound `head` ends that
    if isinstance(top, modes.HttpProxy):
        return _explicit(context, data, told)
    if isinstance(top, ClientTLSLayer):
        return _opened(context, data, told)
    named = _named_by_destination(context, names)
    if data and data[:1] != TLS and (lines := _lines(context, told, (named,))):
        return lines
    if (http2 := _http2(context, data, told, named)) is not None:
        return http2
    found = judge(data, named, told.names)
    if isinstance(found, Wait):
        return found
    refused = found.reason == "not_http" and told.fails_closed((found.host,))
    if found.reason and not refused:
        return Relay(context, told, host=found.host, sni=found.sni, reason=found.reason)
    _aim(context, found.host)
    if refused or not found.tls:
        return _http(context, told)
    server = ServerTLSLayer(context)
    server.child_layer = ClientTLSLayer(context)
    return server


def _explicit(context: Context, data: bytes, told: LayerEvents) -> layer.Layer | Wait:
    """Waits for the request line, so that a client that leaves within the head is known to have
    named a host."""
    stack = tunnel.LayerStack()
    if data and starts_like_http(data) is Wait.WAIT:
        return Wait.WAIT
    if starts_like_tls_record(data):
        stack /= ClientTLSLayer(context)
    stack /= Http(context, HTTPMode.regular, told)
    return stack[0]


def _opened(context: Context, data: bytes, told: LayerEvents) -> layer.Layer | Wait:
    """Inside opened TLS: HTTP, or something that is refused or relayed unread."""
    unclear = data and context.client.alpn not in HTTP_WITHOUT_LINES
    if unclear and (lines := _lines(context, told, told.named(context))):
        return lines
    http = context.client.alpn in HTTP_WITHOUT_LINES or starts_like_http(data)
    if isinstance(http, Wait):
        return http
    if not http and not told.fails_closed(told.named(context)):
        host = _destination_host(context)
        return Relay(context, told, host=host, sni=context.client.sni or "", reason="not_http")
    return _http(context, told)


def _lines(context: Context, told: LayerEvents, names: Iterable[str]) -> Lines | None:
    """The layer of a port where a rule takes what is no HTTP."""
    to = context.server.address
    decision = told.of_lines(names, to[1]) if to else None
    if decision is None:
        return None
    _aim(context, decision.host)
    return Lines(context, told, decision, lambda: _http(context, told))


def _http2(
    context: Context, data: bytes, told: LayerEvents, host: str
) -> layer.Layer | Wait | None:
    """HTTP/2 without TLS; a rule that takes lines has it by `Lines`."""
    to = context.server.address
    if not to or to[1] in REDIRECTED_PORTS or not data.startswith(HTTP2[:16]):
        return None
    if not told.names(host) or not HTTP2.startswith(data[: len(HTTP2)]):
        return None
    if len(data) < len(HTTP2):
        return Wait.WAIT
    context.client.alpn = b"h2"  # as TLS would have said it
    _aim(context, host)
    return _http(context, told)


def _http(context: Context, told: LayerEvents) -> layer.Layer:
    """The layer that reads the requests of an opened connection."""
    if context.client.alpn not in HTTP_WITHOUT_LINES:
        return AnswerLayer(context, told)
    return Http(context, HTTPMode.transparent, told)


def _named_by_destination(context: Context, names: Destinations) -> str:
    """The host of CONNECT or of the original destination; a dummy address stands for its host."""
    host, to = _destination_host(context), context.server.address
    return names.stands_for((host, to[1] if to else 0)) or host


def _destination_host(context: Context) -> str:
    return str(context.server.address[0]).lower() if context.server.address else ""


def _aim(context: Context, host: str) -> None:
    """Replaces the destination's address with the host: the address may be a dummy, and both the
    certificate for a client without SNI and the check of the real host's need the name. A name
    from CONNECT stays, as forwarded requests go there."""
    to = context.server.address
    if to and is_address(to[0]) and not context.server.connected:
        context.server.address = (host, to[1])
