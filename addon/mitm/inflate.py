"""WebSocket messages with a bound on their inflated size, as a few bytes may inflate to a thousand
times as many. It also works around wsproto 1.3, which takes the end of any frame with FIN, a ping's
too, for the end of a compressed message, and reads its rest as not compressed.


`addon.mitm.layers` puts it in place, for both directions.
"""

import zlib
from collections.abc import Iterator
from typing import Any, ClassVar

from mitmproxy.proxy import commands, events, layer, layers
from mitmproxy.proxy.layers import websocket
from mitmproxy.websocket import WebSocketMessage
from wsproto.events import CloseConnection, Event, Ping, Pong
from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, Opcode, RsvBits

from addon.bounds import DEFAULTS, Bounds
from addon.mitm.handler import message_size
from addon.mitm.overrun import exceeded


class Inflate(PerMessageDeflate):
    most: ClassVar[int] = DEFAULTS.websocket  # bytes of a message

    def __init__(self) -> None:
        super().__init__()
        self.over = False
        self._inflated = 0  # of the message that is being received
        self._around: bool | None = None  # the state of the message around a control frame

    def frame_inbound_header(
        self,
        proto: FrameDecoder | FrameProtocol,
        opcode: Opcode,
        rsv: RsvBits,
        payload_length: int,
    ) -> CloseReason | RsvBits:
        self._around = self._inbound_compressed
        return super().frame_inbound_header(proto, opcode, rsv, payload_length)

    def frame_inbound_payload_data(
        self, proto: FrameDecoder | FrameProtocol, data: bytes
    ) -> bytes | CloseReason:
        decompressor = self._decompressor
        if not self._inbound_compressed or not self._inbound_is_compressible or not decompressor:
            return super().frame_inbound_payload_data(proto, data)
        try:
            inflated = decompressor.decompress(bytes(data), self.most - self._inflated + 1)
        except zlib.error:
            return CloseReason.INVALID_FRAME_PAYLOAD_DATA
        self._inflated += len(inflated)
        self.over = self._inflated > self.most
        return CloseReason.MESSAGE_TOO_BIG if self.over else inflated

    def frame_inbound_complete(
        self, proto: FrameDecoder | FrameProtocol, fin: bool
    ) -> bytes | CloseReason | None:
        if not self._inbound_is_compressible:  # a control frame
            self._inbound_compressed = self._around
            return None
        if fin:
            self._inflated = 0
        return super().frame_inbound_complete(proto, fin)


class WebSocketSide(websocket.WebsocketConnection):
    """One side of a WebSocket. Keeps what its control frames carry: mitmproxy hands that on, and
    tells nobody."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.said: list[tuple[Opcode, bytes]] = []
        self.pinged = b""  # the payload of its last ping, which the other side sends back

    def events(self) -> Iterator[Event]:
        for event in super().events():
            if isinstance(event, Ping):
                self.pinged = bytes(event.payload)
                self.said.append((Opcode.PING, self.pinged))
            elif isinstance(event, Pong):
                self.said.append((Opcode.PONG, bytes(event.payload)))
            elif isinstance(event, CloseConnection):
                self.said.append((Opcode.CLOSE, (event.reason or "").encode()))
            yield event


class Messages(layers.WebsocketLayer):
    """WebSocket messages with a bound: mitmproxy holds each one until it is whole. What a client
    says in control frames is a message, too."""

    bounds: ClassVar[Bounds] = DEFAULTS
    _refused = False

    def relay_messages(self, event: events.Event) -> layer.CommandGenerator[None]:
        yield from super().relay_messages(event)
        client, server, flow = self.client_ws, self.server_ws, self.flow.websocket
        if not isinstance(client, WebSocketSide) or not isinstance(server, WebSocketSide):
            return
        said, client.said = client.said, []
        server.said.clear()
        for kind, payload in said:
            if payload and flow and (kind is not Opcode.PONG or payload != server.pinged):
                flow.messages.append(WebSocketMessage(kind, True, payload))
                yield websocket.WebsocketMessageHook(self.flow)

    def handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        yield from super().handle_event(event)
        if self._refused or not hasattr(self, "server_ws"):  # before its start
            return
        sides = (self.client_ws, self.server_ws)
        if any(getattr(x, "over", False) for side in sides for x in side._proto.extensions):
            self._refused = True  # wsproto has told both sides
            exceeded("websocket", self)
        elif max(map(message_size, sides)) > self.bounds.websocket:
            self._refused = True
            exceeded("websocket", self)
            self._handle_event = self.done
            yield commands.CloseConnection(self.context.server)
            yield commands.CloseConnection(self.context.client)
