"""addon/arrive/direct.py: what is answered on a client's socket, and what mitmproxy gets. Real TLS,
real
sockets.

With mitmproxy behind it: tests/integration/test_sidecar_answer.py; clients that do whatever they
like: tests/integration/test_front_clients.py.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from OpenSSL import SSL

from addon.arrive import direct
from addon.tls.connection import RECORD, Connection
from tests.fronting import AT_APP, DESTINATION, HUGE, OBSERVED, Lab, asked, running
from tests.sidecar import HOST
from tests.unit.addon.mitm.test_answer_layer import ANSWER, MOCKED, POSTED
from tests.unit.addon.target.test_first_bytes import hello
from tests.waiting import until


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with running(tmp_path) as lab:
        yield lab


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
    await until(lambda: not lab.direct.connections)
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
    assert not lab.direct.connections and len(lab.records) == 1


@pytest.mark.parametrize(
    "first",
    [hello(HOST, "h2", "http/1.1"), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
     MOCKED, b"\x16\x03\x01\x00\x00", b"SSH-2.0-x\r\n"],
)  # fmt: skip
async def test_what_is_not_answered_here_is_mitmproxys_whole(lab: Lab, first: bytes) -> None:
    writer = await lab.plain(first)
    await until(lambda: lab.backs)
    assert lab.backs == [first] and lab.records == [] and not lab.direct.connections
    writer.close()


async def test_another_sni_is_opened_and_judged_by_the_destination_too(lab: Lab) -> None:
    reader, writer = await lab.connect(sni="other.example")
    writer.write(MOCKED.replace(HOST.encode(), b"other.example"))
    assert await reader.readexactly(len(ANSWER)) == ANSWER
    await until(lambda: lab.records)
    record = lab.records[0]
    assert (record.profile, record.judged_by, record.host) == ("cribl", "name", "other.example")
    assert record.tls is not None and record.tls.sni == "other.example"
    writer.close()


async def test_after_its_time_nothing_is_opened(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab.sidecar.connections, "unread", lambda: True)
    writer = await lab.plain(hello(HOST))
    await until(lambda: lab.backs)
    assert len(lab.backs) == 1
    writer.close()


async def test_what_was_opened_before_is_not_given_on_after_its_time(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """mitmproxy would relay it by then: bytes of our session, to the real host."""
    reader, writer = await lab.connect()
    writer.write(MOCKED)
    assert await reader.readexactly(len(ANSWER)) == ANSWER
    monkeypatch.setattr(lab.sidecar.connections, "unread", lambda: True)
    writer.write(MOCKED + OBSERVED)
    assert await reader.readexactly(len(ANSWER)) == ANSWER
    with contextlib.suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), 10) == b""
    assert lab.backs == [] and not lab.direct.connections
    writer.close()


async def test_mitmproxy_goes_on_with_the_opened_connection(lab: Lab) -> None:
    reader, writer = await lab.connect()
    writer.write(MOCKED + OBSERVED + MOCKED)
    assert await reader.readexactly(len(ANSWER)) == ANSWER
    await until(lambda: lab.backs)
    (left,) = lab.contexts._left.values()
    assert list(lab.contexts._left) == [(writer.get_extra_info("sockname"), DESTINATION)]
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
    await until(lambda: not lab.direct.connections)
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


async def test_an_answer_that_waits_for_nobody_is_not_lost(lab: Lab) -> None:
    """Of an app that failed a moment ago: its task has ended before anybody knows it."""
    reader, writer = await lab.connect()
    for _ in range(3):
        writer.write(AT_APP)
        assert await asyncio.wait_for(reader.readexactly(len(ANSWER)), 10) == ANSWER
    assert [x.reason for x in lab.records] == ["app_unreachable", "circuit_open", "circuit_open"]
    writer.write(AT_APP * 3000)
    assert await asyncio.wait_for(reader.readexactly(3000 * len(ANSWER)), 20) == ANSWER * 3000
    writer.close()


@pytest.mark.parametrize("error", [RuntimeError("x"), asyncio.CancelledError()])
async def test_an_answer_that_is_not_made_ends_the_connection(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    async def fails(_: object) -> None:
        raise error

    monkeypatch.setattr(lab.sidecar.exchanges, "ask_app", fails)
    reader, writer = await lab.connect()
    writer.write(AT_APP)
    assert await asyncio.wait_for(reader.read(), 10) == b""
    assert lab.sidecar.exchanges.in_flight == 0 and len(lab.records) == 1
    writer.close()


async def test_a_client_that_leaves_while_the_app_is_asked_is_recorded(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered, asking = asyncio.Event(), []

    async def slow(_: object) -> None:
        asking.append(asyncio.current_task())
        await answered.wait()

    monkeypatch.setattr(lab.sidecar.exchanges, "ask_app", slow)
    _, writer = await lab.connect()
    writer.write(AT_APP)
    await until(lambda: lab.sidecar.exchanges.in_flight)
    writer.transport.abort()
    await until(lambda: lab.records)
    answered.set()
    await asyncio.wait(asking)
    (record,) = lab.records
    assert (record.kind, record.reason) == ("failed", "client_gone") and not lab.direct.connections


async def test_who_does_not_read_is_not_read_from(lab: Lab) -> None:
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)  # some kernels take all at once
    plain.setblocking(False)
    await asyncio.get_running_loop().sock_connect(plain, lab.address)
    reader, writer = await asyncio.open_connection(
        sock=plain, ssl=lab.trusting(), server_hostname=HOST
    )
    ask = MOCKED.replace(b"/telemetry/index.html", b"/huge")
    writer.write(ask)
    await until(lambda: lab.records)
    (caller,) = lab.direct.connections
    assert caller._out.unsent
    writer.write(ask.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    _, other = await asked(lab)
    assert [x.rule for x in lab.records] == ["huge", "index"]
    answers = await asyncio.wait_for(reader.read(), 20)
    assert answers.count(HUGE) == 2 and len(lab.records) == 3
    other.close()
    writer.close()
    await until(lambda: not lab.direct.connections)


async def test_what_was_read_and_not_opened_yet_is_held(lab: Lab) -> None:
    _, writer = await lab.connect()
    ask = MOCKED.replace(b"/telemetry/index.html", b"/huge")
    writer.write(ask * (65536 // len(ask)))
    await until(lambda: lab.records)
    (caller,) = lab.direct.connections
    await until(lambda: caller.held() - len(caller._out.unsent) > 2 * RECORD)
    writer.transport.abort()
    await until(lambda: not lab.direct.connections)


async def test_a_connection_goes_to_mitmproxy_when_all_is_sent(lab: Lab) -> None:
    reader, writer = await lab.connect()
    writer.write(MOCKED.replace(b"/telemetry/index.html", b"/huge") + OBSERVED)
    await until(lambda: lab.records)
    assert lab.backs == []
    head = await reader.readuntil(b"\r\n\r\n")
    assert await reader.readexactly(len(HUGE)) == HUGE and b" 200 " in head
    await until(lambda: lab.backs)
    writer.close()


async def test_an_idle_connection_is_closed(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = await asked(lab)
    lab.direct._sweep()
    assert lab.direct.connections
    monkeypatch.setattr(direct, "IDLE_SECONDS", -1)
    lab.direct._sweep()
    assert await asyncio.wait_for(reader.read(), 10) == b"" and not lab.direct.connections
    assert len(lab.records) == 1
    writer.close()


async def test_an_own_error_ends_the_connection_and_no_other(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = await lab.connect(), await lab.connect()
    with monkeypatch.context() as patched:
        patched.setattr(direct.Conversation, "receive", None)
        one[1].write(MOCKED)
        assert await one[0].read() == b""
    assert "could not be answered" in caplog.text
    other[1].write(MOCKED)
    assert await other[0].readexactly(len(ANSWER)) == ANSWER
    for _, writer in (one, other):
        writer.close()


async def test_the_end_closes_all(lab: Lab) -> None:
    reader, writer = await asked(lab)
    lab.direct.end()
    assert await reader.read() == b"" and not lab.direct.connections
    writer.close()
