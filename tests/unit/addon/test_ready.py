"""addon/ready.py: against the sidecar's own health server, and against what is none."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import pytest

from addon import ready
from addon.diagnostics.health import CONNECTIONS, serve
from app.otel.metrics import Metrics


class Served:
    def __init__(self) -> None:
        self.missing = "starting"
        self.asked = asyncio.Event()

    def ready(self) -> str:
        self.asked.set()
        return self.missing


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Where the sidecar will be; nothing listens there yet."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        number = int(s.getsockname()[1])
    monkeypatch.setenv("TELEMOCK_HEALTH_HOST", "127.0.0.1")
    monkeypatch.setenv("TELEMOCK_HEALTH_PORT", str(number))
    yield number


@pytest.fixture
async def served(port: int) -> AsyncIterator[Served]:
    at = Served()
    server = await serve("127.0.0.1", port, Metrics("sidecar"), dict, at.ready)
    yield at
    server.close()
    await server.wait_closed()


async def test_it_waits_until_the_sidecar_is_ready(served: Served) -> None:
    waiting = asyncio.create_task(asyncio.to_thread(ready.wait, 30))
    for _ in range(3):
        await served.asked.wait()
        served.asked.clear()
    assert not waiting.done()
    served.missing = ""
    await waiting


async def test_it_is_alive_as_long_as_its_event_loop_turns(
    served: Served, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while others hold all the connections that it takes: that is no reason to end it."""
    monkeypatch.setattr(ready, "_ANSWER_SECONDS", 0.3)
    assert await asyncio.to_thread(ready.alive)
    with ExitStack() as held:
        for _ in range(CONNECTIONS):
            held.enter_context(socket.create_connection(("127.0.0.1", port)))
        assert await asyncio.to_thread(ready.alive)
    assert not ready.alive()  # the loop stands still, in this call


def test_what_does_not_listen_is_not_alive(port: int) -> None:
    assert not ready.alive()


async def test_what_is_missing_is_said(served: Served) -> None:
    with pytest.raises(ready.NotReady, match=r"not ready after 0 s: starting\n\nhint: .*telemock"):
        await asyncio.to_thread(ready.wait, 0)


def test_where_nobody_listens_it_says_so(port: int) -> None:
    with pytest.raises(ready.NotReady, match=f"127.0.0.1 port {port}: Connection refused"):
        ready.wait(0)


@pytest.mark.parametrize(
    ("answer", "said"),
    [(b"", "no answer"), (b"SSH-2.0-x\r\n" * 500, "no answer"),
     (b"HTTP/1.1 404 No\r\n\r\nno \xff\nsuch path", "no � such path")],
)  # fmt: skip
def test_another_server_is_not_the_sidecar(
    monkeypatch: pytest.MonkeyPatch, answer: bytes, said: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("TELEMOCK_HEALTH_PORT", str(server.getsockname()[1]))
        waiting = subprocess.Popen(
            [sys.executable, "-c", "from addon import ready; ready.wait(0)"],
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        client, _ = server.accept()
        with client:
            client.recv(999)
            client.sendall(answer)
        assert f"not ready after 0 s: {said}" in waiting.communicate()[1]


def test_as_a_hook_it_ends_with_a_sentence(
    port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ready, "WAIT_SECONDS", 0)
    assert ready.main() == 1
    assert "error: the sidecar is not ready" in capsys.readouterr().err
