"""A front with all that it needs, behind a listener of its own: for tests of what is answered on a
client's socket. Real TLS, real sockets."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.addons.tlsconfig import TlsConfig
from mitmproxy.test import taddons

from addon.arrive.accept import Listener
from addon.arrive.direct import Front
from addon.sidecar import Sidecar
from addon.tls import ca
from addon.tls.contexts import Contexts
from app.contract import rules as r
from app.contract.record import CaptureRecord
from tests.sidecar import HOST, bundle_of, rule
from tests.unit.addon.mitm.test_answer_layer import ANSWER, MOCKED
from tests.unit.addon.test_connections import Kept
from tests.unit.addon.test_sidecar import made

HUGE = b"x" * (8 << 20)
RULES = bundle_of(
    rule("index", "/telemetry/index.html"),
    rule("events", "/events"),
    rule("app", "/at-the-app", answer_at="app"),
    rule("observe", "/observe", "observe"),
    rule("huge", "/huge", answer=r.Answer(body=HUGE)),
)
AT_APP = MOCKED.replace(b"/telemetry/index.html", b"/at-the-app")
OBSERVED = MOCKED.replace(b"/telemetry/index.html", b"/observe")
DESTINATION = ("192.0.2.1", 443)


class Lab:
    """A front behind a listener; `backs` are the first bytes of what mitmproxy would get."""

    def __init__(self, trust: Path, contexts: Contexts) -> None:
        self.trust, self.contexts = trust, contexts
        self.sink = Kept()
        self.sidecar: Sidecar = made(self.sink, RULES)
        room = self.sidecar.connections.room
        self.front = Front(self.sidecar.connections, contexts, self.sidecar.exchanges, room)
        self.backs: list[bytes] = []
        self.given: list[socket.socket] = []  # the listener's ends
        self.listener = Listener("127.0.0.1", 0, self._enter)
        self.address = self.listener.sockets[0].getsockname()

    def _enter(self, client: socket.socket, peer: tuple[str, int]) -> None:
        self.given.append(client)
        self.front.take(client, peer, DESTINATION, HOST, self.backs.append)

    @property
    def records(self) -> list[CaptureRecord]:
        return self.sink.records

    def trusting(self, *alpn: str) -> ssl.SSLContext:
        trusting = ssl.create_default_context(cafile=str(self.trust))
        trusting.set_alpn_protocols(list(alpn or ("http/1.1",)))
        return trusting

    async def connect(
        self, context: ssl.SSLContext | None = None, sni: str = HOST
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(
            *self.address, ssl=context or self.trusting(), server_hostname=sni
        )

    async def plain(self, data: bytes) -> asyncio.StreamWriter:
        """A connection that begins with these bytes."""
        _, writer = await asyncio.open_connection(*self.address)
        writer.write(data)
        return writer


@contextlib.asynccontextmanager
async def running(tmp_path: Path) -> AsyncIterator[Lab]:
    trust, tls_config = ca.ensure(tmp_path), TlsConfig()
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # as mitmproxy does
    with taddons.context(Proxyserver(), tls_config) as context:
        context.configure(tls_config, confdir=str(tmp_path), upstream_cert=False)
        lab = Lab(trust, Contexts(tls_config))
        yield lab
        lab.listener.close()
        lab.front.end()
        for client in lab.given:
            client.close()
    asyncio.get_running_loop().set_task_factory(None)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - of other threads and the kernel, too
            await asyncio.sleep(0.01)


async def asked(lab: Lab) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection on which a request was answered."""
    reader, writer = await lab.connect()
    writer.write(MOCKED)
    assert await reader.readexactly(len(ANSWER)) == ANSWER
    return reader, writer
