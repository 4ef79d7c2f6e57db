"""A cluster's worth of sidecars against the real app: what breaks first, and at what number.

`python -m tests.bench.simulate [--pods 10000] [--seconds 30] [--away 20]`. Each pod does what a
sidecar does, over one TLS connection of its own: it asks for profiles as often as the app says,
sends what it has one batch at a time, keeps what was not acknowledged, connects anew where the app
hung up, and waits after failures as `addon.app_client.client.Backoff` says. First all pods start in
one moment, each with a record; then each makes one record a minute, then two, and so on, until the
app falls behind; then the app is stopped for a while, and started again with a backlog in every
pod. In the end every record must be there. Prints tables in Markdown, then the figures as JSON. Not
run by `make test`.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import resource
import time
from collections import Counter, deque
from collections.abc import Sequence
from statistics import quantiles
from typing import Any

import uvloop

from addon.app_client.client import TIMEOUT_S, Backoff
from addon.app_client.profiles import LONGEST, PERIOD
from addon.record.deliver import BACKOFF_S, BATCH_RECORDS, SPREAD_S
from app.contract.names import (
    CONTENT_TYPE_RECORDS,
    HEADER_AGAIN,
    HEADER_SIDECAR,
    PATH_CAPTURES,
    PATH_PROFILES,
)
from app.report.tables import markdown_table
from tests.bench.figures import shown
from tests.bench.fleet import Fleet
from tests.bench.ingest import OVER_TLS, App, app, packed
from tests.bench.machine import machine, versions

BEHIND_S = 1.0  # of records that wait at the end of a step: more is falling behind
BACKLOG = 10  # records of each pod when the app comes back
PATIENCE_S = 300.0  # for everything to be acknowledged

Headers = dict[str, str]


class Pod:
    """`streams` is the connection to the API, which questions and batches take turns on."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.waiting: deque[tuple[bytes, float]] = deque()
        self.sending = False
        self.turn = asyncio.Lock()
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None


class Cluster:
    """All pods. `done` are the seconds from a record's making to its acknowledgement; `failed`
    counts requests by status or error."""

    def __init__(self, app: App, pods: int) -> None:
        self.app = app
        self.fleet = Fleet(pods)
        self.pods = [Pod(number) for number in range(pods)]
        self.done: list[float] = []
        self.failed: Counter[str] = Counter()
        self.made = self.connected = self.questions = 0
        self._asking: set[asyncio.Task[None]] = set()
        self._sending: set[asyncio.Task[None]] = set()

    @property
    def behind(self) -> int:
        return sum(len(pod.waiting) for pod in self.pods)

    def add(self, pod: Pod, first_s: float = 0) -> None:
        """A record, sent after so many seconds when the pod sends nothing now."""
        self.made += 1
        line = self.fleet.line(pod.number, time.time_ns())
        pod.waiting.append((line, time.perf_counter()))
        if not pod.sending:
            pod.sending = True
            _begin(self._send(pod, first_s), self._sending)

    async def _send(self, pod: Pod, first_s: float) -> None:
        await asyncio.sleep(first_s)
        backoff = Backoff(*BACKOFF_S)
        while pod.waiting:
            lines = [pod.waiting[n] for n in range(min(len(pod.waiting), BATCH_RECORDS))]
            more = {"content-type": CONTENT_TYPE_RECORDS, "content-encoding": "zstd"}
            body = packed([line for line, _ in lines])
            status, headers = await self._ask(pod, f"POST {PATH_CAPTURES}", more, body)
            if status != "200":
                await asyncio.sleep(backoff.next(float(headers.get("retry-after", 0))))
                continue
            backoff.reset()
            now = time.perf_counter()
            for _, made in lines:
                pod.waiting.popleft()
                self.done.append(now - made)
        pod.sending = False

    async def _question(self, pod: Pod) -> None:
        """Asks for profiles, for ever."""
        backoff, etag = Backoff(PERIOD, LONGEST), ""
        while True:
            self.questions += 1
            asked = {"if-none-match": etag} if etag else {}
            status, headers = await self._ask(pod, f"GET {PATH_PROFILES}", asked)
            if status in ("200", "304"):
                backoff.reset()
                etag = headers["etag"]
                period = min(max(PERIOD, float(headers[HEADER_AGAIN])), LONGEST)
                await asyncio.sleep(period * random.uniform(0.9, 1.1))
            else:
                await asyncio.sleep(backoff.next())

    async def _ask(
        self, pod: Pod, what: str, more: Headers, body: bytes = b""
    ) -> tuple[str, Headers]:
        sent = {
            "host": "app", "authorization": f"Bearer {self.app.token}",
            HEADER_SIDECAR: self.fleet.pods[pod.number].boot, **more,
            "content-length": str(len(body)),
        }  # fmt: skip
        head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        request = f"{what} HTTP/1.1\r\n{head}\r\n".encode() + body
        async with pod.turn:
            while True:
                kept = pod.streams is not None
                try:
                    status, headers = await self._exchange(pod, request)
                except (OSError, EOFError, TimeoutError, ValueError) as e:
                    self.hang_up(pod)
                    if kept and not isinstance(e, TimeoutError):  # the app had closed it
                        continue
                    status, headers = type(e).__name__, {}
                if status not in ("200", "304"):
                    self.failed[status] += 1
                return status, headers

    async def _exchange(self, pod: Pod, request: bytes) -> tuple[str, Headers]:
        if pod.streams is None:
            self.connected += 1
            async with asyncio.timeout(2 * TIMEOUT_S):  # to connect, and for the handshake
                pod.streams = await asyncio.open_connection(
                    "127.0.0.1", self.app.port, ssl=self.app.tls,
                    local_addr=(f"127.0.0.{2 + pod.number % 8}", 0),  # the ports of one are too few
                )  # fmt: skip
        reader, writer = pod.streams
        async with asyncio.timeout(TIMEOUT_S):
            writer.write(request)
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
            headers = {n.lower(): v for n, _, v in (line.partition(": ") for line in lines)}
            await reader.readexactly(int(headers.get("content-length", 0)))
        return first.split()[1], headers

    def hang_up(self, pod: Pod) -> None:
        streams, pod.streams = pod.streams, None
        if streams is not None:
            streams[1].transport.abort()

    async def drained(self, seconds: float = PATIENCE_S) -> bool:
        """True if everything was acknowledged within the time."""
        if self._sending:
            await asyncio.wait(self._sending, timeout=seconds)
        return not self._sending

    def end(self) -> None:
        for task in (*self._asking, *self._sending):
            task.cancel()
        for pod in self.pods:
            self.hang_up(pod)

    async def start(self) -> dict[str, Any]:
        """All at once, each with a record of an earlier start."""
        measure = _Measure(self)
        for pod in self.pods:
            _begin(self._question(pod), self._asking)
            self.add(pod, random.uniform(0, SPREAD_S))
        await self.drained()
        return measure.figures()

    async def offer(self, records_s: float, seconds: float) -> dict[str, Any]:
        """Records of one pod after the other, at that rate."""
        first, measure, sent = self.made, _Measure(self), 0
        begun = time.perf_counter()
        while (now := time.perf_counter()) < begun + seconds:
            due = int((now - begun) * records_s)
            for number in range(sent, due):
                self.add(self.pods[(first + number) % len(self.pods)])
            sent = due
            await asyncio.sleep(0.002)
        return {"offered_s": sent / (time.perf_counter() - begun), **measure.figures()}

    async def restart(self, away_s: float) -> dict[str, Any]:
        """The app is stopped, every pod makes some records meanwhile, and it starts again."""
        began = time.perf_counter()
        await asyncio.to_thread(self.app.stop)
        stopped = time.perf_counter()
        for number in range(len(self.pods) * BACKLOG):
            self.add(self.pods[number % len(self.pods)])
            if number % 100 == 99:
                await asyncio.sleep(away_s / (len(self.pods) * BACKLOG / 100))
        await asyncio.to_thread(self.app.start)
        up, tried, measure = time.perf_counter(), Counter(self.failed), _Measure(self)
        await self.drained()
        figures = measure.figures()
        return {
            "stop_s": stopped - began, "away_s": up - stopped,
            "failed_away": dict(tried), "failed_back": dict(self.failed - tried), **figures,
        }  # fmt: skip


class _Measure:
    """Measures a cluster from here to `figures`."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        cluster.done = []
        self._before = self._state()
        self._cpu = cluster.app.cpu_s()
        self._begun = time.perf_counter()

    def _state(self) -> tuple[int, int, int]:
        of = self._cluster
        return of.connected, of.questions, sum(of.failed.values())

    def figures(self) -> dict[str, Any]:
        of, took = self._cluster, time.perf_counter() - self._begun
        cpu = of.app.cpu_s() - self._cpu
        connected, questions, failed = (
            now - then for now, then in zip(self._state(), self._before, strict=True)
        )
        at = quantiles(of.done, n=100) if len(of.done) > 1 else [0.0] * 99
        return {
            "seconds": took, "acknowledged": len(of.done), "p50_s": at[49], "p99_s": at[98],
            "connections_s": connected / took, "questions_s": questions / took, "failed": failed,
            "behind": of.behind, "cpu_s": cpu, "cpu": cpu / took,
            "resident_mb": of.app.resident_mb(),
        }  # fmt: skip


def _begin(work: Any, tasks: set[asyncio.Task[None]]) -> None:
    task: asyncio.Task[None] = asyncio.ensure_future(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)


async def _run(started: App, pods: int, seconds: float, away_s: float) -> dict[str, Any]:
    cluster = Cluster(started, pods)
    start = await cluster.start()
    steps = []
    rate = pods / 60
    while True:
        steps.append(await cluster.offer(rate, seconds))
        if steps[-1]["behind"] > 10 + BEHIND_S * steps[-1]["offered_s"] or len(steps) > 8:
            break
        await cluster.drained(30)
        rate *= 2
    await cluster.drained()
    cluster.failed.clear()
    restart = await cluster.restart(away_s)
    health = json.loads(await asyncio.to_thread(started.ask, "GET", "/health"))
    cluster.end()
    return {
        "pods": pods, "start": start, "steps": steps, "restart": restart,
        "made": cluster.made, "stored": health["store"]["records"],
    }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """The figures of every step."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pods", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=30, help="of one step")
    parser.add_argument("--away", type=float, default=20, help="seconds without the app")
    options = parser.parse_args(arguments)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    pods = min(options.pods, hard - 200)
    about = machine()
    usable = sorted(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    with app(usable[0], OVER_TLS) as started:
        os.sched_setaffinity(0, usable[1:] or usable)
        figures = uvloop.run(_run(started, pods, options.seconds, options.away))
    result = {
        "bench": "simulate", "machine": about, "versions": versions(),
        "load": [load, os.getloadavg()[0]], **figures,
    }  # fmt: skip
    print(markdown(result))
    print(json.dumps(result))
    return result


def markdown(found: dict[str, Any]) -> str:
    def row(what: str, of: dict[str, Any]) -> list[str]:
        return [
            what, f"{of['seconds']:,.0f}", f"{of['acknowledged'] / of['seconds']:,.0f}",
            f"{of['questions_s']:,.0f}", f"{of['connections_s']:,.0f}", shown(of["p50_s"] * 1e3),
            shown(of["p99_s"] * 1e3), f"{of['behind']:,}", f"{of['failed']:,}", f"{of['cpu']:.0%}",
            f"{of['resident_mb']:.0f}",
        ]  # fmt: skip

    heads = [
        "all pods", "seconds", "acknowledged/s", "questions/s", "new connections/s", "p50 ms",
        "p99 ms", "waiting at the end", "failed requests", "processor of the app", "resident MB",
    ]  # fmt: skip
    restart = found["restart"]
    rows = [row("start at once", found["start"])]
    for step in found["steps"]:
        rows.append(row(f"{step['offered_s'] * 60 / found['pods']:.0f} a minute", step))
    rows.append(row(f"the app comes back after {restart['away_s']:.0f} s", restart))
    lost = found["made"] - found["stored"]
    before, after = found["load"]
    return (
        f"{found['pods']:,} pods over TLS, load average {before:.2f} before, {after:.2f} after.\n\n"
        f"{markdown_table(heads, rows)}\n"
        f"It stopped in {restart['stop_s']:.1f} s. Requests that failed while it was away: "
        f"{restart['failed_away'] or 'none'}, afterwards: {restart['failed_back'] or 'none'}. Of "
        f"{found['made']:,} records made, {lost:,} are missing in the store.\n"
    )


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
