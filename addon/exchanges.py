"""Runs exchanges from the request's head to the record: decides, answers, ends them.

`addon.exchange.conversation` calls it directly, `addon.sidecar` from mitmproxy's hooks.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Any

from mitmproxy import connection

from addon.app_client.profiles import Profiles
from addon.bounds import REASON
from addon.exchange.conversation import Head
from addon.exchange.endpoint import endpoint, tls_of
from addon.exchange.exchange import (
    Counted,
    Exchange,
    Kept,
    Line,
    names_of,
    now,
    query_of,
    trace,
)
from addon.exchange.reply import Reply, headers_of
from addon.exchange.routing import Killed, Router, failed, own_seconds
from addon.mitm.modes import destination_of
from addon.options import Options
from addon.record.capture import Capture
from addon.record.ship import Shipper
from app.contract import body as bodies
from app.contract.actions import ANSWERED, OUTLINED, REFUSED
from app.contract.canonical import host_of, hosts_in
from app.contract.decoding.read import for_conditions, read
from app.contract.record import Body, Endpoint, Kind, first, joined, text
from app.contract.rules import UNREAD, Profile, Rule, Seen, decide, product_version
from app.otel import lines
from app.otel.sampling import Sampler

log = logging.getLogger(__name__)


class Exchanges:
    """All exchanges of the process. `router` gets the answers, `shipper` the records."""

    def __init__(
        self,
        options: Options,
        profiles: Profiles,
        shipper: Shipper,
        capture: Capture,
        sampler: Sampler | None,
        router: Router,
    ) -> None:
        self.options = options
        self.profiles = profiles
        self.shipper = shipper
        self.capture = capture
        self.sampler = sampler
        self.router = router
        self._stands_for = options.stands_for
        self._open: dict[str, dict[int, Exchange]] = {}  # unfinished, by client and number

    @property
    def in_flight(self) -> int:
        return sum(map(len, self._open.values()))

    def open_of(self, client_id: str) -> Iterable[Exchange]:
        """The exchanges that are open on this client's connection."""
        return self._open.get(client_id, {}).values()

    def client_disconnected(self, client: connection.Client) -> None:
        for exchange in list(self._open.get(client.id, {}).values()):
            self.finish(exchange, "failed", "client_gone")

    # Called by `addon.exchange.conversation`.

    def line(
        self,
        client: connection.Client,
        server: connection.Server,
        scheme: str = "",
        host: str = "",
        port: int = 0,
    ) -> Line:
        """Per-connection facts that its requests share; `host` and `port` if the request names
        them, and not the connection."""
        names = (*names_of(client, server, self._stands_for), *hosts_in(host))
        if server.address is not None:
            host, port = host or server.address[0], port or server.address[1]
        return Line(
            id=client.id,
            client=endpoint(client.peername),
            destination=destination_of(client, server) or Endpoint(text(host)[:512], port),
            tls=tls_of(client),
            scheme=scheme or ("https" if server.tls else "http"),
            port=port,
            stands_for=client.sni or host,
            names=tuple(dict.fromkeys(names)),
            program=self.capture.program(client.peername[:2], client.sockname[:2]),
        )

    def begin(self, line: Line, head: Head) -> Exchange | None:
        if len(head.fields) > self.options.bounds.request_fields:
            return None  # mitmproxy's layer refuses it
        try:
            exchange = self.judge(line, head.method, head.target, head.fields, "HTTP/1.1")
        except Exception:
            log.exception("a request could not be decided, so mitmproxy reads it")
            return None
        if exchange.forwarded or exchange.undecided or self.hands_over(exchange):
            return None
        self.enter(exchange)
        return exchange

    def answer_now(self, exchange: Exchange) -> bool:
        try:
            exchange.reply = self.router.answer_now(exchange)
            if exchange.reply is not None:
                self.extract_version(exchange)
        except Exception:
            log.exception("a request could not be answered, so it is refused")
            exchange.reply = failed(exchange.seen.method)
        if exchange.reply is None:
            lines.current.set(("", ""))  # its own task continues it
        return exchange.reply is not None

    async def ask_app(self, exchange: Exchange) -> None:
        lines.current.set((exchange.trace.trace_id, exchange.trace.span_id))
        try:
            await self.ask(exchange)
        except Exception:
            log.exception("a request could not be answered, so it is refused")
            exchange.reply = failed(exchange.seen.method)

    def answered(self, exchange: Exchange) -> None:
        try:
            self.end_of(exchange)
        except Exception:
            log.exception("an exchange could not be recorded")
        lines.current.set(("", ""))

    def abandoned(self, exchange: Exchange) -> None:
        self.finish(exchange, "failed", "client_gone")

    # Called by hooks, too.

    def enter(self, exchange: Exchange) -> None:
        """Gives the exchange its number; from here on it must come to `finish`."""
        exchange.number = self.shipper.reserve()
        lines.current.set((exchange.trace.trace_id, exchange.trace.span_id))
        self._open.setdefault(exchange.line.id, {})[exchange.number[1]] = exchange

    def judge(
        self,
        line: Line,
        method: bytes,
        target: bytes,
        fields: Sequence[tuple[bytes, bytes]],
        http_version: str,
        authority: str = "",
    ) -> Exchange:
        rules = self.profiles.rules
        path, query = query_of(text(target))
        headers = headers_of(fields)
        # The host that the client means: :authority or Host, else the host it connected to.
        said = hosts_in(authority)
        for name, value in headers:
            if name.lower() == "host":
                said += hosts_in(value)
        named = said[0] if said else host_of(line.stands_for)
        others = () if said == line.names and len(said) == 1 else (*said, *line.names)
        seen = Seen(
            method=text(method),
            host=named[:512],
            names=others,
            path=path or "/",
            query=query,
            headers=headers,
            json=UNREAD,
        )
        decision = decide(rules, seen, self.options.mode)
        passes = decision.action in OUTLINED and not decision.needs_body
        cap = self.options.body_cap
        return Exchange(
            line=line,
            rules=rules,
            seen=seen,
            fields=fields,
            target=target,
            decision=decision,
            http_version=http_version,
            trace=trace(first(headers, "traceparent"), first(headers, "tracestate"), self.sampler),
            sent=Counted() if passes else Kept(cap),
            received=Counted() if passes else Kept(cap),
        )

    def settle(self, exchange: Exchange) -> None:
        """Decides again with the body; a body over the cap is unreadable."""
        seen = exchange.seen
        decoded = read(self._body(exchange), joined(seen.headers, "content-type"))
        seen.json = for_conditions(decoded)
        exchange.decision = decide(exchange.rules, seen, self.options.mode)
        seen.json = decoded.value  # for the version, sure or not

    def hands_over(self, exchange: Exchange) -> bool:
        """True if the mock must speak with the client itself, through mitmproxy."""
        rule = exchange.decision.rule
        if exchange.action not in ANSWERED or rule is None:
            return False
        if rule.answer.websocket and exchange.header("upgrade").lower() == "websocket":
            return True
        return rule.answer.fault == "slow_body"

    async def ask(self, exchange: Exchange) -> None:
        """Gets the reply. Its time limit holds for every request that a rule answers, whatever
        path it came by."""
        self.extract_version(exchange)
        try:
            async with asyncio.timeout(self.patience(exchange)):
                exchange.reply = await self.router.answer(exchange)
        except Killed:
            self.kill(exchange)
        except TimeoutError:
            self.late(exchange)

    def patience(self, exchange: Exchange) -> float:
        """Seconds that a complete request may wait for its answer."""
        rule = exchange.decision.rule
        own = own_seconds(rule.answer) if rule is not None else 0
        return self.options.bounds.answer + own

    def late(self, exchange: Exchange) -> None:
        exchange.reason = REASON["answer"]
        exchange.detail = f"not within {self.patience(exchange):g} s"
        self._fall_back(exchange)

    def unrouted(self, exchange: Exchange, error: str) -> Reply | None:
        """The rule's own answer, if the mock failed to speak with the client itself; None to cut
        the connection."""
        exchange.routed = False
        if exchange.reason == REASON["answer"]:
            self.late(exchange)
        else:
            exchange.reason, exchange.detail = "app_error", error
            exchange.answered = now()
            self._fall_back(exchange)
        return None if exchange.killed else exchange.reply

    def _fall_back(self, exchange: Exchange) -> None:
        try:
            exchange.reply = self.router.late(exchange)
        except Killed:
            self.kill(exchange)

    def kill(self, exchange: Exchange) -> None:
        exchange.killed = True
        self.finish(exchange, "exchange")

    def end_of(self, exchange: Exchange, *, streamed: bool = False) -> None:
        """Records an answered exchange; a streamed body was counted before."""
        if exchange.reply is not None and not streamed:
            exchange.received.add(exchange.reply.body)
        if exchange.reason in ("trailers", "unjudged") or exchange.action in REFUSED:
            self.finish(exchange, "refused", "blocked")
        elif not exchange.has_profile:
            self.finish(exchange, "spliced", "not_named")
        else:
            self.finish(exchange, "exchange")

    def extract_version(self, exchange: Exchange) -> None:
        profile = exchange.decision.profile
        if profile is None or exchange.action in OUTLINED:
            return
        if exchange.sent.size and exchange.seen.json is UNREAD and _reads_body(profile):
            exchange.seen.json = self._json(exchange, exchange.decision.rule)
        exchange.version = product_version(profile, exchange.seen, exchange.decision.rule)

    def _late_version(self, exchange: Exchange) -> None:
        """That of a request that went on: its body was not there when its head was."""
        profile = exchange.decision.profile
        if exchange.version or not exchange.sent.size or profile is None:
            return
        try:
            if _reads_body(profile):
                self.extract_version(exchange)
        except Exception:
            log.exception("a version could not be read")

    def _body(self, exchange: Exchange) -> Body | None:
        sent = exchange.sent
        if not isinstance(sent, Kept) or not sent.size:
            return None
        encoding = joined(exchange.seen.headers, "content-encoding")
        return bodies.keep(
            sent.prefix, size=sent.size, sha256="", encoding=encoding, cap=self.options.body_cap
        )

    def _json(self, exchange: Exchange, rule: Rule | None) -> Any:
        kind = exchange.header("content-type")
        return read(self._body(exchange), kind, rule.decoders if rule else ()).value

    def finish(self, exchange: Exchange, kind: Kind, reason: str = "") -> None:
        """Records the exchange, once; every exchange that began comes here."""
        if exchange.finished:
            return
        exchange.finished = True
        exchange.reason = exchange.reason or reason
        end = now()
        self._late_version(exchange)
        of_client = self._open.get(exchange.line.id, {})
        of_client.pop(exchange.number[1], None)
        if not of_client:
            self._open.pop(exchange.line.id, None)
        record = self.capture.exchange(exchange, kind, end)
        exchange.sent.forget()
        exchange.received.forget()
        self.shipper.submit(record, exchange.traced, len(exchange.target))

    def end(self) -> None:
        """Records all open exchanges; called once, when the time to drain is over."""
        for exchanges in list(self._open.values()):
            for exchange in list(exchanges.values()):
                self.finish(exchange, "failed", "shutdown")


def _reads_body(profile: Profile) -> bool:
    return any(e.where == "body" for e in profile.version_from)
