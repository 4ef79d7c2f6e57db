"""Connections to the front that end without a request: each leaves a record of how. Real TLS and
sockets; with real clients: test_without_request.py."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from addon.arrive import direct, endings
from app.contract.names import REDIRECT_PROOF
from tests.fronting import Lab, asked, running
from tests.sidecar import HOST
from tests.unit.addon.mitm.test_answer_layer import MOCKED
from tests.unit.addon.target.test_first_bytes import hello
from tests.waiting import until


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with running(tmp_path) as lab:
        yield lab


Leave = Callable[[socket.socket], object]


def reset(plain: socket.socket) -> None:
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    plain.close()


@pytest.mark.parametrize(
    ("leave", "how"), [(socket.socket.close, endings.FIN), (reset, endings.RST)]
)
async def test_a_client_that_leaves_within_the_handshake_is_recorded(
    lab: Lab, leave: Leave, how: str
) -> None:
    def ask() -> None:
        plain = socket.create_connection(lab.address)
        plain.sendall(hello(HOST))
        plain.recv(65536)  # the certificate
        leave(plain)

    await asyncio.to_thread(ask)
    await until(lambda: lab.records)
    (record,) = lab.records
    assert (record.kind, record.reason) == ("tls_rejected", "closed_in_handshake")
    assert record.detail == how and record.sent == len(hello(HOST)) and record.received > 500


@pytest.mark.parametrize(
    ("leave", "how"), [(socket.socket.close, endings.FIN), (reset, endings.RST)]
)
async def test_a_client_that_leaves_right_after_the_handshake_probably_does_not_trust(
    lab: Lab, leave: Leave, how: str
) -> None:
    def ask() -> None:
        plain = socket.create_connection(lab.address)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = lab.trusting().wrap_bio(incoming, outgoing, server_hostname=HOST)
        for _ in range(2):
            with contextlib.suppress(ssl.SSLWantReadError):
                client.do_handshake()
            plain.sendall(outgoing.read())
            incoming.write(plain.recv(65536))  # at last the sessions' tickets
        leave(plain)

    await asyncio.to_thread(ask)
    await until(lambda: lab.records)
    (record,) = lab.records
    assert (record.kind, record.reason) == ("tls_rejected", "closed_after_handshake")
    assert record.detail.startswith(how) and record.tls is not None and record.tls.sni == HOST
    assert record.profile == "cribl" and record.destination is not None


async def test_a_client_that_opened_and_waited_is_not_said_to_distrust(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endings, "SOON_S", 0)
    _, writer = await lab.connect()
    writer.close()
    await until(lambda: lab.records)
    (record,) = lab.records
    assert (record.kind, record.reason) == ("failed", "no_request")
    assert record.request is None and record.detail == endings.GOODBYE


@pytest.mark.parametrize(
    "data", [b"", hello(HOST)[:40], b"GET /telemetry/index.html HTTP/1.1\r\nHost: cdn."]
)
async def test_a_client_that_leaves_before_anything_is_clear_is_recorded(
    lab: Lab, data: bytes
) -> None:
    (await lab.plain(data)).close()
    await until(lambda: lab.records)
    (record,) = lab.records
    assert (record.kind, record.reason) == ("failed", "no_request")
    assert (record.detail, record.sent, record.received) == (endings.FIN, len(data), 0)
    assert record.host == HOST and record.profile == "cribl"
    assert not lab.direct.connections and lab.backs == []


async def test_half_a_head_is_no_request(lab: Lab) -> None:
    _, writer = await lab.connect()
    writer.write(MOCKED[:-9])
    (caller,) = lab.direct.connections
    await until(lambda: caller.tls and caller.tls.heard)
    writer.transport.abort()
    await until(lambda: lab.records)
    assert (lab.records[0].kind, lab.records[0].reason) == ("failed", "no_request")


async def test_a_connection_that_had_a_request_leaves_no_more(lab: Lab) -> None:
    _, writer = await asked(lab)
    writer.write(MOCKED[:9])
    writer.close()
    await until(lambda: not lab.direct.connections)
    assert len(lab.records) == 1


async def test_the_redirects_own_connection_leaves_nothing(lab: Lab) -> None:
    writer = await lab.plain(REDIRECT_PROOF)
    await until(lambda: lab.given and not lab.direct.connections)
    assert lab.records == [] and lab.backs == []
    writer.close()


async def opened(lab: Lab) -> asyncio.StreamWriter:
    """A connection whose handshake is done on this side, too."""
    _, writer = await lab.connect()
    (caller,) = lab.direct.connections
    await until(lambda: caller.tls and caller.tls.shaken)
    return writer


async def test_an_idle_connection_without_a_request_is_recorded(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = await opened(lab)
    monkeypatch.setattr(direct, "IDLE_SECONDS", -1)
    lab.direct._sweep()
    assert [(x.reason, x.detail) for x in lab.records] == [("no_request", endings.IDLE)]
    writer.close()


async def test_the_end_records_what_had_no_request(lab: Lab) -> None:
    writer = await opened(lab)
    lab.direct.end()
    assert [(x.reason, x.detail) for x in lab.records] == [("no_request", endings.SHUTDOWN)]
    writer.close()
