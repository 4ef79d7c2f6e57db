"""Compressed WebSocket messages, inflated up to a bound: a few bytes may stand for a thousand times
as many.

Put in place by `addon.layers`, for both directions.
"""

import zlib
from typing import ClassVar

from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol

from addon.bounds import DEFAULTS


class Inflate(PerMessageDeflate):
    most: ClassVar[int] = DEFAULTS.websocket  # bytes of a message

    def __init__(self) -> None:
        super().__init__()
        self.over = False
        self._inflated = 0  # of the message that is being received

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
        if fin and self._inbound_is_compressible:
            self._inflated = 0
        return super().frame_inbound_complete(proto, fin)
