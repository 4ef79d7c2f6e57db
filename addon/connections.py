"""The addon's half for connections: which are opened, where they lead, how they fail.

A part of `addon.sidecar`'s addon, which mitmproxy calls with every connection.
"""

import sys
from collections.abc import Callable, Iterable
from typing import Any, cast

from mitmproxy import connection, ctx, exceptions, http, tls
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import NextLayer

from addon.app_client.profiles import Profiles
from addon.arrive.direct import DirectConnection
from addon.arrive.endings import Ending, Met, ending, refused, rehearsed
from addon.arrive.memory import Memory
from addon.arrive.proof import Proven
from addon.arrive.splice import Link
from addon.bounds import REASON
from addon.exchange.endpoint import endpoint
from addon.exchange.exchange import Exchange, Kept, Traced, names_of, trace
from addon.exchange.reply import Reply
from addon.exchanges import Exchanges
from addon.mitm.handler import unsent
from addon.mitm.modes import brought, destination_of, named_the_proxy
from addon.mitm.next_layer import choose
from addon.mitm.relay import LineSource, Relay
from addon.options import Options
from addon.outbound import Outbound
from addon.record.capture import DETAIL_CAP, Capture
from addon.record.ship import Shipper
from addon.target.dns import Address, Destinations, why
from addon.target.first_bytes import Verdict, Wait, named_in
from addon.tls.ca import Held
from app.contract.actions import Kind
from app.contract.faults import HostFault
from app.contract.lines import of_lines
from app.contract.record import REASONS, Endpoint, Program, Sender, cut
from app.contract.rules import Decision
from app.otel.metrics import Metrics
from app.otel.sampling import Sampler


class Connections:
    """`exchanges` knows the open exchanges, `io` gives the reader and writer of a client of
    mitmproxy's, `authority` is the CA whose certificates clients are shown."""

    def __init__(
        self,
        options: Options,
        profiles: Profiles,
        shipper: Shipper,
        metrics: Metrics,
        capture: Capture,
        sampler: Sampler | None,
        exchanges: Exchanges,
        memory: Memory,
        dns: Destinations,
        authority: Held | None,
        io: Callable[[connection.Client], Any],
    ) -> None:
        self.options = options
        self.profiles = profiles
        self.shipper = shipper
        self.metrics = metrics
        self.capture = capture
        self.sampler = sampler
        self.exchanges = self.answers = exchanges
        self.memory = memory
        self.dns = dns
        self.authority = authority
        self.outbound = Outbound(options, dns, self.names)
        self._io = io
        self.proven = Proven(options.ca_dir) if options.redirected else None
        if self.proven:
            metrics.set("telemock.redirect.proven", self.proven.yet)
        self._relays: dict[str, list[Relay]] = {}  # by client
        self._lines: dict[str, list[LineSource]] = {}  # the same
        self.line_cap = options.body_cap
        self._met: dict[connection.Client, Met] = {}  # mitmproxy's, until they end

    def client_connected(self, client: connection.Client) -> None:
        if brought(client):
            self.arrived()
        if self.capture.prefaces and named_the_proxy(client):
            self.capture.prefaces.look_up(client.peername[:2], client.sockname[:2])

    def failure(self, host: str) -> HostFault | None:
        return self.profiles.failure(host)

    def arrived(self, *, counted: bool = True) -> None:
        """Told of redirected connections; `addon.arrive.accept` calls it for its own."""
        if self.proven is None:
            return
        if counted:
            self.metrics.add("telemock.redirect.connections")
        if not self.proven.yet:
            self.proven.now()
            self.metrics.set("telemock.redirect.proven", 1)

    def next_layer(self, data: NextLayer) -> None:
        met = self._meet(data.context, len(data.data_client()))
        if not met.host and named_the_proxy(data.context.client):
            met.host = named_in(data.data_client(), self.names)
        chosen = choose(data.context, data.data_client(), self, self.dns)
        if isinstance(chosen, Wait):
            raise exceptions.AddonHalt  # mitmproxy's own addon would decide on less
        data.layer = chosen

    def http_connect(self, flow: http.HTTPFlow) -> None:
        server = connection.Server(address=(flow.request.host, flow.request.port))
        self._meet(Context(flow.client_conn, ctx.options), 0, server)

    def _meet(self, context: Context, sent: int, server: connection.Server | None = None) -> Met:
        client, server = context.client, server or context.server
        met = self._met.get(client)
        if met is None:
            io = self._io(client)
            met = self._met[client] = Met(io.reader if io else None)
        met.sent = sent
        if server.address:
            host, port = server.address[:2]
            met.host = self.dns.stands_for((host, port)) or host
            met.destination = destination_of(client, server)
        return met

    def names(self, host: str) -> bool:
        return bool(self.profiles.rules.of_host(host))

    def takes_lines(self, hosts: Iterable[str], port: int) -> bool:
        return port in self.profiles.rules.ports and self.of_lines(hosts, port) is not None

    def of_lines(self, hosts: Iterable[str], port: int) -> Decision | None:
        return of_lines(self.profiles.rules, hosts, port, self.options.mode)

    def program(self, peer: Address, to: Address) -> Program | None:
        return self.capture.program(peer, to)

    def unread(self) -> bool:
        return self.options.all_is_over

    def named(self, context: Context) -> tuple[str, ...]:
        return names_of(context.client, context.server, self.options.stands_for)

    def fails_closed(self, hosts: Iterable[str]) -> bool:
        rules, mode = self.profiles.rules, self.options.mode
        return any(rules.fails_closed(host, mode) for host in hosts)

    def refused(self, context: Context, data: bytes) -> None:
        """Records a connection to a profile's host that could not be judged."""
        client, rules = context.client, self.profiles.rules
        host = next(filter(self.names, self.named(context)), "")
        if host:
            self.heard(client)
            to, profile = destination_of(client, context.server), rules.of_host(host)[0].id
            number = self.shipper.reserve()
            self.shipper.submit(self.capture.unjudged(number, client, host, to, profile, data))

    def settle(self, exchange: Exchange, flow: http.HTTPFlow) -> None:
        """Decides again with the body."""
        self.exchanges.settle(exchange)
        if exchange.forwarded:
            self.outbound.lead_out(exchange, flow)

    def unrouted(self, exchange: Exchange, error: str) -> Reply | None:
        return self.exchanges.unrouted(exchange, error)

    def spliced(self, relay: Relay) -> None:
        self._relays.setdefault(relay.context.client.id, []).append(relay)

    def has_lines(self, lines: LineSource) -> None:
        self._lines.setdefault(lines.context.client.id, []).append(lines)

    def line(
        self, of: LineSource, sender: Sender, line: Kept, kind: Kind, reason: str, detail: str
    ) -> None:
        client, number = of.context.client, self.shipper.reserve()
        self.heard(client)
        record = self.capture.line(
            number, kind, client, of.decision, sender, line,
            of=of.of, to=destination_of(client, of.context.server),
        )  # fmt: skip
        bound = client.error if client.error in REASONS else ""
        reason, detail = (why(detail) if detail else None) or (reason or bound or "", detail)
        record.reason, record.detail = reason, cut(detail, DETAIL_CAP)
        of.of = of.of or record.id
        self.shipper.submit(record)

    # For `addon.arrive.memory`, and the connections that it evicts.

    def open_of(self, client: connection.Client) -> Iterable[Exchange]:
        return self.exchanges.open_of(client.id)

    def answered_by_relay(self, client: connection.Client) -> bool:
        """True if the connection is relayed unread, and both sides have sent bytes."""
        return any(x.sent and x.received for x in self._relays.get(client.id, ()))

    def unsent(self, client: connection.Client) -> int:
        """Bytes that wait to be sent; beyond any limit once the client is gone."""
        io = self._io(client)
        return sys.maxsize if io is None or io.writer.is_closing() else unsent(io.writer)

    def exceeded(self, bound: str, client: connection.Client) -> None:
        """Counts the bound, and makes it the reason of the connection's open exchanges and of the
        connection itself."""
        self.memory.exceeded(bound)
        for exchange in self.exchanges.open_of(client.id):
            exchange.reason = exchange.reason or REASON[bound]
        client.error = client.error or REASON[bound]

    def gone(self, client: connection.Client) -> None:
        """Records the connection's open exchanges, and the line that has not ended, now."""
        self.exchanges.client_disconnected(client)
        for lines in self._lines.pop(client.id, ()):
            lines.end()

    def evicted(self, direct: DirectConnection, bound: str) -> None:
        """As `exceeded`, for a connection of `addon.arrive.direct`."""
        self.memory.exceeded(bound)
        self._client(direct).error = REASON[bound]
        if direct.exchange is not None:
            direct.exchange.reason = REASON[bound]

    def tls_established_client(self, data: tls.TlsData) -> None:
        self._meet(data.context, 0).tls = data.ssl_conn

    def tls_failed_client(self, data: tls.TlsData) -> None:
        met = self._meet(data.context, 0)
        met.tls = data.ssl_conn
        # If the client left without an alert, `client_disconnected` tells how.
        if met.opened is None or met.opened.error:
            self._without_request(data.context.client, met, refused(data.conn.error or ""))

    def heard(self, client: connection.Client) -> None:
        self.capture.told.add(client)

    def ended(self, direct: DirectConnection, how: str) -> None:
        """Records a connection of `addon.arrive.direct` that brought no request."""
        met = Met(host=direct.host, destination=endpoint(direct.destination), tls=direct.tls)
        met.sent = direct.sent
        failing, found = direct.failing, ending(how, direct.tls)
        if failing is not None:
            found = rehearsed(failing.failure, how)
        self._without_request(self._client(direct), met, found)

    @staticmethod
    def _client(direct: DirectConnection) -> connection.Client:
        """The mitmproxy object for this connection, made once."""
        if direct.client is not None:
            return direct.client
        client = direct.client = connection.Client(
            peername=direct.peer,
            sockname=direct.destination,
            timestamp_start=direct.began,
            tls=direct.tls is not None,
            sni=direct.sni,
        )
        if direct.tls is not None:
            client.tls_version = cast(Any, direct.tls.get_protocol_version_name())
            client.alpn = direct.tls.get_alpn_proto_negotiated()
        return client

    def _why(self, found: Ending, host: str) -> str:
        refused = found.kind == "tls_rejected" and found.reason != "tls_failed"
        if refused and self.authority is not None and self.authority.missing([host]):
            return "certificate_not_covering"
        return found.reason

    def _without_request(self, client: connection.Client, met: Met, found: Ending) -> None:
        host = next(filter(self.names, filter(None, (client.sni, met.host))), "")
        if client in self.capture.told or not host:
            return
        opened = met.opened
        handshake = trace("", sampler=self.sampler) if found.kind == "tls_rejected" else None
        self.shipper.submit(
            self.capture.connection(
                self.shipper.reserve(),
                found.kind,
                client,
                host=host,
                sni=client.sni or "",
                destination=met.destination,
                profile=self.profiles.rules.of_host(host)[0].id,
                reason=client.error if client.error in REASONS else self._why(found, host),
                detail=found.detail,
                sent=opened.sent if opened else met.sent,
                received=opened.received if opened else 0,
                trace=handshake,
            ),
            Traced() if handshake and handshake.recorded else None,
        )

    def client_disconnected(self, client: connection.Client) -> None:
        for lines in self._lines.pop(client.id, ()):
            lines.end()
        for relay in self._relays.pop(client.id, []):
            self._relayed(relay)
        met = self._met.pop(client, None)
        if met is not None and not (met.opened and met.opened.answered):
            self._without_request(client, met, ending(met.how, met.opened))

    def left(self, link: Link) -> None:
        """Records a connection relayed by `addon.arrive.splice`; called in its thread."""
        if link.verdict is None:
            return
        client = connection.Client(
            peername=link.peer,
            sockname=link.destination,
            timestamp_start=link.began,
            state=connection.ConnectionState.CLOSED,
        )
        to = endpoint(link.destination)
        self._record(client, to, link.verdict, link.sent, link.received, link.error)

    def end(self) -> None:
        """Records all connections that are still relayed or brought no request."""
        self.memory.end()
        for client in list(self._relays):
            for relay in self._relays.pop(client):
                self._relayed(relay)
        for each in list(self._lines.values()):
            for lines in each:
                lines.end()
        for met_client in list(self._met):
            self._met[met_client].stopped = True
            self.client_disconnected(met_client)

    def _relayed(self, relay: Relay) -> None:
        client, server = relay.context.client, relay.context.server
        found = Verdict(relay.host, relay.sni, relay.reason)
        to = destination_of(client, server)
        self._record(client, to, found, relay.sent, relay.received, server.error or "")

    def _record(
        self,
        client: connection.Client,
        destination: Endpoint | None,
        found: Verdict,
        sent: int,
        received: int,
        error: str,
    ) -> None:
        reason, detail = found.reason, error
        if detail and not received:
            reason, detail = why(detail) or ("upstream_unreachable", detail)
        self.shipper.submit(
            self.capture.connection(
                self.shipper.reserve(),
                "refused" if reason in ("loop", "unjudged") else "spliced",
                client,
                host=found.host,
                sni=found.sni,
                destination=destination,
                reason=reason,
                detail=detail,
                sent=sent,
                received=received,
            ),
        )
