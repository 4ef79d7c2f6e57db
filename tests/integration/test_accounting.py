"""A sidecar is killed (SIGKILL): every answered request is stored, or counted as missing."""

import contextlib
import http.client
import os
import random
import signal
import ssl
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.contract import names
from app.run import processes
from app.store import BootRow, CaptureQuery
from app.store.sqlite.store import SqliteStore
from tests.waiting import wait_for

ANSWERS = 100
CLIENTS = 4


class Bench:
    """An app and the sidecars that come and go beside it."""

    def __init__(self, folder: Path) -> None:
        self.data, self.logs = folder / "data", folder / "logs"
        self.spool = self.data / names.DIR_SPOOL
        self.app = processes.start_app(self.data, self.logs)
        self.sidecars: list[processes.RunningSidecar] = []

    def sidecar(self) -> processes.RunningSidecar:
        self.sidecars.append(processes.start_sidecar(self.data, self.logs, self.app.url))
        return self.sidecars[-1]

    def kill(self, sidecar: processes.RunningSidecar) -> int:
        """How many numbers it had given out."""
        os.kill(sidecar.child.pid, signal.SIGKILL)
        wait_for(lambda: sidecar.child.ended)
        (number,) = struct.unpack_from("=Q", (self.spool / f"{sidecar.boot}.lock").read_bytes(), 8)
        return int(number)

    def app_goes(self) -> None:
        self.app.stop()

    def app_comes(self) -> None:
        self.app = processes.start_app(self.data, self.logs, port=self.app.port)

    def boots(self) -> dict[str, BootRow]:
        store = SqliteStore.open_readonly(self.data / names.FILE_STORE)
        try:
            return {row.boot: row for row in store.boots()}
        finally:
            store.close()

    def exchanges(self) -> int:
        """Stored ones; each once."""
        store = SqliteStore.open_readonly(self.data / names.FILE_STORE)
        ids: list[bytes] = []
        cursor: str | None = None
        try:
            while True:
                query = CaptureQuery(kind="exchange", order="arrival", cursor=cursor, limit=1000)
                page = store.captures(query)
                ids += page.items
                if page.next is None:
                    break
                cursor = page.next
        finally:
            store.close()
        assert len(set(ids)) == len(ids)
        return len(ids)

    def settled(self) -> bool:
        """Every boot that was killed has been told of, and nothing of it waits."""
        living = {s.boot for s in self.sidecars if not s.child.ended}
        return {p.name.partition(".")[0].partition("-")[0] for p in self.spool.iterdir()} <= living

    def stop(self) -> None:
        for sidecar in self.sidecars:
            sidecar.child.stop()
        self.app.stop()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.stop()


class Client:
    """Asks one request after the other."""

    def __init__(self, bench: Bench, sidecar: processes.RunningSidecar) -> None:
        proxy = urlsplit(sidecar.proxy)
        ca = str(bench.data / names.DIR_CA / names.FILE_CA_CERT)
        context = ssl.create_default_context(cafile=ca)
        self._connection = http.client.HTTPSConnection(
            proxy.hostname, proxy.port, timeout=20, context=context
        )
        self._connection.set_tunnel("cdn.cribl.io", 443)
        self.answered = 0

    def ask(self, number: int) -> None:
        for _ in range(number):
            self._connection.request("GET", "/telemetry/index.html?v=4.16.1")
            answer = self._connection.getresponse()
            answer.read()
            assert answer.status == 200
            self.answered += 1

    def close(self) -> None:
        self._connection.close()

    def ask_on(self) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):  # it was killed
            self.ask(1_000_000)
        self.close()


@pytest.mark.timeout(240)
def test_eight_kills_right_after_the_answers_lose_no_count(bench: Bench) -> None:
    answered = 0
    numbered = {}
    for _ in range(8):
        sidecar = bench.sidecar()
        client = Client(bench, sidecar)
        client.ask(ANSWERS)
        numbered[sidecar.boot] = bench.kill(sidecar)
        client.close()
        answered += client.answered
    last = bench.sidecar()
    wait_for(bench.settled, 30)
    boots = bench.boots()
    for boot, number in numbered.items():
        row = boots[boot]
        assert row.ended and row.numbered == number == row.count + row.missing
        assert row.lost == ({"killed": row.missing} if row.missing else {})
    missing = sum(boots[boot].missing for boot in numbered)
    assert missing > 0 and answered == 8 * ANSWERS == bench.exchanges() + missing
    last.child.stop()
    assert list(bench.spool.iterdir()) == [] and bench.boots()[last.boot].missing == 0


@pytest.mark.timeout(240)
def test_kills_at_any_moment_under_load(bench: Bench) -> None:
    chance = random.Random(6)
    answered = 0
    numbered = {}
    for _ in range(4):
        sidecar = bench.sidecar()
        clients = [Client(bench, sidecar) for _ in range(CLIENTS)]
        threads = [threading.Thread(target=client.ask_on) for client in clients]
        for thread in threads:
            thread.start()
        most = chance.randrange(20, 1200)
        wait_for(lambda clients=clients, most=most: sum(c.answered for c in clients) >= most, 60)
        numbered[sidecar.boot] = bench.kill(sidecar)
        for thread in threads:
            thread.join(30)
        answered += sum(c.answered for c in clients)
    bench.sidecar()
    wait_for(bench.settled, 30)
    boots = bench.boots()
    for boot, number in numbered.items():
        row = boots[boot]
        assert row.ended and row.numbered == number == row.count + row.missing
        assert sum(row.lost.values()) == row.missing
    known = bench.exchanges() + sum(boots[boot].missing for boot in numbered)
    assert answered <= known <= answered + 4 * CLIENTS  # one in flight, for each client


@pytest.mark.timeout(240)
def test_kills_while_it_takes_over_what_was_left(bench: Bench) -> None:
    """Several boots wait for an app that was away; those who take them over are killed too."""
    chance = random.Random(9)
    answered = 0
    numbered = {}
    for _ in range(3):
        sidecar = bench.sidecar()
        client = Client(bench, sidecar)
        bench.app_goes()
        client.ask(3 * ANSWERS)
        numbered[sidecar.boot] = bench.kill(sidecar)
        client.close()
        answered += client.answered
        bench.app_comes()
    for _ in range(4):
        sidecar = bench.sidecar()
        stop = chance.uniform(0, 3)
        threading.Event().wait(stop)
        numbered[sidecar.boot] = bench.kill(sidecar)
    bench.sidecar()
    wait_for(bench.settled, 30)
    boots = bench.boots()
    for boot, number in numbered.items():
        if number:
            row = boots[boot]
            assert row.ended and row.numbered == number == row.count + row.missing
    missing = sum(boots[boot].missing for boot in numbered if boot in boots)
    assert answered <= bench.exchanges() + missing
