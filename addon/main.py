"""The sidecar's mitmproxy addon: its hooks decide, route, and hand a record to the shipper.

Loaded by `addon.proxy` (python -m addon), and through the list at the end by
`mitmdump -s addon/main.py`. The work is in the other modules.
"""

import logging
from typing import Any
from urllib.parse import urlsplit

from mitmproxy import connection, http
from mitmproxy.tcp import TCPFlow

from addon.capture import Capture, endpoint
from addon.connections import Connections, Sink, destination_of, why
from addon.dns import Address
from addon.exchange import KEY, Counted, Exchange, Kept, first, headers_of, now, query_of, trace
from addon.next_layer import host_of
from addon.options import Options
from addon.pool import Pool
from addon.profiles import Profiles
from addon.routing import Killed, Router, failed, hand_over, refuse_trailers
from app.contract import body as bodies
from app.contract.record import Endpoint, Kind, text
from app.contract.rules import UNREAD, Profile, Rule, Seen, decide, product_version
from app.otel import lines
from app.otel.metrics import Metrics
from app.otel.sampling import Sampler

log = logging.getLogger(__name__)


class Sidecar:
    """One for the process, in mitmproxy's event loop."""

    def __init__(
        self, options: Options, profiles: Profiles, shipper: Sink, metrics: Metrics
    ) -> None:
        self.options = options
        self.profiles = profiles
        self.shipper = shipper
        self.metrics = metrics
        self.sampler = Sampler(options.otel) if options.otel.traces else None
        self.capture = Capture(options.workload, options.mode, options.body_cap)
        parts = urlsplit(options.app_url)
        self.app: Address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self.router = Router(Pool(*self.app))
        self.connections = Connections(
            options, profiles, shipper, metrics, self.capture, self.sampler, self.app, self.settle
        )
        self.addons = [self.connections]  # mitmproxy calls it too
        self._flows: dict[str, dict[str, http.HTTPFlow]] = {}  # unfinished, by client and flow

    @property
    def in_flight(self) -> int:
        return sum(map(len, self._flows.values()))

    def client_disconnected(self, client: connection.Client) -> None:
        for flow in list(self._flows.get(client.id, {}).values()):
            self._finish(flow, "failed", "client_gone")

    # A hook that raises would leave mitmproxy to forward the request, to the vendor who must not
    # see it. So these two answer whatever happens.

    async def requestheaders(self, flow: http.HTTPFlow) -> None:
        try:
            await self._head(flow)
        except Exception:
            log.exception("a request could not be decided, so it is refused")
            flow.request.stream = False
            flow.response = failed(flow.request)

    async def request(self, flow: http.HTTPFlow) -> None:
        try:
            await self._whole(flow)
        except Exception:
            log.exception("a request could not be answered, so it is refused")
            flow.response = failed(flow.request)

    # What `addon.answer` calls in the place of hooks.

    def begin(self, flow: http.HTTPFlow) -> Exchange | None:
        try:
            exchange = self._judge(flow)
        except Exception:
            log.exception("a request could not be decided, so mitmproxy reads it")
            return None
        if exchange.forwarded or exchange.undecided or self._hands_over(exchange):
            return None
        self._enter(exchange, flow)
        return exchange

    def answer_now(self, flow: http.HTTPFlow) -> bool:
        try:
            exchange = flow.metadata[KEY]
            flow.response = self.router.answer_now(exchange, flow.request)
            if flow.response is not None:
                self._extract_version(exchange)
        except Exception:
            log.exception("a request could not be answered, so it is refused")
            flow.response = failed(flow.request)
        return flow.response is not None

    def answered(self, flow: http.HTTPFlow) -> None:
        try:
            self.response(flow)
        except Exception:
            log.exception("an exchange could not be recorded")
        lines.current.set(("", ""))

    def abandoned(self, flow: http.HTTPFlow) -> None:
        self._finish(flow, "failed", "client_gone")

    async def _head(self, flow: http.HTTPFlow) -> None:
        exchange = self._begin(flow)
        if flow.error:
            exchange.reason = "bad_request"
            return
        if exchange.undecided or not (exchange.forwarded or self._hands_over(exchange)):
            return
        if "trailer" in flow.request.headers:
            # Said in advance: refused before the real host sees any of it.
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
            self.settle(exchange, flow)
        if exchange.forwarded or exchange.routed:
            exchange.asked = exchange.asked or now()
            return
        self._extract_version(exchange)
        try:
            flow.response = await self.router.answer(exchange, flow.request)
        except Killed:
            self._finish(flow, "exchange")
            flow.kill()

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        if exchange is None or flow.response is None or not (exchange.forwarded or exchange.routed):
            return
        if exchange.reason:  # refused at the head: nobody was asked
            return
        exchange.answered = now()
        exchange.answered_by = "app" if exchange.routed else "upstream"
        flow.response.stream = exchange.received.add

    def response(self, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        if exchange is None or flow.response is None:
            return
        if flow.websocket and not recorded(exchange):
            flow.websocket = None  # what follows is relayed as bytes
        if not flow.response.stream:
            exchange.received.add(flow.response.raw_content or b"")
        if exchange.reason == "trailers" or exchange.action in ("block", "hold"):
            self._finish(flow, "refused", "blocked")
        elif not exchange.named:
            self._finish(flow, "spliced", "not_named")
        else:
            self._finish(flow, "exchange")

    def error(self, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        if exchange is None:
            return
        if exchange.reason == "trailers":
            self._finish(flow, "refused")
            return
        message = flow.error.msg if flow.error else ""
        exchange.detail = exchange.detail or message
        left = not (flow.client_conn.state & connection.ConnectionState.CAN_READ)
        refused = why(message)
        if exchange.reason == "bad_request":
            reason = exchange.reason
        elif refused:
            reason, exchange.detail = refused
        elif left or "client" in message.lower():
            reason = "client_gone"
        elif "[Errno" in message or message.startswith(_PROXY_REFUSED):
            # No connection; what breaks later has texts of mitmproxy's own.
            reason = "upstream_unreachable"
        else:
            reason = "upstream_failed"
        self._finish(flow, "refused" if reason == "loop" else "failed", reason)

    def websocket_message(self, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        if flow.websocket is None or not flow.websocket.messages:
            return
        message = flow.websocket.messages[-1]
        flow.websocket.messages.clear()
        if exchange is not None and recorded(exchange):
            self.shipper.submit(self.capture.message(self.shipper.reserve(), exchange, message))

    def tcp_message(self, flow: TCPFlow) -> None:
        """What follows an upgrade that is not recorded: relayed, not kept."""
        flow.messages.clear()

    # What the hooks are made of.

    def settle(self, exchange: Exchange, flow: http.HTTPFlow) -> None:
        """Decides again with the body; over the cap, body conditions do not hold."""
        exchange.seen.json = self._json(exchange, exchange.decision.rule)
        exchange.decision = decide(exchange.rules, exchange.seen, self.options.mode)
        if exchange.forwarded:
            self._lead_out(exchange, flow)

    def _begin(self, flow: http.HTTPFlow) -> Exchange:
        exchange = self._judge(flow)
        self._enter(exchange, flow)
        return exchange

    def _enter(self, exchange: Exchange, flow: http.HTTPFlow) -> None:
        """From here on the exchange has a number, and comes to `_finish`."""
        exchange.number = self.shipper.reserve()
        flow.metadata[KEY] = exchange
        lines.current.set((exchange.trace.trace_id, exchange.trace.span_id))
        self._flows.setdefault(flow.client_conn.id, {})[flow.id] = flow

    def _judge(self, flow: http.HTTPFlow) -> Exchange:
        request, client = flow.request, flow.client_conn
        rules = self.profiles.rules
        path, query = query_of(text(request.data.path))
        headers = headers_of(request.headers.fields)
        seen = Seen(
            method=text(request.data.method),
            host=self._host(flow, first(headers, "host")),
            path=path or "/",
            query=query,
            headers=headers,
            json=UNREAD,
        )
        decision = decide(rules, seen, self.options.mode)
        passes = decision.action == "pass" and not decision.needs_body
        cap = self.options.body_cap
        return Exchange(
            rules=rules,
            seen=seen,
            decision=decision,
            scheme=request.scheme,
            port=request.port,
            http_version=request.http_version,
            trace=trace(first(headers, "traceparent"), first(headers, "tracestate"), self.sampler),
            client=endpoint(client.peername),
            destination=destination_of(client, flow.server_conn)
            or Endpoint(text(request.host)[:512], request.port),
            sent=Counted() if passes else Kept(cap),
            received=Counted() if passes else Kept(cap),
        )

    def _host(self, flow: http.HTTPFlow, header: str) -> str:
        """The host the client means: the Host header or :authority, else where it connected to."""
        authority = text(flow.request.data.authority) if flow.request.is_http2 else ""
        named = host_of(authority or header)
        return text(named or flow.client_conn.sni or flow.request.host)[:512].lower()

    def _forward(self, exchange: Exchange, flow: http.HTTPFlow) -> None:
        self._lead_out(exchange, flow)
        self._extract_version(exchange)
        exchange.asked = now()
        flow.request.stream = exchange.sent.add

    def _lead_out(self, exchange: Exchange, flow: http.HTTPFlow) -> None:
        """Has the real host reached through the egress proxy, where there is one."""
        if self.options.egress and exchange.named:
            # A Server of its own: others of the same client may be answered by the mock.
            flow.server_conn = connection.Server(
                address=flow.server_conn.address, via=("http", self.options.egress.address)
            )

    def _hands_over(self, exchange: Exchange) -> bool:
        """Whether the mock must speak with the client itself, through mitmproxy."""
        rule = exchange.decision.rule
        if exchange.action != "mock" or rule is None:
            return False
        if rule.answer.websocket and exchange.header("upgrade").lower() == "websocket":
            return True
        return rule.answer.fault == "slow_body"

    async def _give_to_mock(self, exchange: Exchange, flow: http.HTTPFlow) -> None:
        if await self.router.takes_over():
            exchange.routed = True
            self._extract_version(exchange)
            exchange.asked = now()
            hand_over(exchange, flow.request, self.app)
            flow.request.stream = exchange.sent.add

    def _extract_version(self, exchange: Exchange) -> None:
        profile = exchange.decision.profile
        if profile is None or exchange.action == "pass":
            return
        if exchange.seen.json is UNREAD and _reads_body(profile) and exchange.sent.size:
            exchange.seen.json = self._json(exchange, exchange.decision.rule)
        exchange.version = product_version(profile, exchange.seen)

    def _json(self, exchange: Exchange, rule: Rule | None) -> Any:
        sent = exchange.sent
        if not isinstance(sent, Kept) or not sent.whole or not sent.size:
            return None
        kept = bodies.keep(
            sent.prefix,
            size=sent.size,
            sha256="",
            encoding=exchange.header("content-encoding"),
            cap=self.options.body_cap,
        )
        found = bodies.documents(
            kept, exchange.header("content-type"), rule.decoders if rule else ()
        )
        return found[0] if len(found) == 1 else (found or None)

    def _finish(self, flow: http.HTTPFlow, kind: Kind, reason: str = "") -> None:
        """Makes the record, once; every exchange that began comes here."""
        exchange = exchange_of(flow)
        if exchange is None or exchange.finished:
            return
        exchange.finished = True
        exchange.reason = exchange.reason or reason
        end = now()
        of_client = self._flows.get(flow.client_conn.id, {})
        of_client.pop(flow.id, None)
        if not of_client:
            self._flows.pop(flow.client_conn.id, None)
        record = self.capture.exchange(exchange, flow, kind, end)
        self.shipper.submit(record, exchange.traced)

    def end(self) -> None:
        """Records what is still open; called once, when no more time is left for it."""
        for flows in list(self._flows.values()):
            for flow in list(flows.values()):
                self._finish(flow, "failed", "shutdown")
        self.connections.end()
        self.router.pool.close()


_PROXY_REFUSED = "Upstream proxy "


def recorded(exchange: Exchange) -> bool:
    """Whether the content is: not of what passes."""
    return exchange.named and exchange.action != "pass"


def exchange_of(flow: http.HTTPFlow) -> Exchange | None:
    found = flow.metadata.get(KEY)
    return found if isinstance(found, Exchange) else None


def _reads_body(profile: Profile) -> bool:
    return any(e.where == "body" for e in profile.version_from)


if __name__.startswith("__mitmproxy_script__"):
    from addon.process import Script

    addons = [Script()]
