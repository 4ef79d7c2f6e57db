"""addon/front.py: what is answered on a client's socket, and what mitmproxy gets. Real TLS, real
sockets.

With mitmproxy behind it: tests/integration/test_sidecar_front.py.
"""

import asyncio
import contextlib
import random
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.addons.tlsconfig import TlsConfig
from mitmproxy.test import taddons
from OpenSSL import SSL

from addon import ca, front
from addon.front import Front
from addon.gate import Listener
from addon.main import Sidecar
from addon.tls import Connection, Contexts
from app.contract import rules as r
from app.contract.record import CaptureRecord
from tests.sidecar import HOST, bundle_of, rule
from tests.unit.addon.test_answer import ANSWER, MOCKED, POSTED
from tests.unit.addon.test_connections import Kept
from tests.unit.addon.test_judge import hello
from tests.unit.addon.test_main import made

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
        self.front = Front(self.sidecar.connections, contexts, self.sidecar.exchanges)
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


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    trust, tls_config = ca.ensure(tmp_path), TlsConfig()
    with taddons.context(Proxyserver(), tls_config) as context:
        context.configure(tls_config, confdir=str(tmp_path), upstream_cert=False)
        lab = Lab(trust, Contexts(tls_config))
        yield lab
        lab.listener.close()
        lab.front.end()
        for client in lab.given:
            client.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - of other threads and the kernel, too
            await asyncio.sleep(0.01)


async def test_requests_are_answered_and_recorded(lab: Lab) -> None:
    reader, writer = await lab.connect()
    writer.write(MOCKED + POSTED)
    assert await reader.readexactly(2 * len(ANSWER)) == ANSWER * 2
    writer.write(MOCKED)
    assert await reader.readexactly(len(ANSWER)) == ANSWER
    first, second, third = lab.records
    assert [x.rule for x in lab.records] == ["index", "events", "index"]
    assert first.tls is not None and (first.tls.sni, first.tls.alpn) == (HOST, "http/1.1")
    assert first.tls.version == "TLSv1.3"
    assert first.destination is not None and first.client is not None
    assert (first.destination.address, first.destination.port) == DESTINATION
    assert (first.client.address, first.client.port) == writer.get_extra_info("sockname")
    assert first.request is not None and first.request.scheme == "https"
    assert second.request is not None and second.request.body is not None
    assert second.request.body.text == "hello" and third.host == HOST
    writer.close()
    await until(lambda: not lab.front.callers)
    assert lab.backs == [] and lab.sidecar.exchanges.in_flight == 0


async def test_a_client_may_send_byte_by_byte(lab: Lab) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = lab.trusting().wrap_bio(incoming, outgoing, server_hostname=HOST)
    reader, writer = await asyncio.open_connection(*lab.address)
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def drip() -> None:
        for byte in outgoing.read():
            writer.write(bytes([byte]))
            await asyncio.sleep(0)

    async def done(step: Callable[[], object]) -> object:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                await drip()
                incoming.write(await asyncio.wait_for(reader.read(65536), 10))

    await done(client.do_handshake)
    client.write(MOCKED)
    assert await done(lambda: client.read(65536)) == ANSWER
    writer.close()


async def test_a_last_answer_ends_with_a_goodbye(lab: Lab) -> None:
    with socket.create_connection(lab.address) as plain:
        context = lab.trusting()

        def ask() -> bytes:
            with context.wrap_socket(
                plain, server_hostname=HOST, suppress_ragged_eofs=False
            ) as tls:
                tls.sendall(MOCKED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
                parts = []
                while data := tls.recv(65536):  # an end without a goodbye would raise
                    parts.append(data)
                return b"".join(parts)

        assert await asyncio.to_thread(ask) == ANSWER
    assert not lab.front.callers and len(lab.records) == 1


@pytest.mark.parametrize(
    "first",
    [hello(HOST, "h2", "http/1.1"), hello("other.example"), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
     MOCKED, b"\x16\x03\x01\x00\x00", b"SSH-2.0-x\r\n"],
)  # fmt: skip
async def test_what_is_not_answered_here_is_mitmproxys_whole(lab: Lab, first: bytes) -> None:
    writer = await lab.plain(first)
    await until(lambda: lab.backs)
    assert lab.backs == [first] and lab.records == [] and not lab.front.callers
    writer.close()


async def test_after_its_time_nothing_is_opened(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab.sidecar.connections, "unread", lambda: True)
    writer = await lab.plain(hello(HOST))
    await until(lambda: lab.backs)
    assert len(lab.backs) == 1
    writer.close()


async def test_mitmproxy_goes_on_with_the_opened_connection(lab: Lab) -> None:
    reader, writer = await lab.connect()
    writer.write(MOCKED + OBSERVED + MOCKED)
    assert await reader.readexactly(len(ANSWER)) == ANSWER
    await until(lambda: lab.backs)
    (left,) = lab.contexts._left.values()
    assert list(lab.contexts._left) == [writer.get_extra_info("sockname")]
    assert left.bio_write(lab.backs[0]) == len(lab.backs[0])  # the client's beginning, once more
    left.do_handshake()
    assert left.recv(65536) == OBSERVED + MOCKED
    with pytest.raises(SSL.WantReadError):
        left.recv(65536)
    # Both ways it is the same connection.
    left.sendall(b"from mitmproxy")
    lab.given[0].sendall(left.bio_read(65536))
    assert await reader.readexactly(14) == b"from mitmproxy"
    writer.write(b"to mitmproxy")
    await until(lambda: _received(left, lab.given[0]) == b"to mitmproxy")
    assert len(lab.records) == 1 and lab.sidecar.exchanges.in_flight == 0
    writer.close()


def _received(left: Connection, end: socket.socket) -> bytes:
    with contextlib.suppress(BlockingIOError, SSL.WantReadError):
        left.bio_write(end.recv(65536))
        return left.recv(65536)
    return b""


async def test_a_goodbye_before_mitmproxy_went_on_is_told(lab: Lab) -> None:
    _, writer = await lab.connect()
    tls = writer.get_extra_info("ssl_object")
    writer.write(OBSERVED)
    with contextlib.suppress(ssl.SSLError):
        tls.unwrap()
    await until(lambda: lab.backs)
    (left,) = lab.contexts._left.values()
    left.bio_write(lab.backs[0])
    left.do_handshake()
    assert left.recv(65536) == OBSERVED
    writer.close()


async def test_a_refused_certificate_is_recorded(lab: Lab) -> None:
    def ask() -> None:  # asyncio's TLS would leave without an alert
        with socket.create_connection(lab.address) as plain:
            ssl.create_default_context().wrap_socket(plain, server_hostname=HOST)

    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncio.to_thread(ask)
    await until(lambda: lab.records)
    (record,) = lab.records
    assert (record.kind, record.reason) == ("tls_rejected", "client_refused_certificate")
    assert record.detail == "tlsv1 alert unknown ca" and record.host == HOST
    assert record.destination is not None and record.destination.address == DESTINATION[0]
    assert record.profile == "cribl" and record.tls is not None and record.tls.sni == HOST


async def test_a_client_that_leaves_within_the_handshake_is_recorded(lab: Lab) -> None:
    writer = await lab.plain(hello(HOST))
    await until(lambda: lab.front.callers)
    writer.close()
    await until(lambda: lab.records)
    (record,) = lab.records
    assert (record.kind, record.reason) == ("tls_rejected", "tls_failed")
    assert record.detail == "connection closed"


async def test_no_common_version_is_recorded_and_told(lab: Lab) -> None:
    context = lab.trusting()
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")  # our keys are of another kind

    def ask() -> None:
        with socket.create_connection(lab.address) as plain:
            context.wrap_socket(plain, server_hostname=HOST)

    with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
        await asyncio.to_thread(ask)
    await until(lambda: lab.records)
    assert lab.records[0].reason == "tls_failed"
    assert lab.records[0].detail == "no shared cipher"


async def test_who_leaves_before_anything_is_clear_leaves_nothing(lab: Lab) -> None:
    for data in (b"", hello(HOST)[:40]):
        (await lab.plain(data)).close()
    await until(lambda: len(lab.given) == 2 and not lab.front.callers)
    assert lab.records == [] and lab.backs == []


async def test_what_came_before_the_end_of_tls_is_answered(lab: Lab) -> None:
    context = lab.trusting()

    def ask() -> bytes:
        with (
            socket.create_connection(lab.address) as plain,
            context.wrap_socket(plain.dup(), server_hostname=HOST) as tls,
        ):
            tls.sendall(MOCKED)
            plain.sendall(b"no TLS")
            return tls.recv(65536)

    assert await asyncio.to_thread(ask) == ANSWER
    await until(lambda: not lab.front.callers)
    assert len(lab.records) == 1 and lab.sidecar.exchanges.in_flight == 0


async def test_a_client_that_leaves_within_its_request_is_recorded(lab: Lab) -> None:
    _, writer = await lab.connect()
    writer.write(POSTED[:-2])
    await until(lambda: lab.sidecar.exchanges.in_flight)
    writer.transport.abort()
    await until(lambda: lab.records)
    assert (lab.records[0].kind, lab.records[0].reason) == ("failed", "client_gone")
    assert lab.sidecar.exchanges.in_flight == 0


async def test_the_app_is_asked_while_the_client_waits(lab: Lab) -> None:
    reader, writer = await lab.connect()
    writer.write(AT_APP + MOCKED)
    assert await reader.readexactly(2 * len(ANSWER)) == ANSWER * 2
    assert [x.reason for x in lab.records] == ["app_unreachable", ""]
    writer.close()


async def test_a_client_that_leaves_while_the_app_is_asked_is_recorded(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = asyncio.Event()

    async def slow(_: object) -> None:
        await answered.wait()

    monkeypatch.setattr(lab.sidecar.exchanges, "ask_app", slow)
    _, writer = await lab.connect()
    writer.write(AT_APP)
    await until(lambda: lab.sidecar.exchanges.in_flight)
    writer.transport.abort()
    await until(lambda: lab.records)
    answered.set()
    await asyncio.sleep(0.05)
    (record,) = lab.records
    assert (record.kind, record.reason) == ("failed", "client_gone") and not lab.front.callers


async def test_who_does_not_read_is_not_read_from(lab: Lab) -> None:
    reader, writer = await lab.connect()
    ask = MOCKED.replace(b"/telemetry/index.html", b"/huge")
    writer.write(ask)
    await until(lambda: lab.records)
    (caller,) = lab.front.callers
    assert caller._unsent
    writer.write(ask.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    await asyncio.sleep(0.1)
    assert len(lab.records) == 1
    answers = await asyncio.wait_for(reader.read(), 20)
    assert answers.count(HUGE) == 2 and len(lab.records) == 2
    writer.close()
    await until(lambda: not lab.front.callers)


async def test_a_connection_goes_to_mitmproxy_when_all_is_sent(lab: Lab) -> None:
    reader, writer = await lab.connect()
    writer.write(MOCKED.replace(b"/telemetry/index.html", b"/huge") + OBSERVED)
    await until(lambda: lab.records)
    assert lab.backs == []
    head = await reader.readuntil(b"\r\n\r\n")
    assert await reader.readexactly(len(HUGE)) == HUGE and b" 200 " in head
    await until(lambda: lab.backs)
    writer.close()


async def asked(lab: Lab) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection on which a request was answered."""
    reader, writer = await lab.connect()
    writer.write(MOCKED)
    assert await reader.readexactly(len(ANSWER)) == ANSWER
    return reader, writer


async def test_an_idle_connection_is_closed(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = await asked(lab)
    lab.front._sweep()
    assert lab.front.callers
    monkeypatch.setattr(front, "IDLE_SECONDS", -1)
    lab.front._sweep()
    assert await asyncio.wait_for(reader.read(), 10) == b"" and not lab.front.callers
    writer.close()


async def test_an_own_error_ends_the_connection_and_no_other(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = await lab.connect(), await lab.connect()
    with monkeypatch.context() as patched:
        patched.setattr(front.Conversation, "receive", None)
        one[1].write(MOCKED)
        assert await one[0].read() == b""
    assert "could not be answered" in caplog.text
    other[1].write(MOCKED)
    assert await other[0].readexactly(len(ANSWER)) == ANSWER
    for _, writer in (one, other):
        writer.close()


async def test_whatever_clients_do_nothing_is_left_behind(lab: Lab) -> None:
    """Clients that stop, reset, talk nonsense or end TLS at any point, many at once."""
    choose = random.Random(7)
    context = lab.trusting()
    whole = 0

    def play(seed: int) -> int:
        """How many requests were answered."""
        act = random.Random(seed)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname=HOST)
        with socket.create_connection(lab.address) as end:
            end.settimeout(5)
            if act.random() < 0.2:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            answered = 0
            try:
                while True:  # the handshake
                    with contextlib.suppress(ssl.SSLWantReadError):
                        tls.do_handshake()
                        break
                    data = outgoing.read()
                    if act.random() < 0.15:
                        end.sendall(data[: act.randrange(len(data) + 1)])
                        return answered
                    end.sendall(data)
                    incoming.write(end.recv(65536))
                for _ in range(act.randrange(4)):
                    kind = act.randrange(5)
                    tls.write((MOCKED, POSTED, AT_APP, MOCKED + POSTED, POSTED[:-2])[kind])
                    end.sendall(outgoing.read())
                    if kind == 4 or act.random() < 0.2:
                        return answered
                    wanted = len(ANSWER) * (2 if kind == 3 else 1)
                    received = b""
                    while len(received) < wanted:
                        incoming.write(end.recv(65536))
                        with contextlib.suppress(ssl.SSLWantReadError):
                            while True:
                                received += tls.read(65536)
                    answered += wanted // len(ANSWER)
                if act.random() < 0.3:
                    end.sendall(b"no TLS any more")
                elif act.random() < 0.5:
                    with contextlib.suppress(ssl.SSLError):
                        tls.unwrap()
                    end.sendall(outgoing.read())
            except OSError:
                pass
            return answered

    for _ in range(10):
        seeds = [choose.getrandbits(32) for _ in range(20)]
        whole += sum(await asyncio.gather(*(asyncio.to_thread(play, seed) for seed in seeds)))
    await until(lambda: not lab.front.callers and not lab.sidecar.exchanges.in_flight)
    exchanges = [x for x in lab.records if x.kind == "exchange"]
    assert whole > 50 and len(exchanges) >= whole
    assert sorted(x.seq for x in lab.records) == list(range(1, len(lab.records) + 1))
    assert all(client.fileno() < 0 for client in lab.given) and lab.backs == []


async def test_the_end_closes_all(lab: Lab) -> None:
    reader, writer = await asked(lab)
    lab.front.end()
    assert await reader.read() == b"" and not lab.front.callers
    writer.close()
