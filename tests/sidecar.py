"""What the sidecar's tests run against: a real host and an app to stand in, and the sidecar itself.

All speak over real sockets on loopback. The host reports what reached it, byte for byte; the app
keeps records as the real one does and answers as a test tells it to.
"""

import contextlib
import hashlib
import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import trustme
import zstandard

from app.contract import rules as r
from app.contract.record import CaptureRecord, decode

ROOT = Path(__file__).parents[1]
HOST = "cdn.cribl.io"
LINE = b"cribl /// living the stream!\n"
RUNNER = """
import os, sys
from pathlib import Path
from addon import options
from addon.proxy import run
from app.contract.rules import load
sys.exit(run(options.load(os.environ), load(Path(os.environ["BUNDLE"]).read_bytes())))
"""


def wait_for[T](look: Callable[[], T], seconds: float = 10) -> T:
    """What `look` gives once it is true."""
    end = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > end:
            raise TimeoutError("it did not happen in time")
        time.sleep(0.01)
    return found


class Listener:
    """A TCP server on loopback with a thread for each connection."""

    def __init__(self, context: ssl.SSLContext | None = None, family: int = socket.AF_INET) -> None:
        self._context = context
        self._socket = socket.create_server(
            ("::1" if family == socket.AF_INET6 else "127.0.0.1", 0), family=family, backlog=64
        )
        self.port: int = self._socket.getsockname()[1]
        self.accepted = 0
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError), connection:
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            self._open.add(connection)
            try:
                self.connected(connection)
            finally:
                self._open.discard(connection)
                connection.close()

    def connected(self, connection: socket.socket) -> None:
        raise NotImplementedError

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # ends the thread's accept, and so the port
        self._socket.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Reader:
    """Reads HTTP/1 off a socket without understanding more than it must."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = b""

    def until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            self._fill()
        found, _, self._buffer = self._buffer.partition(mark)
        return found + mark

    def some(self) -> bytes:
        if not self._buffer:
            self._fill()
        found, self._buffer = self._buffer, b""
        return found

    def _fill(self) -> None:
        data = self._connection.recv(65536)
        if not data:
            raise EOFError
        self._buffer += data

    def body(self, head: bytes, take: Callable[[bytes], object]) -> None:
        if b"transfer-encoding: chunked" in head.lower():
            while size := int(self.until(b"\r\n"), 16):
                self._exactly(size, take)
                self.until(b"\r\n")
            self.until(b"\r\n")
            return
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                self._exactly(int(line.partition(b":")[2]), take)

    def _exactly(self, size: int, take: Callable[[bytes], object]) -> None:
        while size:
            data = self.some()
            take(data[:size])
            self._buffer = data[size:]
            size -= len(data[:size])


class Host(Listener):
    """Answers every request with what arrived: the raw head, the body's size and hash."""

    extra = b""
    body: bytes | None = None

    def connected(self, connection: socket.socket) -> None:
        reader = Reader(connection)
        while True:
            head = reader.until(b"\r\n\r\n")
            digest, size = hashlib.sha256(), [0]

            def take(data: bytes, digest: Any = digest, size: list[int] = size) -> None:
                digest.update(data)
                size[0] += len(data)

            reader.body(head, take)
            said = {"head": head.decode("latin-1"), "size": size[0], "sha256": digest.hexdigest()}
            body = json.dumps(said).encode() if self.body is None else self.body
            connection.sendall(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-real: yes\r\n"
                b"content-length: %d\r\n%s\r\n%s" % (len(body), self.extra, body)
            )


class App(Listener):
    """The app: profiles, captures, and a mock that does what `mock` says."""

    def __init__(self, bundle: r.Bundle) -> None:
        self.bundle = bundle
        self.records: list[CaptureRecord] = []
        self.asked: list[tuple[bytes, bytes]] = []  # head and body of what the mock was asked
        self.mock: Callable[[socket.socket, bytes, bytes], None] = self.answer
        self.authorized: set[bytes] = set()
        super().__init__()

    def connected(self, connection: socket.socket) -> None:
        reader = Reader(connection)
        while True:
            head = reader.until(b"\r\n\r\n")
            parts: list[bytes] = []
            reader.body(head, parts.append)
            target = head.split(b" ")[1]
            if target == b"/api/v1/profiles":
                self._profiles(connection, head)
            elif target == b"/api/v1/captures":
                self._captures(connection, b"".join(parts))
            else:
                self.asked.append((head, b"".join(parts)))
                self.mock(connection, head, b"".join(parts))

    def _profiles(self, connection: socket.socket, head: bytes) -> None:
        etag = b'"%s"' % hashlib.sha256(r.dump(self.bundle)).hexdigest().encode()
        if etag in head:
            connection.sendall(b"HTTP/1.1 304 Not Modified\r\netag: %s\r\n\r\n" % etag)
        else:
            send(connection, r.dump(self.bundle), headers=b"etag: %s\r\n" % etag)

    def _captures(self, connection: socket.socket, body: bytes) -> None:
        lines = zstandard.ZstdDecompressor().decompressobj().decompress(body).splitlines()
        known = {record.id for record in self.records}
        new = [record for record in map(decode, lines) if record.id not in known]
        self.records += new
        counts = {"stored": len(new), "duplicates": len(lines) - len(new), "refused": []}
        send(connection, json.dumps(counts).encode())

    @staticmethod
    def answer(connection: socket.socket, head: bytes, body: bytes) -> None:
        send(connection, b"from the app\n", bodiless=head.startswith(b"HEAD"))


def send(
    connection: socket.socket,
    body: bytes,
    status: bytes = b"200 OK",
    headers: bytes = b"",
    *,
    bodiless: bool = False,
) -> None:
    head = b"HTTP/1.1 %s\r\ncontent-length: %d\r\n%s\r\n" % (status, len(body), headers)
    connection.sendall(head + (b"" if bodiless else body))


class Sidecar:
    """`python -O -m addon`, as in its image, with this bundle in place of the built-in one."""

    def __init__(self, directory: Path, bundle: r.Bundle, **environ: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.data = directory / "data"
        self._out = directory / "stdout"
        self.log = directory / "stderr"
        (directory / "bundle.json").write_bytes(r.dump(bundle))
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("TELEMOCK_", "MITM_"))}
        with self._out.open("wb") as out, self.log.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-O", "-c", RUNNER],
                cwd=ROOT,
                stdout=out,
                stderr=err,
                env=clean
                | {
                    "TELEMOCK_DATA": str(self.data),
                    "MITM_PORT": "0",
                    "TELEMOCK_HEALTH_PORT": "0",
                    "TELEMOCK_APP_URL": "http://127.0.0.1:9",
                    "TELEMOCK_SHUTDOWN_SECONDS": "1",
                    "BUNDLE": str(directory / "bundle.json"),
                }
                | environ,
            )
        self.where = wait_for(self._listening, 20)
        self.proxy = int(self.where["proxy"][-1].rpartition(":")[2])
        self.health_port = int(self.where["health"][0].rpartition(":")[2])

    def _listening(self) -> Any:
        if self.process.poll() is not None:
            raise RuntimeError(self.log.read_text())
        file = self.data / "sidecar.json"
        where = json.loads(file.read_text() or "{}") if file.exists() else {}
        return where if where.get("pid") == self.process.pid else None

    def trust(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.data / "ca" / "ca.pem"))
        context.set_alpn_protocols(["http/1.1"])
        return context

    def get(self, path: str) -> tuple[int, bytes]:
        """From the health server."""
        connection = http.client.HTTPConnection("127.0.0.1", self.health_port, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def health(self) -> Any:
        return json.loads(self.get("/health")[1])

    def connect(
        self, host: str = HOST, port: int = 443, *, tls: bool = True, sni: str | None = None
    ) -> socket.socket:
        """A connection through CONNECT, opened with TLS that trusts the sidecar."""
        connection = socket.create_connection(("127.0.0.1", self.proxy), timeout=15)
        connection.sendall(b"CONNECT %s:%d HTTP/1.1\r\n\r\n" % (host.encode(), port))
        head = b""
        while b"\r\n\r\n" not in head:
            if not (data := connection.recv(1)):
                break
            head += data
        if b" 200 " not in head:
            connection.close()
            raise ConnectionError(head.decode("latin-1"))
        if not tls:
            return connection
        return self.trust().wrap_socket(connection, server_hostname=sni or host)

    def ask(
        self,
        target: str,
        method: str = "GET",
        body: Any = None,
        headers: dict[str, str] | None = None,
        host: str = HOST,
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """One request over HTTPS on a connection of its own."""
        client = http.client.HTTPSConnection(host, 443)
        client.sock = self.connect(host)
        try:
            client.request(method, target, body, headers or {})
            answer = client.getresponse()
            return answer, answer.read()
        finally:
            client.close()

    def raw(self, request: bytes, host: str = HOST) -> bytes:
        """What comes back for these bytes, until the other end closes."""
        with self.connect(host) as connection:
            connection.sendall(request)
            parts = []
            with contextlib.suppress(OSError):
                while data := connection.recv(65536):
                    parts.append(data)
            return b"".join(parts)

    def records(self) -> list[CaptureRecord]:
        return [decode(line) for line in self._out.read_bytes().splitlines(keepends=True)
                if line.endswith(b"\n")]  # fmt: skip

    def recorded(self) -> int:
        """How many records there are, once every number that was given out has become one: a
        line on standard output, or one of the log, which go to standard error."""

        def all_printed() -> bool:
            lines = self.log.read_text().splitlines()
            logged = [x for x in lines if " addon.deliver: " not in x]
            return self.health()["shipper"]["reserved"] == len(self.records()) + len(logged)

        wait_for(all_printed)
        return len(self.records())

    def record(self, where: Callable[[CaptureRecord], bool], seconds: float = 10) -> CaptureRecord:
        """The last record like this, once there is one."""
        return wait_for(lambda: [x for x in self.records() if where(x)], seconds)[-1]

    def record_of(self, path: str) -> CaptureRecord:
        return self.record(lambda x: x.request is not None and x.request.path == path)

    def resident(self) -> int:
        """Bytes of memory in use."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    def stop(self) -> int:
        self.process.terminate()
        try:
            return self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


@contextlib.contextmanager
def sidecar(directory: Path, bundle: r.Bundle, **environ: str) -> Iterator[Sidecar]:
    running = Sidecar(directory, bundle, **environ)
    try:
        yield running
    finally:
        running.stop()


def authority(directory: Path, *names: str) -> tuple[Path, ssl.SSLContext]:
    """A private CA as a file, and the context of a server that it vouches for."""
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*(names or (HOST, "other.example", "127.0.0.1"))).configure_cert(context)
    path = directory / "private-ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return path, context


def rule(id_: str, path: str, action: Any = "mock", **fields: Any) -> r.Rule:
    """A rule for one path; `answer_at` the sidecar and Cribl's line unless told otherwise."""
    match = fields.pop("match", {})
    fields.setdefault("answer", r.Answer(headers=(("content-type", "text/html"),), body=LINE))
    fields.setdefault("answer_at", "sidecar")
    return r.Rule(
        id=id_,
        action=action,
        route=path,
        match=r.Match(paths=(r.Path("exact", path),), **match),
        **fields,
    )


def bundle_of(*rules: r.Rule, hosts: tuple[str, ...] = (HOST,)) -> r.Bundle:
    profile = r.Profile(
        id="cribl",
        title="Cribl",
        hosts=tuple(map(r.Host, hosts)),
        rules=rules,
        sensitive=(r.Sensitive("query", "lic", "mask"),),
        version_from=(r.Extract("query", "v"),),
    )
    return r.Bundle(r.RuleSet((profile,), etag="test"))
