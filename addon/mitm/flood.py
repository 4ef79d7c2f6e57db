"""HTTP/2 with bounds, on both sides: a peer that floods with resets or empty frames gets GOAWAY,
and its connection is closed.

`addon.mitm.layers` puts it in place.
"""

import time
from typing import Any, ClassVar

import h2.events
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from mitmproxy.proxy import layer
from mitmproxy.proxy.layers.http import _http2
from mitmproxy.proxy.layers.http._http_h2 import BufferedH2Connection

from addon.bounds import DEFAULTS, REASON, WINDOW_S, Bounds
from addon.mitm.overrun import exceeded
from app.contract.record import REASONS

# h2 allows 64 CONTINUATION frames per header list: at this size an endless one holds 1 MiB at most,
# with mitmproxy's larger frames it would be 8 MiB.
FRAME_SIZE = 16 * 1024
PIECE = 8 * 1024  # bytes that h2 gets before their frames are counted

_EMPTY = (
    h2.events.PingReceived,
    h2.events.PingAckReceived,
    h2.events.RemoteSettingsChanged,
    h2.events.SettingsAcknowledged,
    h2.events.PriorityUpdated,
    h2.events.UnknownFrameReceived,
    h2.events.AlternativeServiceAvailable,
    h2.events.PushedStreamReceived,
    h2.events.InformationalResponseReceived,
)


class Flood(ProtocolError):
    """A bound was exceeded."""

    error_code = ErrorCodes.ENHANCE_YOUR_CALM

    def __init__(self, bound: str) -> None:
        super().__init__(REASONS[REASON[bound]])
        self.bound = bound


class Rate:
    """Counts events in the current window."""

    __slots__ = ("_began", "_count", "most")

    def __init__(self, most: int) -> None:
        self.most = most
        self._count = 0
        self._began = 0.0

    def over(self, number: int) -> bool:
        """Counts these; True once the window has more than it allows."""
        now = time.monotonic()
        if now - self._began > WINDOW_S:
            self._began, self._count = now, 0
        self._count += number
        return self._count > self.most


class Frames(BufferedH2Connection):
    """Counts received frames. A WINDOW_UPDATE is needless unless it follows our data: two are due
    for each frame of it."""

    bounds: ClassVar[Bounds] = DEFAULTS

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self._resets, self._control = Rate(self.bounds.resets), Rate(self.bounds.control)
        self._needless = 0
        self._due = 0
        self.local_settings.max_frame_size = self.max_inbound_frame_size = FRAME_SIZE
        self.local_settings.max_concurrent_streams = self.bounds.streams
        self.local_settings.acknowledge()

    def receive_data(self, data: Any) -> list[h2.events.Event]:
        # In pieces, so that a flood is not read to its end.
        events = []
        for begin in range(0, len(data), PIECE):
            events += self._receive(data[begin : begin + PIECE])
        return events

    def _receive(self, data: Any) -> list[h2.events.Event]:
        events: list[h2.events.Event] = super().receive_data(data)
        resets = sum(isinstance(x, h2.events.StreamReset) for x in events)
        if resets and self._resets.over(resets):
            raise Flood("resets")
        control, self._needless = self._needless + sum(map(_is_empty, events)), 0
        if control and self._control.over(control):
            raise Flood("control")
        return events

    def send_data(self, *args: Any, **kwargs: Any) -> None:
        self._due += 2
        super().send_data(*args, **kwargs)

    def stream_window_updated(self, stream_id: int) -> bool:
        self._window_updated()
        return super().stream_window_updated(stream_id)

    def connection_window_updated(self) -> None:
        self._window_updated()
        super().connection_window_updated()

    def _window_updated(self) -> None:
        if self._due:
            self._due -= 1
        else:
            self._needless += 1

    def waiting(self, stream_id: int | None = None) -> int:
        """Bytes that the peer's flow-control windows hold back, of one stream or all."""
        found = self.stream_buffers.values() if stream_id is None else (
            self.stream_buffers.get(stream_id, ()),
        )  # fmt: skip
        return sum(len(x.data) for queue in found for x in queue)

    def partial(self) -> int:
        """Bytes of incomplete frames and header lists."""
        incoming = self.incoming_buffer
        return len(incoming._data) + sum(len(f.data) for f in incoming._headers_buffer)


def _is_empty(event: h2.events.Event) -> bool:
    if isinstance(event, h2.events.DataReceived):
        return not event.data and not event.stream_ended
    return isinstance(event, _EMPTY)


class _Calm:
    """Turns a flood into GOAWAY; mixed into mitmproxy's two connections."""

    def handle_h2_event(self, event: h2.events.Event) -> layer.CommandGenerator[bool]:
        if not isinstance(event, Flood):
            stop: bool = yield from super().handle_h2_event(event)  # type: ignore[misc]
            return stop
        exceeded(event.bound, self)  # type: ignore[arg-type]
        yield from self.protocol_error(str(event), event.error_code)  # type: ignore[attr-defined]
        return True


class Http2Server(_Calm, _http2.Http2Server):
    """Towards the client."""


class Http2Client(_Calm, _http2.Http2Client):
    """Towards the real host."""
