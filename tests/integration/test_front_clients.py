"""Many clients at once that do whatever they like, on the sockets of `addon.arrive.direct`."""

import asyncio
import contextlib
import random
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fronting import AT_APP, Lab, running
from tests.sidecar import HOST
from tests.unit.addon.mitm.test_answer_layer import ANSWER, MOCKED, POSTED
from tests.waiting import until


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with running(tmp_path) as lab:
        yield lab


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
    await until(lambda: not lab.direct.connections and not lab.sidecar.exchanges.in_flight)
    exchanges = [x for x in lab.records if x.kind == "exchange"]
    assert whole > 50 and len(exchanges) >= whole
    assert sorted(x.seq for x in lab.records) == list(range(1, len(lab.records) + 1))
    assert all(client.fileno() < 0 for client in lab.given) and lab.backs == []
