"""The limits of the sidecar: it ends or refuses what exceeds them, so that no client or real host
can exhaust its memory or stop it from serving the others.

`addon.options` makes settings of these rows, `addon.diagnostics.metrics` counts by their ids, and
docs/security/bounds.md prints them. The defaults add up to less than the 192 MiB that a pod's
sidecar may use; the sum stands there too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.contract.settings import Setting, size

WINDOW_S = 10.0  # the window in which HTTP/2 resets and control frames are counted


class Bound(NamedTuple):
    """`parse` and `wanted` are the setting's; `reason` is the record's, an id in REASONS."""

    id: str  # label of telemock.bounds.exceeded, and field of Bounds
    setting: str
    default: str
    parse: Callable[[str], Any]
    reason: str
    help: str
    wanted: str


def _number(value: str) -> int:
    if not (value.isascii() and value.isdigit() and 1 <= int(value[:9]) <= 1_000_000):
        raise ValueError
    return int(value)


def _size(value: str) -> int:
    number = size(value)
    if number < 64 * 1024:
        raise ValueError
    return number


def _seconds(value: str) -> float:
    number = float(value)
    if not 0 < number <= 3600:
        raise ValueError
    return number


_NUMBER = "a number from 1 to 1000000"
_SIZE = "64KiB or more, in bytes or with KiB or MiB"
_SECONDS = "seconds, more than 0 and up to 3600"

BOUNDS = (
    Bound("connections", "TELEMOCK_CONNECTIONS", "400", _number, "too_many_connections",
          "Client connections at a time that are not relayed unread; fewer where fewer files may "
          "be open. One more closes the idlest that waits for nothing, or is refused itself.",
          _NUMBER),
    Bound("held", "TELEMOCK_HELD_SIZE", "24MiB", _size, "too_much_held",
          "Bytes in memory of all connections together: half heads, bodies, answers that are not "
          "read. Over it the connection that holds most of what nobody moves is closed.", _SIZE),
    Bound("head", "TELEMOCK_HEAD_SECONDS", "20", _seconds, "head_timeout",
          "Time for a TLS handshake, and for a request's head once it has begun.", _SECONDS),
    Bound("body", "TELEMOCK_BODY_SECONDS", "30", _seconds, "body_timeout",
          "Time in which the body of a request that is answered here must bring another KiB, or "
          "end.", _SECONDS),
    Bound("answer", "TELEMOCK_ANSWER_SECONDS", "10", _seconds, "answer_timeout",
          "Time in which a request that is whole is answered, or its connection closed.", _SECONDS),
    Bound("request_fields", "TELEMOCK_REQUEST_FIELDS", "1000", _number, "request_fields",
          "Header lines of a request; one with more of them is answered with 431.", _NUMBER),
    Bound("response_head", "TELEMOCK_RESPONSE_HEAD_SIZE", "256KiB", _size, "response_head",
          "Bytes of the head, and of the trailers, of a real host's answer; a larger one is "
          "answered with 502.", _SIZE),
    Bound("response_fields", "TELEMOCK_RESPONSE_FIELDS", "1000", _number, "response_head",
          "Header lines of a real host's answer; more of them are answered with 502.", _NUMBER),
    Bound("streams", "TELEMOCK_HTTP2_STREAMS", "100", _number, "http2_flood",
          "Requests at a time on one HTTP/2 connection.", _NUMBER),
    Bound("resets", "TELEMOCK_HTTP2_RESETS", "200", _number, "http2_flood",
          f"HTTP/2 streams that one side may cancel in {WINDOW_S:.0f} seconds; one more ends its "
          "connection with GOAWAY.", _NUMBER),
    Bound("control", "TELEMOCK_HTTP2_CONTROL", "2000", _number, "http2_flood",
          "HTTP/2 frames that carry nothing (PING, SETTINGS, PRIORITY, empty DATA, needless "
          f"WINDOW_UPDATE) that one side may send in {WINDOW_S:.0f} seconds; one more ends its "
          "connection with GOAWAY.", _NUMBER),
    Bound("websocket", "TELEMOCK_WEBSOCKET_SIZE", "4MiB", _size, "websocket_size",
          "Bytes of one WebSocket message, inflated; a larger one ends the connection.", _SIZE),
)  # fmt: skip

BYTES_A_FIELD = 300  # memory of one header line, besides its text

REASON = {row.id: row.reason for row in BOUNDS}
SETTINGS = tuple(Setting(b.setting, b.default, b.parse, b.help, b.wanted) for b in BOUNDS)


@dataclass(frozen=True)
class Bounds:
    """The values of one start, with a field for each row."""

    connections: int
    held: int
    head: float
    body: float
    answer: float
    request_fields: int
    response_head: int
    response_fields: int
    streams: int
    resets: int
    control: int
    websocket: int


def bounds(values: Mapping[str, Any]) -> Bounds:
    """From the settings' values by name."""
    return Bounds(**{row.id: values[row.setting] for row in BOUNDS})


DEFAULTS = bounds({row.setting: row.parse(row.default) for row in BOUNDS})
