"""Layers of connections that mitmproxy relays unread, or may come to.

`addon.mitm.next_layer` chooses them, and for CONNECT `addon.mitm.layers`.
"""

from collections.abc import Iterable
from typing import Protocol

from mitmproxy import connection, http
from mitmproxy.connection import Server
from mitmproxy.proxy import commands, events, layer, layers
from mitmproxy.proxy.context import Context

from addon.arrive.events import ConnectionEvents
from addon.arrive.memory import Memory
from addon.exchange.conversation import Answers
from addon.exchange.exchange import Exchange, Kept
from addon.exchange.reply import Reply
from addon.target.first_bytes import Wait, judge, names_another
from app.contract.actions import Kind
from app.contract.record import Sender
from app.contract.rules import Decision


class LayerEvents(ConnectionEvents, Protocol):
    """The questions and events of mitmproxy's connections; `addon.connections` implements it."""

    @property
    def answers(self) -> Answers: ...

    @property
    def memory(self) -> Memory: ...

    def heard(self, client: connection.Client) -> None:
        """Told that a request of this client leaves a record."""

    def named(self, context: Context) -> tuple[str, ...]:
        """Every name that the connection carries."""

    def refused(self, context: Context, data: bytes) -> None:
        """Records a connection that these bytes made impossible to judge."""

    def settle(self, exchange: Exchange, flow: http.HTTPFlow) -> None:
        """Decides a request that waited for its body, on the part that was kept of it."""

    def unrouted(self, exchange: Exchange, error: str) -> Reply | None:
        """The answer in place of a mock that failed to speak with the client; None for none."""

    def spliced(self, relay: "Relay") -> None:
        """Remembers a connection that is relayed unread, to record it when it ends."""

    def answered_by_relay(self, client: connection.Client) -> bool:
        """True if the connection is relayed unread, and both sides have sent bytes."""

    @property
    def line_cap(self) -> int:
        """Bytes of a line that are kept."""

    def of_lines(self, hosts: Iterable[str], port: int) -> Decision | None:
        """The rule for what is no HTTP at one of these hosts, on this port."""

    def has_lines(self, lines: "LineSource") -> None:
        """Remembers a connection of which lines are recorded, to record the last one."""

    def line(
        self, of: "LineSource", sender: Sender, line: Kept, kind: Kind, reason: str, detail: str
    ) -> None:
        """Records one line."""

    def open_of(self, client: connection.Client) -> Iterable[Exchange]:
        """The exchanges that are open on the client's connection."""

    def unsent(self, client: connection.Client) -> int:
        """Bytes that wait to be sent; beyond any limit once the client is gone."""

    def exceeded(self, bound: str, client: connection.Client) -> None:
        """Counts that a bound ended the connection, and has its records say so."""

    def gone(self, client: connection.Client) -> None:
        """Records the connection's open exchanges now."""


class LineSource(layer.Layer):
    """The layer of a connection of which lines are recorded: `addon.mitm.lines`. `of` is the id of
    its first record, once there is one."""

    decision: Decision
    of = ""

    def end(self) -> None:
        """Records what has no end yet."""
        raise NotImplementedError


class Relay(layers.TCPLayer):
    """Relays a connection's bytes unread and counts them. One that named no profile's host ends if
    a further request or ClientHello on it names one that fails closed."""

    def __init__(
        self, context: Context, told: LayerEvents, *, host: str, sni: str = "", reason: str
    ) -> None:
        super().__init__(context, ignore=True)
        self.host, self.sni, self.reason = host, sni, reason
        self.sent = self.received = 0
        self._told, self._ended = told, False
        told.spliced(self)

    def handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if self._ended:
            return
        if isinstance(event, events.DataReceived):
            if event.connection == self.context.client:
                if self.reason == "not_named" and self._leaks(event.data):
                    yield commands.CloseConnection(self.context.client)
                    yield commands.CloseConnection(self.context.server)
                    return
                self.sent += len(event.data)
            else:
                self.received += len(event.data)
        yield from super().handle_event(event)

    def _leaks(self, data: bytes) -> bool:
        host = names_another(data, self._told.names)
        self._ended = bool(host) and self._told.fails_closed((host,))
        if self._ended:
            self.host, self.reason = host, "unjudged"
        return self._ended


class UnnamedTunnel(layer.Layer):
    """A tunnel by CONNECT to a host that no profile names. It is connected, and relayed once the
    client's first bytes name no profile's host either, or the server speaks first; otherwise it
    is opened as if it had not been connected."""

    def __init__(self, context: Context, told: LayerEvents, host: str) -> None:
        super().__init__(context)
        self._told, self._host = told, host
        self._events: list[events.Event] = []
        self._begun = b""
        self._chosen: layer.Layer | None = None
        self._left: Server | None = None  # the connection that was given up

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if self._chosen is not None:
            if not isinstance(event, events.ConnectionEvent) or event.connection != self._left:
                yield from self._chosen.handle_event(event)
            return
        self._events.append(event)
        if isinstance(event, events.Start):
            return
        if isinstance(event, events.DataReceived) and event.connection == self.context.client:
            self._begun += event.data
            found = judge(self._begun, self._host, self._told.names)
            if isinstance(found, Wait):
                return
            if not found.reason or self._told.names(found.host):
                self._left = self.context.server
                yield commands.CloseConnection(self._left)
                self.context.server = Server(address=self._left.address)
                self._chosen = layer.NextLayer(self.context)
        if self._chosen is None:
            self._chosen = Relay(self.context, self._told, host=self._host, reason="not_named")
        for held in self._events:
            yield from self._chosen.handle_event(held)
        self._events.clear()
