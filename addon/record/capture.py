"""Makes the CaptureRecord of an exchange or a connection.

Called by `addon.exchanges` and `addon.connections`. It masks nothing: the shipper does, before the
first write.
"""

import time
from functools import lru_cache
from typing import Literal
from weakref import WeakSet

from mitmproxy import connection
from mitmproxy.websocket import WebSocketMessage
from msgspec.structs import replace
from wsproto.frame_protocol import Opcode

from addon.arrive.prefaces import Prefaces
from addon.exchange.endpoint import endpoint, tls_of
from addon.exchange.exchange import Exchange, Kept, Trace
from addon.exchange.reply import Reply
from addon.target.dns import Address
from app.contract import body as bodies
from app.contract.actions import OUTLINED, UNTAKEN
from app.contract.decoding.read import read
from app.contract.record import (
    HEADER_CAP,
    QUERY_CAP,
    VALUE_CAP,
    Body,
    CaptureRecord,
    Endpoint,
    Kind,
    Message,
    Mode,
    Pair,
    Program,
    Request,
    Response,
    Sender,
    Tls,
    Workload,
    clip,
    cut,
    joined,
    short,
    text,
)
from app.contract.route_template import varies
from app.contract.rules import Decision, Seen, product_version

OWN_CAP = 16 * 1024  # bytes up to which the record of an answer of ours is cached
FIRST_BYTES = 256  # bytes in its record of a connection that no rule can judge
_MESSAGES = (Opcode.TEXT, Opcode.BINARY)
DETAIL_CAP = 2000  # characters of a library's message


class Capture:
    """Makes the records of one process; it is given the facts that they share."""

    def __init__(
        self,
        workload: Workload,
        mode: Mode | None,
        body_cap: int,
        prefaces: Prefaces | None = None,
    ) -> None:
        self._workload = workload
        self.prefaces = prefaces
        self._mode: Mode | Literal[""] = mode or ""
        self._body_cap = body_cap
        self.told: WeakSet[connection.Client] = WeakSet()  # clients with a record, or one to come

    def program(self, peer: Address, to: Address) -> Program | None:
        return self.prefaces.program(peer, to) if self.prefaces else None

    def exchange(self, exchange: Exchange, kind: Kind, end: int) -> CaptureRecord:
        """The whole exchange; if it is outlined, without headers, query and content.

        `end` is its time by `addon.exchange.exchange.now`.
        """
        decision, seen, line = exchange.decision, exchange.seen, exchange.line
        outline = exchange.action in OUTLINED
        path = outline_path(seen.path) if outline else cut(seen.path, VALUE_CAP)
        record = CaptureRecord(
            boot=exchange.number[0],
            seq=exchange.number[1],
            kind=kind,
            time_ns=exchange.time_ns,
            duration_ns=max(0, end - exchange.started),
            answer_ns=max(0, exchange.answered - exchange.asked) if exchange.asked else 0,
            workload=self._workload,
            profile=decision.profile_id,
            rule=decision.rule_id,
            route=decision.route if decision.rule else (path if outline else ""),
            action=exchange.action,
            mode=self._mode,
            answered_by=exchange.answered_by,
            judged_by=" ".join(decision.by),
            reason=exchange.reason,
            detail=cut(text(exchange.detail), DETAIL_CAP),
            client=line.client,
            program=line.program,
            destination=line.destination,
            tls=line.tls and replace(line.tls),  # its name is masked in place
            trace_id=exchange.trace.trace_id,
            span_id=exchange.trace.span_id,
            product_version=exchange.version,
            request=Request(
                method=seen.method[:512],
                scheme=line.scheme,
                host=seen.host[:512],
                port=line.port,
                path=path,
                http_version=short(exchange.http_version),
            ),
        )
        if kind == "spliced":
            record.sent, record.received = exchange.sent.size, exchange.received.size
        self._parts(exchange, exchange.reply, record, outline)
        return record

    def _parts(
        self, exchange: Exchange, reply: Reply | None, record: CaptureRecord, outline: bool
    ) -> None:
        request = record.request
        if request is not None:
            request.chunk_extensions = exchange.chunk_extensions
            if not outline:
                request.headers, request.query, request.left_out = self._pairs(exchange)
            request.body = self._body(exchange.sent, exchange.header("content-encoding"), outline)
        if reply is None:
            return
        # Of our own answers mitmproxy knows only the version that it translates from.
        upstream = exchange.answered_by == "upstream"
        version = reply.http_version if upstream else exchange.http_version
        if exchange.answered_by == "sidecar" and len(reply.body) <= OWN_CAP and not outline:
            own = _own(reply, version, self._body_cap)
            record.response = replace(own, headers=own.headers.copy())
            record.response.body = own.body and replace(own.body)
            return
        record.response = _response(reply, version, outline=outline)
        encoding = joined(reply.pairs, "content-encoding")
        record.response.body = self._body(exchange.received, encoding, outline)

    def _pairs(self, exchange: Exchange) -> tuple[list[Pair], list[Pair], int]:
        headers, fewer = clip(list(exchange.seen.headers), HEADER_CAP)
        query, less = list(exchange.seen.query), 0
        # Decoded, a byte has four characters at most: a short target has no value that is too long.
        if len(query) > QUERY_CAP or len(exchange.target) * 4 > VALUE_CAP:
            query, less = clip(query, QUERY_CAP)
        return headers, query, fewer + less

    def _body(self, kept: object, encoding: str, outline: bool) -> Body | None:
        size = getattr(kept, "size", 0)
        if not size:
            return None
        if outline or not isinstance(kept, Kept):
            return Body(size=size)
        return bodies.keep(
            kept.prefix, size=size, sha256=kept.sha256, encoding=encoding, cap=self._body_cap
        )

    def message(
        self, number: tuple[str, int], exchange: Exchange, message: WebSocketMessage
    ) -> CaptureRecord:
        """One WebSocket message of an exchange that was recorded before, or what a control frame
        carried."""
        control = "" if message.type in _MESSAGES else f"in a {message.type.name.lower()} frame"
        decision = exchange.decision
        return CaptureRecord(
            boot=number[0],
            seq=number[1],
            kind="message",
            time_ns=time.time_ns(),
            workload=self._workload,
            profile=decision.profile_id,
            rule=decision.rule_id,
            route=decision.route,
            action=exchange.action,
            mode=self._mode,
            answered_by="" if message.from_client else exchange.answered_by,
            client=exchange.line.client,
            program=exchange.line.program,
            destination=exchange.line.destination,
            trace_id=exchange.trace.trace_id,
            span_id=exchange.trace.span_id,
            product_version=exchange.version,
            detail=control,
            message=Message(
                of=exchange.id,
                sender="client" if message.from_client else "server",
                body=bodies.whole(message.content, cap=self._body_cap),
            ),
        )

    def line(
        self,
        number: tuple[str, int],
        kind: Kind,
        client: connection.Client,
        decision: Decision,
        sender: Sender,
        line: Kept,
        *,
        of: str,
        to: Endpoint | None,
    ) -> CaptureRecord:
        """One line of a connection without HTTP."""
        record = self.connection(
            number, kind, client, host=decision.host, sni=client.sni or "", destination=to,
            profile=decision.profile_id,
        )  # fmt: skip
        body = bodies.keep(line.prefix, size=line.size, sha256=line.sha256, cap=self._body_cap)
        record.time_ns, record.duration_ns = time.time_ns(), 0
        record.rule, record.route, record.action = decision.rule_id, decision.route, decision.action
        record.message = Message(of=of or record.id, sender=sender, body=body, line=True)
        if sender == "server":
            record.answered_by = "upstream"
        elif decision.profile and decision.rule and decision.profile.version_from:
            json = read(body, "", decision.rule.decoders).value
            seen = Seen(method="", host=decision.host, path="", json=json)
            record.product_version = product_version(decision.profile, seen, decision.rule)
        return record

    def unjudged(
        self,
        number: tuple[str, int],
        client: connection.Client,
        host: str,
        destination: Endpoint | None,
        profile: str,
        data: bytes,
    ) -> CaptureRecord:
        """A connection that was refused, as no rule can judge its bytes."""
        return self.connection(
            number,
            "refused",
            client,
            host=host,
            sni=client.sni or "",
            destination=destination,
            profile=profile,
            reason="unjudged",
            detail=f"went on with {text(data[:FIRST_BYTES])}",  # as it is: so it can be masked
            sent=len(data),
        )

    def connection(
        self,
        number: tuple[str, int],
        kind: Kind,
        client: connection.Client,
        *,
        host: str,
        sni: str,
        destination: Endpoint | None,
        profile: str = "",
        reason: str = "",
        detail: str = "",
        sent: int = 0,
        received: int = 0,
        trace: Trace | None = None,
    ) -> CaptureRecord:
        """A connection without a request that was read."""
        self.told.add(client)
        began = int(client.timestamp_start * 1e9)
        tls = tls_of(client) or Tls()
        # Without SNI the name from the redirect or CONNECT is the best there is.
        tls.sni = short(sni or host)
        return CaptureRecord(
            boot=number[0],
            seq=number[1],
            kind=kind,
            time_ns=began,
            duration_ns=max(0, time.time_ns() - began),
            workload=self._workload,
            profile=profile,
            action=UNTAKEN if kind == "spliced" else "",
            mode=self._mode,
            reason=reason,
            detail=cut(text(detail), DETAIL_CAP),
            client=endpoint(client.peername),
            program=self.program(client.peername[:2], client.sockname[:2]),
            destination=destination,
            tls=tls,
            sent=sent,
            received=received,
            trace_id=trace.trace_id if trace else "",
            span_id=trace.span_id if trace else "",
        )


def _response(reply: Reply, version: str, *, outline: bool) -> Response:
    """Without its body."""
    response = Response(
        status=reply.status, reason=short(reply.reason), http_version=short(version)
    )
    if not outline:
        response.headers, response.left_out = clip(reply.pairs, HEADER_CAP)
    return response


@lru_cache(maxsize=64)
def _own(reply: Reply, version: str, cap: int) -> Response:
    """The record of an answer of ours, cached, as the same answer is given again and again."""
    response = _response(reply, version, outline=False)
    if reply.body:
        response.body = bodies.whole(reply.body, joined(reply.pairs, "content-encoding"), cap)
    return response


def outline_path(path: str) -> str:
    """An outline keeps of a path its first segment, or the kind of it where it is a value; the
    masking takes from it what is sensitive."""
    first, slash, _ = path.removeprefix("/").partition("/")
    kind = varies(first[:VALUE_CAP])
    return "/" + (f"{{{kind}}}" if kind else first) + ("/*" if slash else "")
