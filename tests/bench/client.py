"""The application's side of a measurement: load generators in the pod, and what they say."""

import json
import re
import subprocess
import sys
from typing import NamedTuple

from tests.bench.lab import BenchError, Lab, tool
from tests.bench.samples import tell

_A_SECOND = {"us": 1e6, "ms": 1e3, "s": 1, "m": 1 / 60}


class Load(NamedTuple):
    """What one load generator counted; `said` is its own words."""

    operations: float
    seconds: float
    p50_ms: float
    said: str

    @property
    def rate(self) -> float:
        return self.operations / self.seconds


def generator() -> str:
    return "wrk" if tool("wrk") else "tests/bench/load.py"


def http(
    lab: Lab,
    url: str,
    *,
    connections: int,
    seconds: float,
    close: bool = False,
    processor: int | None = None,
) -> Load:
    """GET again and again. Raises BenchError when an answer is not a success: a benchmark of
    refusals says nothing. On a machine so busy that nothing is answered it asks longer."""
    for longer in (1, 3):
        try:
            return _http(lab, url, connections, seconds * longer, close, processor)
        except BenchError as e:
            tell(f"again, for longer: {str(e).splitlines()[0]}")
    return _http(lab, url, connections, seconds * 10, close, processor)


def _http(
    lab: Lab, url: str, connections: int, seconds: float, close: bool, processor: int | None
) -> Load:
    if tool("wrk"):
        command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency"]
        command += ["-H", "Connection: close"] if close else []
        return of_wrk(_run(lab, [*command, url], processor))
    command = [sys.executable, "-m", "tests.bench.load", url, "--seconds", str(seconds)]
    command += ["--connections", str(connections), *(["--close"] if close else [])]
    return of_ours(_run(lab, command, processor))


def of_ours(said: str) -> Load:
    found = json.loads(said)
    if not found["requests"] or found["errors"] > found["requests"] * 0.01:
        raise BenchError(f"requests were not answered: {said}")
    return Load(found["requests"], found["seconds"], found["p50_ms"], said)


def of_wrk(said: str) -> Load:
    """Connections that end without a TLS goodbye count as read errors of wrk's, and as answered."""
    total = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m),", said)
    median = re.search(r"50%\s+([\d.]+)(us|ms|s|m)", said)
    if total is None or median is None or not int(total[1]) or "Non-2xx" in said:
        raise BenchError(f"requests were not answered\n\n{said}")
    seconds = float(total[2]) / _A_SECOND[total[3]]
    return Load(int(total[1]), seconds, float(median[1]) * 1000 / _A_SECOND[median[2]], said)


def push(lab: Lab, host: str, port: int, *, streams: int, seconds: float) -> Load:
    """Bulk: operations are bytes."""
    command = [sys.executable, "-m", "tests.bench.bulk", "push", host, port, streams, seconds]
    said = _run(lab, list(map(str, command)), None)
    found = json.loads(said)
    return Load(found["bytes"], found["seconds"], 0.0, said)


def _run(lab: Lab, command: list[str], processor: int | None) -> str:
    pinned = [] if processor is None else ["taskset", "--cpu-list", str(processor)]
    words = [*lab.within("pod"), *pinned, *command]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        raise BenchError(f"{' '.join(command)} did not end") from None
    if done.returncode:
        raise BenchError(f"{' '.join(command)}: {done.stderr.strip()[-1000:]}")
    return done.stdout
