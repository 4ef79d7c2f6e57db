"""The vendors' hosts: keeps every byte that reaches them, and answers each as its client wants."""

import json
import socket
import ssl
from typing import NamedTuple

from tests.clients.table import MLFLOW
from tests.peers import Listener, Reader


class Request(NamedTuple):
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        return next((v for n, v in self.headers if n.lower() == name), "")


class _Kept:
    """A connection that keeps what came."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection, self.data = connection, bytearray()

    def recv(self, size: int) -> bytes:
        data = self._connection.recv(size)
        self.data += data
        return data


class Vendor(Listener):
    def __init__(self, context: ssl.SSLContext, port: int = 0) -> None:
        self.requests: list[Request] = []
        self.connections: list[bytearray] = []
        super().__init__(context, port=port)

    def connected(self, connection: socket.socket) -> None:
        kept = _Kept(connection)
        self.connections.append(kept.data)
        reader = Reader(kept)  # type: ignore[arg-type]
        while True:
            head = reader.until(b"\r\n\r\n")
            parts: list[bytes] = []
            reader.body(head, parts.append)
            line, *lines = head.decode("latin-1").strip().split("\r\n")
            pairs = (one.partition(":") for one in lines)
            headers = tuple((name, value.strip()) for name, _, value in pairs)
            method, target, _ = line.split(" ")
            asked = Request(method, target, headers, b"".join(parts))
            self.requests.append(asked)
            body = answer(asked)
            kind = asked.header("content-type") or "application/json"
            connection.sendall(
                b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n%s"
                % (kind.encode(), len(body), body if method != "HEAD" else b"")
            )


def answer(asked: Request) -> bytes:
    """What a client reads of the answer's body; most read nothing."""
    match asked.header("host"):
        case "api.mixpanel.com":
            return b'{"status": 1}' if b"verbose=1" in asked.body else b"1"
        case "api2.amplitude.com":
            return b'{"code": 200}'
        case "config.mlflow-telemetry.io":
            version = asked.target.strip("/").removesuffix(".json")
            url = f"https://{MLFLOW}/log"
            return json.dumps({"mlflow_version": version, "ingestion_url": url}).encode()
    return b"" if "protobuf" in asked.header("content-type") else b"{}"
