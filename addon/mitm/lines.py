"""Takes lines that are no HTTP on a port where a rule takes them (`app.contract.rules.of_lines`).

`addon.mitm.next_layer` chooses it for every connection to such a port; one that begins as HTTP goes
on to the layer that reads requests. A rule that answers has no answer for lines: they are read and
recorded.
"""

from collections.abc import Callable, Iterable

from mitmproxy import connection
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context

from addon.exchange.conversation import Stage
from addon.exchange.exchange import Kept
from addon.exchange.lines import LineCutter
from addon.mitm.relay import LayerEvents, LineSource, Relay
from addon.target.first_bytes import Wait, starts_like_http
from addon.target.hello import HEAD_CAP
from app.contract.actions import ANSWERED, OUTLINED, REFUSED, Kind
from app.contract.record import Sender
from app.contract.rules import Decision

LONGEST = 16 << 20  # bytes of a line after which its connection is closed, if it is read here
LOOK = 1024  # bytes without a line's end after which the next look waits for one
HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # the first bytes of a client that knows beforehand


class Lines(LineSource):
    """`http` makes the layer that reads requests."""

    child_layer: layer.Layer | None = None

    def __init__(
        self,
        context: Context,
        told: LayerEvents,
        decision: Decision,
        http: Callable[[], layer.Layer],
    ) -> None:
        super().__init__(context)
        self.decision = decision
        self.host = decision.host
        self._told, self._http = told, http
        self._begun: bytearray | None = bytearray()  # None once it is known what it is
        self.sent, self.received = LineCutter(told.line_cap), LineCutter(told.line_cap)

    # Read by `addon.mitm.handler`.

    @property
    def answers(self) -> int:
        return self.sent.number

    @property
    def held(self) -> int:
        return len(self._begun or b"") + self.sent.held + self.received.held

    def stages(self) -> dict[Stage, int]:
        """A line that was begun has to go on, where nobody else waits for it."""
        if self._begun:
            return {("head", 0): 0}
        waits = self.sent.size and self.child_layer is None and not self._forwards
        return {("body", 0): self.sent.size >> 10} if waits else {}

    @property
    def _forwards(self) -> bool:
        return self.decision.action not in (*ANSWERED, *REFUSED)

    def end(self) -> None:
        """Records what has no end yet."""
        if self._begun:
            begun, self._begun = bytes(self._begun), None
            self._record("client", self.sent.add(begun))
        self._record("client", self.sent.end())
        self._record("server", self.received.end())

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if self.child_layer is not None:
            yield from self.child_layer.handle_event(event)
        elif isinstance(event, events.Start):
            self._told.has_lines(self)
        elif self._begun is not None:
            yield from self._begin(self._begun, event)
        elif isinstance(event, events.DataReceived):
            yield from self._data(event)
        elif isinstance(event, events.ConnectionClosed):
            yield from self._closed(event.connection)

    def _begin(self, begun: bytearray, event: events.Event) -> layer.CommandGenerator[None]:
        """Decides what the client speaks. One that closes after half a line has sent a line."""
        left = isinstance(event, events.ConnectionClosed)
        if isinstance(event, events.DataReceived):
            looked = len(begun)
            begun += event.data
            # A look at every byte would cost the square of their number.
            if looked > LOOK and len(begun) < HEAD_CAP and b"\n" not in event.data:
                return
        data = bytes(begun)
        http = data.startswith(HTTP2[:16]) or starts_like_http(data)
        if not left and (isinstance(http, Wait) or (HTTP2.startswith(data) and data != HTTP2)):
            return
        self._begun = None
        if data.startswith(HTTP2):
            self.context.client.alpn = b"h2"  # as TLS would have said it
        if http is True:
            yield from self._go_on(self._http(), data)
        elif self.decision.action in OUTLINED:
            unread = Relay(self.context, self._told, host=self.host, reason="not_http")
            yield from self._go_on(unread, data)
        elif self._forwards and not (yield from self._connect(data)):
            return
        else:
            yield from self._data(events.DataReceived(self.context.client, data))
        if left:
            yield from self._handle_event(event)

    def _go_on(self, child: layer.Layer, data: bytes) -> layer.CommandGenerator[None]:
        self.child_layer = child
        yield from child.handle_event(events.Start())
        if data:
            yield from child.handle_event(events.DataReceived(self.context.client, data))

    def _connect(self, data: bytes) -> layer.CommandGenerator[bool]:
        error = yield commands.OpenConnection(self.context.server)
        if error:
            self._record("client", self.sent.add(data), "failed", "upstream_unreachable", error)
            self._record("client", self.sent.end(), "failed", "upstream_unreachable", error)
            yield from self._close()
        return not error

    def _data(self, event: events.DataReceived) -> layer.CommandGenerator[None]:
        if event.connection == self.context.server:
            yield commands.SendData(self.context.client, event.data)
            self._record("server", self.received.add(event.data))
            return
        if self.decision.action in REFUSED:
            self._record("client", self.sent.add(event.data), "refused", "blocked")
            self._record("client", self.sent.end(), "refused", "blocked")
            yield from self._close()
            return
        if self._forwards:
            yield commands.SendData(self.context.server, event.data)
        self._record("client", self.sent.add(event.data))
        if self.sent.size > LONGEST and not self._forwards:
            self._record("client", self.sent.end(), reason="too_large")
            yield from self._close()

    def _close(self) -> layer.CommandGenerator[None]:
        """Reads no more of what the client has on its way."""
        self._handle_event = self._over  # type: ignore[method-assign]
        yield commands.CloseConnection(self.context.client)

    def _over(self, event: events.Event) -> layer.CommandGenerator[None]:
        yield from ()

    def _closed(self, closed: connection.Connection) -> layer.CommandGenerator[None]:
        """A side that sends no more may still receive."""
        client, server = self.context.client, self.context.server
        other, cutter = (server, self.sent) if closed is client else (client, self.received)
        self._record("client" if closed is client else "server", cutter.end())
        if not self._forwards or not other.state & connection.ConnectionState.CAN_READ:
            for each in (client, server):
                if each.state is not connection.ConnectionState.CLOSED:
                    yield commands.CloseConnection(each)
        elif other.state & connection.ConnectionState.CAN_WRITE:
            yield commands.CloseTcpConnection(other, half_close=True)

    def _record(
        self,
        sender: Sender,
        lines: Iterable[Kept],
        kind: Kind = "message",
        reason: str = "",
        detail: str = "",
    ) -> None:
        for line in lines:
            self._told.line(self, sender, line, kind, reason, detail)
