"""The direct path with all that it needs, behind a listener of its own: for tests of what is
answered on a
client's socket. Real TLS, real sockets."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.test import taddons

from addon.arrive.accept import Listener
from addon.tls import ca
from addon.wiring import Wiring
from app.contract import rules as r
from app.contract.record import CaptureRecord
from tests.sidecar import HOST, bundle_of, rule
from tests.unit.addon.mitm.test_answer_layer import ANSWER, MOCKED
from tests.unit.addon.test_connections import Kept
from tests.unit.addon.test_sidecar import wired

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
    """The direct path behind a listener; `backs` are first bytes that mitmproxy would get."""

    def __init__(self, trust: Path, wiring: Wiring, sink: Kept) -> None:
        self.trust, self.sink = trust, sink
        self.sidecar, self.contexts, self.direct = wiring.sidecar, wiring.contexts, wiring.direct
        self.backs: list[bytes] = []
        self.given: list[socket.socket] = []  # the listener's ends
        self.host = HOST  # for which their destination stands
        self.listener = Listener("127.0.0.1", 0, self._enter)
        self.address = self.listener.sockets[0].getsockname()

    def _enter(self, client: socket.socket, peer: tuple[str, int]) -> None:
        self.given.append(client)
        self.direct.take(client, peer, DESTINATION, self.host, self.backs.append)

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
    trust, sink = ca.ensure(tmp_path), Kept()
    wiring = wired(sink, RULES)
    tls_config = wiring.contexts.tls_config
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # as mitmproxy does
    with taddons.context(Proxyserver(), tls_config) as context:
        context.configure(tls_config, confdir=str(tmp_path), upstream_cert=False)
        lab = Lab(trust, wiring, sink)
        yield lab
        lab.listener.close()
        lab.direct.end()
        for client in lab.given:
            client.close()
    asyncio.get_running_loop().set_task_factory(None)


async def asked(lab: Lab) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection on which a request was answered."""
    reader, writer = await lab.connect()
    writer.write(MOCKED)
    assert await reader.readexactly(len(ANSWER)) == ANSWER
    return reader, writer
