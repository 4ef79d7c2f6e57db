"""A small pool of raw keep-alive connections to the app, for its answers to `mock` rules.

Used by `addon.exchange.routing`. A general HTTP client costs three times as much per request; this
one needs to know only one request, one answer and a time limit, as both ends are ours.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import httptools

LARGEST_ANSWER = 16 * 1024 * 1024
MOST_HEADERS = 256


class AppFailed(Exception):
    """No usable answer. `reason` is an id in REASONS. `cut`: the app closed the connection before
    its answer began; `late`: it took the request and did not answer in time."""

    def __init__(self, reason: str, detail: str, *, cut: bool = False, late: bool = False) -> None:
        super().__init__(detail)
        self.reason = reason
        self.cut = cut
        self.late = late

    @property
    def down(self) -> bool:
        """True if the app itself is unavailable, and not just this answer unusable."""
        return self.cut or self.reason == "app_unreachable"


@dataclass(slots=True)
class Answered:
    """The app's answer, without hop-by-hop headers."""

    status: int = 0
    reason: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""


_OF_THE_CONNECTION = frozenset(
    (b"connection", b"keep-alive", b"transfer-encoding", b"content-length", b"trailer", b"upgrade")
)


class _Connection(asyncio.Protocol):
    """One connection, one answer at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.used = False
        self._waiting: asyncio.Future[Answered] | None = None
        self._bodiless = False

    @property
    def open(self) -> bool:
        return self.transport is not None and not self.transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self.transport = transport

    async def ask(self, request: bytes, *, bodiless: bool) -> Answered:
        if self.transport is None or self.transport.is_closing():
            raise AppFailed("app_unreachable", "connection closed", cut=True)
        self._waiting = asyncio.get_running_loop().create_future()
        self._bodiless = bodiless
        self._answer = Answered()
        self._size = 0
        self._parts: list[bytes] = []
        self._parser = httptools.HttpResponseParser(self)
        self.began = False
        self.transport.write(request)
        try:
            return await self._waiting
        finally:
            self._waiting = None
            self.used = True

    def close(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._waiting is None or self._waiting.done():
            self.close()  # nobody asked: the connection is out of step
            return
        self.began = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as e:
            self._fail(AppFailed("app_error", f"not an HTTP answer: {e}"))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting is not None:
            when = "within" if self.began else "before"
            self._fail(
                AppFailed("app_error", f"connection closed {when} the answer", cut=not self.began)
            )

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self._answer.headers) >= MOST_HEADERS:
            raise ValueError("too many headers")
        self._answer.headers.append((name, value))

    def on_status(self, status: bytes) -> None:
        self._answer.reason += status

    def on_headers_complete(self) -> None:
        self._answer.status = self._parser.get_status_code()
        if self._bodiless and self._answer.status >= 200:
            # The parser cannot be told that this answer has no body, so it is not reused.
            self._finish(keep=False)

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > LARGEST_ANSWER:
            raise ValueError("answer too large")
        self._parts.append(body)

    def on_message_complete(self) -> None:
        if self._answer.status >= 200:
            self._finish(keep=self._parser.should_keep_alive())
        else:
            self._answer = Answered()

    def _finish(self, *, keep: bool) -> None:
        if self._waiting is None or self._waiting.done():
            return
        self._answer.body = b"".join(self._parts)
        self._answer.headers = [
            h for h in self._answer.headers if h[0].lower() not in _OF_THE_CONNECTION
        ]
        if not keep:
            self.close()
        self._waiting.set_result(self._answer)

    def _fail(self, error: AppFailed) -> None:
        self.close()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)


class Pool:
    """At most `size` connections, and as many again for slow rules, so that these delay no others;
    a further request waits, within its time limit."""

    def __init__(self, host: str, port: int, *, size: int = 32, connect_timeout: float = 1) -> None:
        self.host, self.port = host, port
        self._connect_timeout = connect_timeout
        self._free: deque[_Connection] = deque()
        self._slots = asyncio.Semaphore(size)
        self._slow = asyncio.Semaphore(size)

    async def ask(
        self,
        request: bytes,
        *,
        within: float,
        bodiless: bool = False,
        fresh: bool = False,
        slow: bool = False,
        unless: Callable[[], bool] = lambda: False,
    ) -> Answered:
        """Sends one whole request. `bodiless`: the answer has no body (HEAD). `slow`: the rule
        delays the answer on purpose. `unless` is called after a wait: True if others found the app
        down meanwhile.

        A kept connection that proves dead before the answer began is replaced once; `fresh`
        uses no kept one, so that a cut connection means the app cut it.
        Raises AppFailed.
        """
        try:
            async with asyncio.timeout(within), self._slow if slow else self._slots:
                if unless():
                    raise AppFailed("circuit_open", "the app failed while this waited its turn")
                kept = None if fresh else self._take()
                if kept is not None:
                    try:
                        return await self._use(kept, request, bodiless)
                    except AppFailed as e:
                        if not e.cut:
                            raise
                return await self._use(await self._connect(), request, bodiless)
        except TimeoutError:
            raise AppFailed(
                "app_unreachable", f"no answer within {within:g} s", late=True
            ) from None

    async def reachable(self) -> bool:
        """True if the app accepts connections; the one that tried it is kept."""
        if self._free and self._free[-1].open:
            return True
        try:
            self._free.append(await self._connect())
        except AppFailed:
            return False
        return True

    def close(self) -> None:
        while self._free:
            self._free.pop().close()

    def _take(self) -> _Connection | None:
        while self._free:
            connection = self._free.pop()
            if connection.open:
                return connection
        return None

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout):
                _, connection = await loop.create_connection(_Connection, self.host, self.port)
        except TimeoutError:
            raise AppFailed("app_unreachable", "no connection in time") from None
        except OSError as e:
            raise AppFailed("app_unreachable", e.strerror or str(e)) from None
        return connection

    async def _use(self, connection: _Connection, request: bytes, bodiless: bool) -> Answered:
        try:
            answer = await connection.ask(request, bodiless=bodiless)
        except BaseException:
            connection.close()
            raise
        if connection.open:
            self._free.append(connection)
        return answer
