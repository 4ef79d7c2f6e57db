"""The sidecar's process for its tests, and the rules and certificates it runs with."""

import contextlib
import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import trustme

from app.contract import rules as r
from app.contract.record import CaptureRecord, decode
from tests.peers import Listener
from tests.waiting import wait_for

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


class Sidecar:
    """`python -OO -m addon`, as in its image, with this bundle in place of the built-in one."""

    def __init__(
        self,
        directory: Path,
        bundle: r.Bundle,
        before: Callable[[], None] | None = None,
        **environ: str,
    ) -> None:
        """`before` is called in the new process."""
        directory.mkdir(parents=True, exist_ok=True)
        self.data = directory / "data"
        self._out = directory / "stdout"
        self.log = directory / "stderr"
        (directory / "bundle.json").write_bytes(r.dump(bundle))
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("TELEMOCK_", "MITM_"))}
        with self._out.open("wb") as out, self.log.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-OO", "-c", RUNNER],
                cwd=ROOT,
                stdout=out,
                stderr=err,
                preexec_fn=before,
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
        """Reads from the health server."""
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
        """Waits until every number that was given out has become a record, on standard output or as
        a line of the log on standard error; returns the records on standard output."""

        def all_printed() -> bool:
            lines = self.log.read_text().splitlines()
            logged = [x for x in lines if " addon.record.deliver: " not in x]
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


@contextlib.contextmanager
def before_host[H: Listener](
    directory: Path, bundle: r.Bundle, host: Callable[[ssl.SSLContext], H], **environ: str
) -> Iterator[tuple[Sidecar, H]]:
    """A sidecar that finds HOST here, with a certificate that it trusts."""
    ca, context = authority(directory)
    with contextlib.closing(host(context)) as real:
        where = f"127.0.0.1:{real.port}"
        found = {
            "TELEMOCK_UPSTREAM_CA": str(ca),
            "TELEMOCK_RESOLVE": f"{HOST}:443={where},{HOST}:80={where},other.example:443={where},"
            "gone.example:443=127.0.0.1:1",
        }
        with sidecar(directory / "one", bundle, **found, **environ) as running:
            yield running, real


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
