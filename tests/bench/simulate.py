"""A cluster's worth of sidecars against the real app: what breaks first, and at what number.

`python -m tests.bench.simulate [--pods 10000] [--seconds 20] [--backoff 5]`. Pods send real records
over HTTP, one at a time on connections of their own, as sidecars without a backlog do: each keeps
what was not acknowledged, sends at most 500 at once, connects anew where the app hung up, and waits
0.1 to 5 s (--backoff) after a failure. First one record a minute from each; then twice as many, and
so on, until the app falls behind; then it is stopped, and started again with a backlog in every
pod. In the end every record must be there. Without TLS. Prints tables in Markdown, then the figures
as JSON. Not run by `make test`.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import resource
import time
from collections import deque
from collections.abc import Sequence
from statistics import quantiles
from typing import Any

from addon.deliver import BACKOFF_S, BATCH_RECORDS, TIMEOUT_S
from app.contract.names import CONTENT_TYPE_RECORDS, PATH_CAPTURES
from app.tables import markdown_table
from tests.bench.figures import shown
from tests.bench.fleet import Fleet
from tests.bench.ingest import App, app, packed
from tests.bench.machine import machine, versions

BEHIND_S = 1.0  # of records that wait at the end of a step: more is falling behind
PER_MINUTE = 1
BACKLOG = 10  # records of each pod when the app comes back


class Cluster:
    """All pods. `done` are the seconds from a record's making to its acknowledgement."""

    def __init__(self, app: App, pods: int, longest_s: float) -> None:
        self.app = app
        self.longest_s = longest_s
        self.fleet = Fleet(pods)
        self.waiting: list[deque[tuple[bytes, float]]] = [deque() for _ in range(pods)]
        self.streams: list[tuple[asyncio.StreamReader, asyncio.StreamWriter] | None] = [None] * pods
        self.sending = [False] * pods
        self.done: list[float] = []
        self.failed: dict[str, int] = {}
        self.made = 0
        self.connected = 0
        self.tasks: set[asyncio.Task[None]] = set()

    @property
    def behind(self) -> int:
        return sum(map(len, self.waiting))

    def add(self, pod: int, send: bool = True) -> None:
        self.made += 1
        line = self.fleet.line(pod, time.time_ns())
        self.waiting[pod].append((line, time.perf_counter()))
        if send:
            self.wake(pod)

    def wake(self, pod: int) -> None:
        if not self.sending[pod]:
            self.sending[pod] = True
            task = asyncio.ensure_future(self._send(pod))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _send(self, pod: int) -> None:
        waiting, pause = self.waiting[pod], BACKOFF_S[0]
        while waiting:
            lines = [waiting[n] for n in range(min(len(waiting), BATCH_RECORDS))]
            why = await self._post(pod, packed([line for line, _ in lines]))
            if why:
                self.failed[why] = self.failed.get(why, 0) + 1
                await asyncio.sleep(pause * (0.5 + random.random() / 2))
                pause = min(2 * pause, self.longest_s)
                continue
            pause, now = BACKOFF_S[0], time.perf_counter()
            for _, made in lines:
                waiting.popleft()
                self.done.append(now - made)
        self.sending[pod] = False

    async def _post(self, pod: int, body: bytes) -> str:
        """Why it was not taken, "" when it was."""
        head = (
            f"POST {PATH_CAPTURES} HTTP/1.1\r\nHost: app\r\n"
            f"Authorization: Bearer {self.app.token}\r\n"
            f"Content-Type: {CONTENT_TYPE_RECORDS}\r\nContent-Encoding: zstd\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        kept = self.streams[pod] is not None
        try:
            async with asyncio.timeout(TIMEOUT_S):
                status = await self._exchange(pod, head.encode() + body)
        except (OSError, EOFError, TimeoutError, ValueError) as e:
            self.hang_up(pod)
            if kept and not isinstance(e, TimeoutError):  # the app had closed it long ago
                return await self._post(pod, body)
            return type(e).__name__
        return "" if status == "200" else status

    async def _exchange(self, pod: int, request: bytes) -> str:
        streams = self.streams[pod]
        if streams is None:
            self.connected += 1
            streams = await asyncio.open_connection("127.0.0.1", self.app.port)
            self.streams[pod] = streams
        reader, writer = streams
        writer.write(request)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        await reader.readexactly(int(answer.partition("content-length: ")[2].split()[0]))
        return answer.split()[1]

    def hang_up(self, pod: int) -> None:
        streams, self.streams[pod] = self.streams[pod], None
        if streams is not None:
            streams[1].close()

    async def drained(self, seconds: float) -> bool:
        """Whether everything was acknowledged within the time."""
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=seconds)
        return not self.tasks

    async def offer(self, records_s: float, seconds: float) -> dict[str, float]:
        """Records of one pod after the other, at that rate."""
        first, self.done, cpu = self.made, [], self.app.cpu_s()
        failed, connected = sum(self.failed.values()), self.connected
        begun = time.perf_counter()
        sent = 0
        while (now := time.perf_counter()) < begun + seconds:
            due = int((now - begun) * records_s)
            for number in range(sent, due):
                self.add((first + number) % len(self.waiting))
            sent = due
            await asyncio.sleep(0.002)
        acknowledged = len(self.done)
        took, used = time.perf_counter() - begun, self.app.cpu_s() - cpu
        p50, p99 = (quantiles(self.done, n=100)[n] * 1e3 for n in (49, 98))
        return {
            "offered_s": sent / took, "acknowledged_s": acknowledged / took,
            "p50_ms": p50, "p99_ms": p99, "connections_s": (self.connected - connected) / took,
            "behind": self.behind, "failed": sum(self.failed.values()) - failed,
            "cpu": used / took, "resident_mb": self.app.resident_mb(),
        }  # fmt: skip

    async def restart(self) -> dict[str, float]:
        """The app is stopped, every pod makes some records, and it starts again."""
        self.app.stop()
        for pod in range(len(self.waiting)):
            for _ in range(BACKLOG):
                self.add(pod)
        await asyncio.sleep(2)  # the first attempts fail
        stopped = time.perf_counter()
        await asyncio.to_thread(self.app.start)
        up = time.perf_counter()
        made = self.behind
        ended = await self.drained(120)
        seconds = time.perf_counter() - up
        return {
            "start_s": up - stopped, "backlog": made, "left": self.behind, "drained": ended,
            "drained_s": seconds, "records_s": (made - self.behind) / seconds,
            "resident_mb": self.app.resident_mb(), **self.failed,
        }  # fmt: skip


async def _run(started: App, pods: int, seconds: float, longest_s: float) -> dict[str, Any]:
    cluster = Cluster(started, pods, longest_s)
    steps = []
    rate = pods * PER_MINUTE / 60
    while True:
        steps.append(await cluster.offer(rate, seconds))
        if steps[-1]["behind"] > 10 + BEHIND_S * steps[-1]["offered_s"] or len(steps) > 8:
            break
        await cluster.drained(30)
        rate *= 2
    await cluster.drained(120)
    cluster.failed = {}
    restart = await cluster.restart()
    health = json.loads(await asyncio.to_thread(started.ask, "GET", "/health"))
    for pod in range(pods):
        cluster.hang_up(pod)
    return {
        "pods": pods, "backoff_s": longest_s, "steps": steps, "restart": restart,
        "made": cluster.made, "stored": health["store"]["records"],
    }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """The figures of every step."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pods", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=20, help="of one step")
    parser.add_argument(
        "--backoff", type=float, default=BACKOFF_S[1], help="longest wait after a failure, in s"
    )
    options = parser.parse_args(arguments)
    os.nice(5)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    pods = min(options.pods, hard - 200)
    about = machine()
    usable = sorted(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    with app(usable[0]) as started:
        os.sched_setaffinity(0, usable[1:] or usable)
        figures = asyncio.run(_run(started, pods, options.seconds, options.backoff))
    result = {
        "bench": "simulate", "machine": about, "versions": versions(),
        "load": [load, os.getloadavg()[0]], **figures,
    }  # fmt: skip
    print(markdown(result))
    print(json.dumps(result))
    return result


def markdown(found: dict[str, Any]) -> str:
    rows = [
        [
            f"{step['offered_s']:,.0f}", f"{step['offered_s'] * 60 / PER_MINUTE:,.0f}",
            f"{step['acknowledged_s']:,.0f}", f"{step['connections_s']:,.0f}",
            shown(step["p50_ms"]), shown(step["p99_ms"]),
            f"{step['behind']:,}", f"{step['failed']:,}", f"{step['cpu']:.0%}",
            f"{step['resident_mb']:.0f}",
        ]
        for step in found["steps"]
    ]  # fmt: skip
    heads = [
        "records/s", "pods at one a minute", "acknowledged/s", "new connections/s", "p50 ms",
        "p99 ms", "waiting at the end", "failed requests", "processor of the app", "resident MB",
    ]  # fmt: skip
    restart = found["restart"]
    failed = {k: v for k, v in restart.items() if k[0].isupper() or k[0].isdigit()}
    end = "all acknowledged" if restart["drained"] else f"{restart['left']:,} left"
    lost = found["made"] - found["stored"]
    before, after = found["load"]
    return (
        f"{found['pods']:,} pods, one record a request; load average {before:.2f} before, "
        f"{after:.2f} after.\n\n{markdown_table(heads, rows)}\n"
        f"Restart: back in {restart['start_s']:.1f} s; {restart['backlog']:,.0f} records waited in "
        f"all pods at once, {end} after {restart['drained_s']:.1f} s "
        f"({restart['records_s']:,.0f} records/s); failed requests: {failed or 'none'}. Of "
        f"{found['made']:,} records made, {lost:,} are missing in the store.\n"
    )


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
