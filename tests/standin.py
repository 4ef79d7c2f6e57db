"""A stand-in for the app that speaks the ingest contract: what a sidecar delivers, and how it copes
with an app that refuses, hangs, is down or comes back.
"""

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
import zstandard

from app.contract import account
from app.contract.account import Account
from app.contract.names import CONTENT_TYPE_RECORDS, HEADER_ACCOUNTS, PATH_CAPTURES
from app.contract.record import CaptureRecord, RecordError, decode

TOKEN = "token of the tests"

Behave = Callable[[list[bytes]], tuple[int, bytes] | None]


class StandIn:
    """`behave(lines)` may answer in the place of the contract. `seen` counts every record that was
    accepted by id, duplicates too; `accounts` is the last that was told of each boot, and with
    `old` it is one that knows of none."""

    def __init__(self, behave: Behave | None = None, port: int = 0) -> None:
        self.behave = behave
        self.posts: list[bytes] = []  # as decompressed
        self.heads: list[dict[str, str]] = []  # headers of the posts, lower-case names
        self.lines: dict[str, bytes] = {}
        self.seen: Counter[str] = Counter()
        self.retry_after = ""  # seconds, told in each answer
        self.connections = 0
        self.accounts: dict[str, Account] = {}
        self.old = False
        self.sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._server = _server(self, port)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def records(self) -> list[CaptureRecord]:
        with self._lock:
            return [decode(line) for line in self.lines.values()]

    def take(self, body: bytes, told: str = "") -> tuple[int, bytes]:
        plain = zstandard.ZstdDecompressor().decompressobj().decompress(body)
        lines = plain.splitlines()
        with self._lock:
            self.posts.append(plain)
        if self.behave is not None and (answer := self.behave(lines)) is not None:
            return answer
        stored = duplicates = 0
        refused: list[Any] = []
        with self._lock:
            for number, line in enumerate(lines, 1):
                try:
                    record = decode(line)
                except RecordError as e:
                    refused.append({"line": number, "reason": str(e)})
                    continue
                if record.id in self.lines:
                    duplicates += 1
                else:
                    stored += 1
                    self.lines[record.id] = line
                self.seen[record.id] += 1
        receipt: dict[str, Any] = {"stored": stored, "duplicates": duplicates, "refused": refused}
        if not self.old:
            with self._lock:
                accounts = account.decode(told)
                self.accounts |= {a.boot: a for a in accounts}
                receipt["accounts"] = {a.boot: self.stored(a.boot) for a in accounts}
        return 200, msgspec.json.encode(receipt)

    def stored(self, boot: str) -> int:
        return sum(id.startswith(boot) for id in self.lines)

    def missing(self, boot: str) -> int:
        """Numbers of the boot's account that it has no record of."""
        return self.accounts[boot].numbered - self.stored(boot)

    def stop(self) -> None:
        """Stops, as when the process is killed: open connections break."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        for sock in self.sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def _server(standin: StandIn, port: int) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60
        wbufsize = 4096  # one segment an answer, which no delayed acknowledgement holds up

        def setup(self) -> None:
            standin.connections += 1
            standin.sockets.append(self.request)
            super().setup()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            standin.heads.append({n.lower(): v for n, v in self.headers.items()})
            if self.path != PATH_CAPTURES:
                status, answer = 404, b""
            elif self.headers["authorization"] != f"Bearer {TOKEN}":
                status, answer = 401, b"the token is wrong"
            elif self.headers["content-encoding"] != "zstd":
                status, answer = 415, b""
            elif self.headers["content-type"] != CONTENT_TYPE_RECORDS:
                status, answer = 400, b""
            else:
                status, answer = standin.take(body, self.headers[HEADER_ACCOUNTS] or "")
            self.send_response(status)
            self.send_header("content-length", str(len(answer)))
            if standin.retry_after:
                self.send_header("retry-after", standin.retry_after)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # a sidecar that was killed

    return Server(("127.0.0.1", port), Handler)


@contextmanager
def standin(behave: Behave | None = None, port: int = 0) -> Iterator[StandIn]:
    server = StandIn(behave, port)
    try:
        yield server
    finally:
        server.stop()
