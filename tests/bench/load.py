"""A load generator in a process of its own: HTTP/1.1 over raw sockets, with or without TLS.

`python -m tests.bench.load URL --connections N --seconds S [--close]` prints one JSON object:
requests, seconds, errors, p50_ms, p99_ms. `client` uses it where there is no wrk. Certificates are
not checked, as wrk does not.
"""

import argparse
import asyncio
import json
import ssl
import sys
import time
from collections.abc import Sequence
from typing import Any, cast
from urllib.parse import urlsplit

import httptools
import uvloop


class Counts:
    def __init__(self) -> None:
        self.latencies: list[float] = []  # seconds, one for each whole answer
        self.errors = 0


class Connection(asyncio.Protocol):
    """Asks again as soon as it is answered. `close`: one request, then another connection."""

    def __init__(self, request: bytes, counts: Counts, close: bool) -> None:
        self._request, self._counts, self._close = request, counts, close
        self._parser: Any = httptools.HttpResponseParser(self)
        self._asked = time.perf_counter()  # with --close the handshake is part of it
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if not self._close:
            self._asked = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._counts.errors += 1
            self._transport.abort()

    def on_message_complete(self) -> None:
        now = time.perf_counter()
        if self._parser.get_status_code() == 200:
            self._counts.latencies.append(now - self._asked)
        else:
            self._counts.errors += 1
        if self._close:
            self._transport.close()
        else:
            self._asked = now
            self._parser = httptools.HttpResponseParser(self)
            self._transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


async def _one(
    url: str, tls: ssl.SSLContext | None, counts: Counts, close: bool, end: float
) -> None:
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    head = f"GET {target} HTTP/1.1\r\nHost: {parts.hostname}\r\n"
    request = (head + ("Connection: close\r\n" if close else "") + "\r\n").encode()
    host, port = parts.hostname or "", parts.port or (443 if tls else 80)
    loop = asyncio.get_running_loop()
    while (left := end - time.monotonic()) > 0:
        try:
            async with asyncio.timeout(left):
                transport, connection = await loop.create_connection(
                    lambda: Connection(request, counts, close), host, port, ssl=tls
                )
                try:
                    await connection.ended
                finally:
                    transport.abort()
        except TimeoutError:
            return
        except OSError:
            counts.errors += 1
        if not close:
            counts.errors += 1  # it ended before its time


async def _run(url: str, connections: int, seconds: float, close: bool) -> dict[str, float]:
    tls = None
    if url.startswith("https:"):
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    counts, begin = Counts(), time.monotonic()
    await asyncio.gather(
        *(_one(url, tls, counts, close, begin + seconds) for _ in range(connections))
    )
    took, ordered = time.monotonic() - begin, sorted(counts.latencies)
    at = [ordered[int(len(ordered) * q)] * 1000 if ordered else 0.0 for q in (0.5, 0.99)]
    return {
        "requests": len(ordered),
        "seconds": took,
        "errors": counts.errors,
        "p50_ms": at[0],
        "p99_ms": at[1],
    }


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.load", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--close", action="store_true", help="a new connection for each request")
    given = parser.parse_args(arguments)
    found = uvloop.run(_run(given.url, given.connections, given.seconds, given.close))
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
