"""One exchange while it runs, from the request's head to the record.

`addon.exchanges` makes one for every HTTP request on an opened connection; the layers feed its
bodies, `addon.record.capture` makes its record.
"""

import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from mitmproxy import connection

from addon.bounds import BYTES_A_FIELD
from addon.exchange.reply import Reply
from app.contract.actions import FORWARDED, Action
from app.contract.canonical import hosts_in, pairs_of
from app.contract.record import Endpoint, Pair, Program, Tls, first
from app.contract.rules import Decision, RuleSet, Seen
from app.otel import ids
from app.otel.sampling import Sampler

KEY = "telemock"  # in a flow's metadata
now = time.perf_counter_ns


class Kept:
    """The first bytes of a body, and the size and hash of the whole."""

    __slots__ = ("_first", "_hash", "_prefix", "cap", "size")

    def __init__(self, cap: int) -> None:
        self.cap = cap
        self.size = 0
        self._first = b""  # most bodies come in one piece, or are empty
        self._prefix = bytearray()  # of bodies in several pieces
        self._hash: hashlib._Hash | None = None

    def add(self, data: bytes) -> bytes:
        """Takes the next bytes and returns them, so that it can serve as a stream's filter."""
        if data:
            if not self.size:
                self._first = data
            else:
                if self._hash is None:
                    self._hash = hashlib.sha256(self._first)
                    self._prefix += self._first[: self.cap]
                    self._first = b""
                self._hash.update(data)
                room = self.cap - len(self._prefix)
                if room > 0:
                    self._prefix += data[:room]
            self.size += len(data)
        return data

    @property
    def held(self) -> int:
        """Bytes in memory."""
        return len(self._first) + len(self._prefix)

    def forget(self) -> None:
        """Frees the bytes, once there is a record of them."""
        self._first, self._prefix = b"", bytearray()

    @property
    def prefix(self) -> bytes:
        return self._first[: self.cap] if self._hash is None else bytes(self._prefix)

    @property
    def whole(self) -> bool:
        return self.size <= self.cap

    @property
    def sha256(self) -> str:
        if not self.size:
            return ""
        return (self._hash or hashlib.sha256(self._first)).hexdigest()


class Counted:
    """The size of a body, without its bytes."""

    __slots__ = ("size",)
    held = 0

    def __init__(self) -> None:
        self.size = 0

    def forget(self) -> None:
        pass

    def add(self, data: bytes) -> bytes:
        self.size += len(data)
        return data


@dataclass(slots=True)
class Trace:
    """W3C trace context: the client's trace if it sent one, and the two spans of this exchange,
    SERVER towards the client (`span_id`, the record's) and CLIENT towards the mock or real host."""

    trace_id: str
    span_id: str
    client_span: str
    sampled: bool
    parent_id: str = ""  # the client's span
    state: str = ""  # the client's tracestate
    recorded: bool = False  # the spans are exported

    @property
    def traceparent(self) -> str:
        """For the mock, whose span is a child of the CLIENT span."""
        return ids.traceparent(self.trace_id, self.client_span, self.sampled)


def trace(traceparent: str, tracestate: str = "", sampler: Sampler | None = None) -> Trace:
    """From the client's headers; a new trace if they hold none, or no valid one.

    `sampler` is None if spans are not exported: then the client's decision is passed on, and the
    mock's span is a child of the record's span.
    """
    parent = ids.parent(traceparent)
    trace_id = parent.trace_id if parent else ids.trace_id()
    span = ids.span_id()
    state = tracestate if parent and _STATE.fullmatch(tracestate) else ""
    if sampler is None:
        sampled = parent is None or parent.sampled
        return Trace(trace_id, span, span, sampled, parent.span_id if parent else "", state)
    sampled = sampler.sampled(trace_id, parent.sampled if parent else None)
    return Trace(
        trace_id=trace_id,
        span_id=span,
        client_span=ids.span_id(),
        sampled=sampled,
        parent_id=parent.span_id if parent else "",
        state=state,
        recorded=sampled,
    )


_STATE = re.compile(r"[\x20-\x7e]{1,512}")


class Traced(NamedTuple):
    """Facts for a record's spans that the record itself lacks."""

    parent_id: str = ""  # "" where the client named none
    client_span: str = ""  # "" if nobody was asked
    asked_ns: int = 0  # from the record's time until the mock or real host was asked


class Line(NamedTuple):
    """Per-connection facts that its requests share."""

    id: str  # of the client's connection
    client: Endpoint | None
    destination: Endpoint
    tls: Tls | None  # of the client's side
    scheme: str
    port: int
    stands_for: str  # the host, where the request does not say it: the SNI or the destination
    names: tuple[str, ...] = ()  # every one that the connection carries
    program: Program | None = None  # the client's, on a laptop


@dataclass(slots=True)
class Exchange:
    """One request and its answer. `seen` and `fields` are as the client sent them."""

    line: Line
    rules: RuleSet
    seen: Seen
    fields: Sequence[tuple[bytes, bytes]]  # the headers as bytes
    target: bytes
    decision: Decision
    http_version: str
    trace: Trace
    sent: Kept | Counted
    received: Kept | Counted
    number: tuple[str, int] = ("", 0)  # boot and sequence, reserved for the record
    time_ns: int = field(default_factory=time.time_ns)
    started: int = field(default_factory=now)
    asked: int = 0  # `now()` when the mock or the real host was asked
    answered: int = 0  # `now()` when its answer began, or failed
    answered_by: Literal["", "app", "sidecar", "upstream"] = ""
    reply: Reply | None = None
    reason: str = ""
    detail: str = ""
    version: str = ""  # of the product
    chunk_extensions: bool = False  # the request had such
    routed: bool = False  # mitmproxy itself speaks with the mock
    killed: bool = False  # the client's connection is cut instead of an answer
    finished: bool = False

    @property
    def id(self) -> str:
        return f"{self.number[0]}-{self.number[1]}"

    @property
    def action(self) -> Action:
        return self.decision.action

    @property
    def has_profile(self) -> bool:
        """True if a profile names the host."""
        return self.decision.profile is not None

    @property
    def held(self) -> int:
        """Approximate bytes in memory."""
        fields = len(self.fields) + len(self.seen.query)
        return fields * BYTES_A_FIELD + self.sent.held + self.received.held

    @property
    def undecided(self) -> bool:
        return self.decision.needs_body

    @property
    def forwarded(self) -> bool:
        """True if the request goes on to the real host."""
        return self.action in FORWARDED and not self.undecided

    @property
    def traced(self) -> Traced | None:
        """None if its spans are not exported, which includes all that no profile names."""
        if not self.trace.recorded or not self.has_profile:
            return None
        asked = self.asked - self.started if self.asked else 0
        return Traced(self.trace.parent_id, self.trace.client_span if asked else "", asked)

    def header(self, name: str) -> str:
        """The first value of a lower-case name, "" for none."""
        return first(self.seen.headers, name)


def names_of(
    client: connection.Client, server: connection.Server, stands_for: Mapping[str, str]
) -> tuple[str, ...]:
    """Every name that a connection carries: the SNI, its destination, and what these stand for."""
    parts = [client.sni or "", stands_for.get(client.sockname[0], "")]
    if server.address is not None:
        parts += [server.address[0], stands_for.get(server.address[0], "")]
    return tuple(dict.fromkeys(name for part in parts for name in hosts_in(part)))


def query_of(target: str) -> tuple[str, list[Pair]]:
    """The raw path and the decoded query of a request target."""
    path, _, query = target.partition("?")
    return path, pairs_of(query)
