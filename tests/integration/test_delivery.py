"""Delivery across processes: a shipper that is killed, the real app and its store."""

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from addon.app_client.client import AppApi
from addon.diagnostics.metrics import Measure
from addon.record.ship import Shipper
from app.contract.masking.masker import Masker
from app.contract.record import CaptureRecord, Request, decode
from app.contract.rules import RuleSet
from app.otel.metrics import Metrics
from tests.serving import Served, serving
from tests.standin import TOKEN, standin
from tests.threads import in_threads
from tests.waiting import wait_for

ROOT = Path(__file__).parents[2]

# Submits records as fast as they are taken, and notes each number that it reserved, until killed.
SENDER = """
import os, sys, time
from pathlib import Path
from addon.app_client.client import AppApi
from addon.diagnostics.metrics import Measure
from addon.record.ship import Shipper
from app.otel.metrics import Metrics
from app.contract.masking.masker import Masker
from app.contract.record import CaptureRecord, Request
from app.contract.rules import RuleSet

directory, url, token, most = sys.argv[1:]
masker, metrics = Masker(RuleSet()), Metrics("sidecar")
shipper = Shipper(
    Path(directory), AppApi(url, lambda: token), lambda: masker, 64 << 20, sys.stdout.buffer,
    metrics, Measure(metrics, RuleSet),
)
shipper.start()
request = Request(method="GET", host="t.example", query=[("v", "1"), ("x", "y" * 300)])
for n in range(int(most)):
    boot, seq = shipper.reserve()
    os.write(2, f"{boot} {seq}\\n".encode())
    shipper.submit(
        CaptureRecord(
            boot=boot, seq=seq, kind="exchange", action="mock", time_ns=time.time_ns(),
            request=request,
        )
    )
    if n % 7 == 0:
        time.sleep(0.001)
sys.exit(shipper.close(20))
"""


class Sender:
    """One process of SENDER; `reserved` is final once it has ended."""

    def __init__(self, folder: Path, url: str, token: str, most: int = 1_000_000) -> None:
        self.out, self.noted = folder / "stdout", folder / "noted"
        folder.mkdir()
        with self.out.open("wb") as out, self.noted.open("wb") as noted:
            self.process = subprocess.Popen(
                [sys.executable, "-OO", "-c", SENDER, str(folder.parent / "spool"), url, token,
                 str(most)],
                stdout=out, stderr=noted, cwd=ROOT,
            )  # fmt: skip

    def wait_for(self, number: int) -> None:
        def enough() -> bool:
            assert self.reserved >= number or self.process.poll() is None, self.noted.read_text()
            return self.reserved >= number

        wait_for(enough, 30)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    @property
    def boot(self) -> str:
        return self.noted.read_text().split()[0]

    @property
    def reserved(self) -> int:
        return self.noted.read_bytes().count(b"\n")


def spooled(directory: Path) -> set[str]:
    """Ids of the whole records in every segment."""
    ids = set()
    for path in directory.glob("*.ndjson"):
        ids |= {decode(line).id for line in path.read_bytes().split(b"\n")[:-1]}
    return ids


def in_store(served: Served) -> list[str]:
    """Ids of everything in the app's store."""
    ids: list[str] = []
    cursor: str | None = None
    while True:
        params: dict[str, Any] = {"order": "arrival", "limit": 1000}
        if cursor:
            params["cursor"] = cursor
        page = served.client.get("/api/v1/captures", params=params).raise_for_status().json()
        ids += [f"{i['boot']}-{i['seq']}" for i in page["items"]]
        cursor = page["next"]
        if cursor is None:
            return ids


def expected(boot: str, last: int) -> set[str]:
    return {f"{boot}-{n}" for n in range(1, last + 1)}


@contextmanager
def shipping(spool: Path, url: str, token: str) -> Iterator[Shipper]:
    masker, metrics = Masker(RuleSet()), Metrics("sidecar")
    measure = Measure(metrics, RuleSet)
    shipper = Shipper(
        spool, AppApi(url, lambda: token), lambda: masker, 64 << 20, None, metrics, measure
    )
    shipper.start()
    try:
        yield shipper
    finally:
        shipper.close(0)


def submit(shipper: Shipper, number: int) -> None:
    for _ in range(number):
        boot, seq = shipper.reserve()
        shipper.submit(
            CaptureRecord(
                boot=boot, seq=seq, kind="exchange", action="mock", time_ns=time.time_ns(),
                request=Request(method="GET", host="t.example"),
            )
        )  # fmt: skip


def test_killed_again_and_again_while_the_app_is_there(tmp_path: Path) -> None:
    chance = random.Random(4)
    with serving(tmp_path) as served:
        senders = []
        waiting: set[str] = set()
        for round_ in range(6):
            sender = Sender(tmp_path / f"sender{round_}", served.url, served.runtime.token)
            senders.append(sender)
            sender.wait_for(1)
            sender.wait_for(chance.randrange(50, 1500))
            sender.kill()
            assert sender.process.returncode == -signal.SIGKILL
            waiting |= spooled(tmp_path / "spool")
        last = Sender(tmp_path / "last", served.url, served.runtime.token, most=100)
        assert last.process.wait(60) == 0
        found = in_store(served)
        assert set(Counter(found).values()) == {1} and waiting <= set(found)
        kept = Counter(i.split("-")[0] for i in found)
        for sender in senders:
            # Without a hole: the gap at the end is what was not spooled yet.
            assert expected(sender.boot, kept[sender.boot]) <= set(found)
            assert 0 < kept[sender.boot] <= sender.reserved
        assert kept[last.boot] == 100
        assert list((tmp_path / "spool").iterdir()) == []
        rows = {row.boot: row for row in served.runtime.store.boots()}
        for sender in senders:
            row = rows[sender.boot]
            assert row.ended and 0 <= row.numbered - sender.reserved <= 1  # killed before the note
            assert (row.count, row.count + row.missing) == (kept[sender.boot], row.numbered)
            assert row.lost == ({"killed": row.missing} if row.missing else {})
        assert sum(row.missing for row in rows.values()) > 0 == rows[last.boot].missing


def test_an_older_app_takes_records_and_a_newer_one_learns_what_was_lost(tmp_path: Path) -> None:
    with standin() as app:
        app.old = True
        sender = Sender(tmp_path / "sender", app.url, TOKEN)
        sender.wait_for(700)
        sender.kill()
        last = Sender(tmp_path / "last", app.url, TOKEN, most=100)
        assert last.process.wait(60) == 0
        assert {record.boot for record in app.records()} == {sender.boot, last.boot}
        assert app.accounts == {} and not spooled(tmp_path / "spool")
        app.old = False
        again = Sender(tmp_path / "again", app.url, TOKEN, most=100)
        assert again.process.wait(60) == 0
        assert 0 <= app.accounts[sender.boot].numbered - sender.reserved <= 1
        assert app.accounts[last.boot].numbered == 100 == app.stored(last.boot)
        assert {account.ended for account in app.accounts.values()} == {True}
        assert list((tmp_path / "spool").iterdir()) == []


def test_killed_while_the_app_is_away(tmp_path: Path) -> None:
    senders = []
    for round_ in range(3):
        sender = Sender(tmp_path / f"sender{round_}", "http://127.0.0.1:1", "token")
        senders.append(sender)
        sender.wait_for(300 * (round_ + 1))
        sender.kill()
    waiting = spooled(tmp_path / "spool")
    for sender in senders:
        mine = {i for i in waiting if i.startswith(sender.boot)}
        assert mine == expected(sender.boot, len(mine)) and len(mine) <= sender.reserved
    assert len(waiting) > 600
    with serving(tmp_path) as served:
        last = Sender(tmp_path / "last", served.url, served.runtime.token, most=10)
        assert last.process.wait(60) == 0
        found = in_store(served)
        assert sorted(found) == sorted(waiting | expected(last.boot, 10))


def test_the_app_comes_after_the_sidecar_and_restarts(tmp_path: Path) -> None:
    with shipping(tmp_path / "spool", "http://127.0.0.1:1", "none yet") as first:
        submit(first, 400)
        wait_for(lambda: first.stats()["spool_records"] == 400)
    with serving(tmp_path) as served:
        token = served.runtime.token
        with shipping(tmp_path / "spool", served.url, token) as second:
            submit(second, 600)
            assert second.close(30) == 0
        everything = expected(first.boot, 400) | expected(second.boot, 600)
        assert sorted(in_store(served)) == sorted(everything)
    with serving(tmp_path) as served:
        assert sorted(in_store(served)) == sorted(everything)


def test_two_sidecars_on_one_directory(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        token = served.runtime.token
        spool = tmp_path / "spool"
        with shipping(spool, served.url, token) as one, shipping(spool, served.url, token) as two:
            in_threads(lambda shipper: submit(shipper, 500), (one, two))
            assert one.close(30) == two.close(30) == 0
            assert one.stats()["stored"] == two.stats()["stored"] == 500
        assert sorted(in_store(served)) == sorted(expected(one.boot, 500) | expected(two.boot, 500))


@pytest.mark.root
def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "telemock-test", str(mount)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if mounted.returncode:
        pytest.skip(f"no tmpfs here: {mounted.stderr.strip()}")
    try:
        (mount / "ballast").write_bytes(b"x" * 100_000)
        with standin(lambda lines: (507, b"")) as app:
            with shipping(mount / "spool", app.url, TOKEN) as shipper:
                submit(shipper, 2000)
                wait_for(lambda: shipper.stats()["queued"] == 0)
                stats = shipper.stats()
                assert stats["spool_error"] == "No space left on device"
                # Memory holds what the disk did not take.
                assert stats["spool_records"] == 2000 and not stats["dropped"]
                (mount / "ballast").unlink()
                submit(shipper, 1)
                app.behave = None
                assert shipper.close(20) == 0
            assert set(app.lines) == expected(shipper.boot, 2001)
            assert set(app.seen.values()) == {1}
        assert list((mount / "spool").iterdir()) == []
    finally:
        subprocess.run(["umount", str(mount)], check=True)
