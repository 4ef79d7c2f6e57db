"""Connections that a rehearsal fails, on the front's own sockets: what clients see, and what is
recorded. In a real sidecar: test_sidecar_rehearsal.py."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from addon.arrive import endings, failing
from app.contract import faults
from app.contract.names import REDIRECT_PROOF
from app.contract.outcomes import outcome
from tests.fronting import Lab, asked, running
from tests.sidecar import HOST
from tests.unit.addon.target.test_first_bytes import hello
from tests.waiting import until

PLAIN = b"GET /telemetry/index.html HTTP/1.1\r\nHost: cdn.cribl.io\r\n\r\n"


@pytest.fixture(params=["by address", "by name"])
async def lab(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Lab]:
    """`by name`: the destination stands for no host, as with the redirect `all`."""
    async with running(tmp_path) as lab:
        if request.param == "by name":
            lab.host = "198.18.0.2"
        yield lab


def rehearse(lab: Lab, text: str) -> None:
    found = faults.asked(text)
    assert found is not None
    lab.sidecar.connections.profiles._rehearsed = found.counted_from(datetime.now(UTC))


def reset(lab: Lab, data: bytes) -> bytes:
    """What comes back for these bytes until the connection is reset."""
    found = b""
    with socket.create_connection(lab.address, 30) as plain:
        plain.sendall(data)
        with pytest.raises(ConnectionResetError):
            while data := plain.recv(65536):
                found += data
    return found


@pytest.mark.parametrize("begun", [hello(HOST), PLAIN])
async def test_refused(lab: Lab, begun: bytes) -> None:
    rehearse(lab, "refused until 1h")
    assert await asyncio.to_thread(reset, lab, begun) == b""
    await until(lambda: lab.records)
    (record,) = lab.records
    assert (record.kind, record.reason, record.profile) == ("refused", "rehearsal", "cribl")
    assert record.detail == f"rehearsal: refused; {endings.RESET}"
    assert (record.host, record.sent, record.received) == (HOST, len(begun), 0)
    assert outcome(record.kind, record.action, record.answered_by, record.reason) == (
        "rehearsed_connection"
    )
    assert not lab.direct.connections and not lab.backs


async def test_a_client_that_says_nothing_is_refused_where_the_address_tells_the_host(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failing, "SILENT_S", 0.01)
    rehearse(lab, "refused until 1h")
    if lab.host == HOST:
        assert await asyncio.to_thread(reset, lab, b"") == b""
    else:
        writer = await lab.plain(b"")
        await until(lambda: lab.direct.connections)
        assert not len(lab.direct.failing)
        writer.close()


@pytest.mark.parametrize("begun", [hello(HOST), PLAIN])
async def test_dropped_until_the_client_gives_up(lab: Lab, begun: bytes) -> None:
    rehearse(lab, "dropped until 1h")
    reader, writer = await asyncio.open_connection(*lab.address)
    writer.write(begun)
    await until(lambda: [x.sent for x in lab.direct.connections] == [len(begun)])
    writer.write(b"more, which is forgotten")
    await until(lambda: [x.sent for x in lab.direct.connections] == [len(begun) + 24])
    (held,) = lab.direct.connections
    assert held.held() == 0 and len(lab.direct.failing) == 1
    writer.close()
    await until(lambda: lab.records)
    assert await reader.read() == b""
    (record,) = lab.records
    assert (record.kind, record.reason) == ("refused", "rehearsal")
    assert record.detail == f"rehearsal: dropped; {endings.FIN}"
    assert (record.sent, record.received) == (len(begun) + 24, 0)
    assert not len(lab.direct.failing) and not lab.backs


async def test_a_dropped_one_is_reset_when_linux_would_give_up(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failing, "LONGEST_S", 0.05)
    rehearse(lab, "dropped until 1h")
    assert await asyncio.to_thread(reset, lab, hello(HOST)) == b""
    await until(lambda: lab.records)
    assert lab.records[0].detail == f"rehearsal: dropped; {endings.OVER}"


async def test_many_dropped_ones_are_bounded_and_each_is_recorded(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failing, "MOST", 3)
    rehearse(lab, "dropped until 1h")
    writers = []
    for number in range(8):
        writers.append(await lab.plain(hello(HOST)))
        await until(lambda n=number: len(lab.given) == n + 1)
        await until(lambda n=number: len(lab.direct.failing) == min(n + 1, 3))
        await until(lambda n=number: len(lab.records) == max(0, n - 2))
    assert {x.detail for x in lab.records} == {f"rehearsal: dropped; {endings.CROWDED}"}
    for writer in writers:
        writer.close()
    await until(lambda: len(lab.records) == 8)
    assert not lab.direct.connections


async def test_tls_error(lab: Lab) -> None:
    rehearse(lab, "tls-error until 1h")
    with pytest.raises(ssl.SSLError, match=r"(?i)handshake.failure"):
        await lab.connect()
    await until(lambda: lab.records)
    (record,) = lab.records
    assert (record.kind, record.reason) == ("refused", "rehearsal")
    assert record.detail.startswith("rehearsal: tls-error; the client ")
    assert not len(lab.direct.failing)


async def test_tls_error_leaves_what_is_no_tls(lab: Lab) -> None:
    rehearse(lab, "tls-error until 1h")
    writer = await lab.plain(PLAIN)
    await until(lambda: lab.backs)
    assert lab.backs == [PLAIN] and lab.records == []
    writer.close()


@pytest.mark.parametrize("fault", faults.FAILURES)
async def test_the_redirects_own_connection_meets_nothing(lab: Lab, fault: str) -> None:
    rehearse(lab, f"{fault} until 1h")
    reader, writer = await asyncio.open_connection(*lab.address)
    writer.write(REDIRECT_PROOF)
    assert await reader.read() == b""
    await until(lambda: lab.given and not lab.direct.connections)
    assert lab.records == [] and lab.backs == [] and not len(lab.direct.failing)
    writer.close()


@pytest.mark.parametrize("fault", faults.FAILURES)
@pytest.mark.parametrize("when", ["other.example until 1h", "until 2026-01-01T00:00Z"])
async def test_another_host_and_a_rehearsal_that_has_ended_change_nothing(
    lab: Lab, fault: str, when: str
) -> None:
    rehearse(lab, f"{fault} {when}")
    _, writer = await asked(lab)
    (record,) = lab.records
    assert (record.kind, record.reason, record.detail) == ("exchange", "", "")
    writer.close()


async def test_a_stopped_sidecar_records_those_it_held(lab: Lab) -> None:
    rehearse(lab, "dropped until 1h")
    writer = await lab.plain(hello(HOST))
    await until(lambda: [x.sent for x in lab.direct.connections] == [len(hello(HOST))])
    lab.direct.end()
    assert [x.detail for x in lab.records] == [f"rehearsal: dropped; {endings.SHUTDOWN}"]
    assert not len(lab.direct.failing)
    with contextlib.suppress(OSError):
        writer.close()
