"""The sidecar's mitmproxy addon: its hooks decide, route, and give records to the shipper.

Made by `addon.wiring`. The other modules do the work.
"""

import asyncio
import logging
import re
from collections.abc import Callable

from mitmproxy import connection, http
from mitmproxy.tcp import TCPFlow

from addon.bounds import REASON
from addon.connections import Connections
from addon.exchange.exchange import KEY, Exchange, now
from addon.exchange.reply import reply_of
from addon.exchange.routing import Router, failed, hand_over, refuse_trailers, refuse_unjudged
from addon.exchanges import Exchanges
from addon.options import Options
from addon.record.capture import Capture
from addon.record.ship import Shipper
from addon.target.dns import why
from app.contract.actions import OUTLINED
from app.contract.canonical import hosts_in
from app.contract.record import text
from app.contract.rules import names_of
from app.otel import lines

log = logging.getLogger(__name__)


class Sidecar:
    """One per process, in mitmproxy's event loop. `close` closes a client's connection to a
    server."""

    def __init__(
        self,
        options: Options,
        shipper: Shipper,
        capture: Capture,
        router: Router,
        exchanges: Exchanges,
        connections: Connections,
        close: Callable[[connection.Client, connection.Server], None],
    ) -> None:
        self.options = options
        self.shipper = shipper
        self.capture = capture
        self.router = router
        self.exchanges = exchanges
        self.connections = connections
        self._close = close
        # mitmproxy calls their hooks, too.
        self.addons = [connections, connections.outbound, exchanges]

    # If a hook raised, mitmproxy would forward the request to the vendor, who must not see it. So
    # these two answer in any case.

    async def requestheaders(self, flow: http.HTTPFlow) -> None:
        try:
            await self._head(flow)
        except Exception:
            log.exception("a request could not be decided, so it is refused")
            flow.request.stream = False
            flow.response = failed(flow.request.method).for_mitmproxy(flow.request)

    async def request(self, flow: http.HTTPFlow) -> None:
        try:
            await self._whole(flow)
        except Exception:
            log.exception("a request could not be answered, so it is refused")
            flow.response = failed(flow.request.method).for_mitmproxy(flow.request)

    async def _head(self, flow: http.HTTPFlow) -> None:
        exchange = self._begin(flow)
        if flow.error:
            exchange.reason = "bad_request"
            return
        if not _TOKEN.fullmatch(flow.request.data.method) and self._fails_closed(exchange):
            # HTTP/2 lets it through; in HTTP/1 it would be another request.
            exchange.reason = "unjudged"
            flow.response = refuse_unjudged(flow.request)
            return
        if exchange.undecided or not (exchange.forwarded or self.exchanges.hands_over(exchange)):
            return
        if "trailer" in flow.request.headers:
            # Announced in advance: refused before the real host sees any of it.
            exchange.reason = "trailers"
            flow.response = refuse_trailers(flow.request)
        elif exchange.forwarded:
            self._forward(exchange, flow)
        else:
            await self._give_to_mock(exchange, flow)

    async def _whole(self, flow: http.HTTPFlow) -> None:
        if flow.error or flow.response:
            return
        exchange = flow.metadata[KEY]
        lines.current.set((exchange.trace.trace_id, exchange.trace.span_id))
        if exchange.undecided:
            self.connections.settle(exchange, flow)
        if exchange.forwarded or exchange.routed:
            exchange.asked = exchange.asked or now()
            if exchange.routed:
                patience = self.exchanges.patience(exchange)
                asyncio.get_running_loop().call_later(patience, self._late, exchange, flow)
            return
        await self.exchanges.ask(exchange)
        if exchange.killed:
            flow.kill()
        elif exchange.reply is not None:
            flow.response = exchange.reply.for_mitmproxy(flow.request)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        if exchange is None or flow.response is None or not (exchange.forwarded or exchange.routed):
            return
        if exchange.reason:  # refused at the head: nobody was asked
            return
        switched = flow.response.status_code == 101 and not _is_websocket(flow)
        if switched and exchange.forwarded and self._fails_closed(exchange):
            exchange.reason = "unjudged"  # nobody here would read what follows
            exchange.answered_by = "upstream"  # the request itself has arrived
            flow.kill()
            return
        exchange.answered = now()
        exchange.answered_by = "app" if exchange.routed else "upstream"
        exchange.reply = reply_of(flow.response)
        flow.response.stream = exchange.received.add

    def response(self, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        if exchange is None or flow.response is None:
            return
        if flow.websocket and not recorded(exchange):
            flow.websocket = None  # relayed as bytes from here on
        exchange.reply = reply_of(flow.response)
        self.exchanges.end_of(exchange, streamed=bool(flow.response.stream))

    def error(self, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        if exchange is None:
            return
        if flow.response is not None and exchange.reply is None:
            exchange.reply = reply_of(flow.response)
        if exchange.reason in ("trailers", "unjudged"):
            self.exchanges.finish(exchange, "refused")
            return
        message = flow.error.msg if flow.error else ""
        exchange.detail = exchange.detail or message
        left = not (flow.client_conn.state & connection.ConnectionState.CAN_READ)
        refused = why(message)
        if exchange.reason in ("bad_request", REASON["answer"]):
            reason = exchange.reason
        elif refused:
            reason, exchange.detail = refused
        elif left or "client" in message.lower():
            reason = "client_gone"
        elif "[Errno" in message or message.startswith(_PROXY_REFUSED):
            # No connection; a later break has mitmproxy's own texts.
            reason = "upstream_unreachable"
        else:
            reason = "upstream_failed"
        self.exchanges.finish(exchange, "refused" if reason == "loop" else "failed", reason)

    def websocket_message(self, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        if flow.websocket is None or not flow.websocket.messages:
            return
        message = flow.websocket.messages[-1]
        flow.websocket.messages.clear()
        if exchange is not None and recorded(exchange):
            self.shipper.submit(self.capture.message(self.shipper.reserve(), exchange, message))

    def tcp_message(self, flow: TCPFlow) -> None:
        """Forgets the bytes after an upgrade that is not recorded; they are only relayed."""
        flow.messages.clear()

    # The parts of the hooks.

    def _begin(self, flow: http.HTTPFlow) -> Exchange:
        request, data = flow.request, flow.request.data
        line = self.exchanges.line(
            flow.client_conn, flow.server_conn, request.scheme, request.host, request.port
        )
        authority = text(data.authority)
        if not request.is_http2:  # the absolute form's: another name besides Host
            line = line._replace(names=(*line.names, *hosts_in(authority)))
            authority = ""
        exchange = self.exchanges.judge(
            line, data.method, data.path, request.headers.fields, request.http_version, authority
        )
        flow.metadata[KEY] = exchange
        self.exchanges.enter(exchange)
        self.connections.heard(flow.client_conn)
        return exchange

    def _fails_closed(self, exchange: Exchange) -> bool:
        """True if the request must be refused when no rule can judge it."""
        return self.connections.fails_closed(names_of(exchange.seen))

    def _forward(self, exchange: Exchange, flow: http.HTTPFlow) -> None:
        self.connections.outbound.lead_out(exchange, flow)
        self.exchanges.extract_version(exchange)
        exchange.asked = now()
        flow.request.stream = exchange.sent.add

    async def _give_to_mock(self, exchange: Exchange, flow: http.HTTPFlow) -> None:
        if await self.router.takes_over():
            exchange.routed = True
            self.exchanges.extract_version(exchange)
            exchange.asked = now()
            hand_over(exchange, flow.request, self.options.app_address)
            flow.request.stream = exchange.sent.add

    def _late(self, exchange: Exchange, flow: http.HTTPFlow) -> None:
        """Ends the wait for a mock that speaks with the client itself; the request's layer then
        takes the rule's own answer."""
        if exchange.finished:
            return
        exchange.reason = REASON["answer"]
        self._close(flow.client_conn, flow.server_conn)


_PROXY_REFUSED = "Upstream proxy "
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def _is_websocket(flow: http.HTTPFlow) -> bool:
    asked, given = flow.request.headers, flow.response.headers if flow.response else {}
    return {asked.get("upgrade", "").lower(), given.get("upgrade", "").lower()} == {"websocket"}


def recorded(exchange: Exchange) -> bool:
    """True if the exchange's content is recorded: an outlined one's is not."""
    return exchange.has_profile and exchange.action not in OUTLINED


def exchange_of(flow: http.HTTPFlow) -> Exchange | None:
    found = flow.metadata.get(KEY)
    return found if isinstance(found, Exchange) else None
