"""A sidecar under a container's memory limit, its well-behaved client, and the real hosts."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from app.contract import rules as r
from tests import memory
from tests.attacks.host import HostileHost
from tests.sidecar import HOST, ROOT, Sidecar, authority, rule
from tests.waiting import wait_for

LIMIT = 192 * memory.MIB  # of the sidecar's container, in the pod
SLOWEST_S = 1.0  # that the well-behaved client may wait
DIRECT = "127.0.0.2"
LINES, LINES_AT, LINES_PORT = "lines.example", "127.0.0.3", 61833  # what is no HTTP goes there
PLENTY = b"p" * (256 * 1024)
PATHS = ("hang", "header", "cut", "fields", "interim", "extension", "trailers", "download",
         "websocket", "bomb")  # fmt: skip

RULES = r.Bundle(
    r.RuleSet(
        (
            r.Profile(
                id="cribl",
                title="Cribl",
                hosts=(r.Host(HOST), r.Host("many.example", suffix=True)),
                rules=(
                    rule("index", "/telemetry/index.html"),
                    rule("plenty", "/plenty", answer=r.Answer(body=PLENTY)),
                    rule("body", "/body", match={"body": (r.Value("kind", "equals", "x"),)}),
                    *(rule(path, f"/{path}", "observe") for path in PATHS),
                ),
            ),
            r.Profile(
                id="lines",
                title="Lines",
                hosts=(r.Host(LINES, ports=(LINES_PORT,)),),
                rules=(r.Rule("lines", "mock", decoders=("pairs",)),),
            ),
        ),
        etag="test",
    )
)


class Visit(NamedTuple):
    at: float
    kind: str
    seconds: float
    error: str


class Outcome(NamedTuple):
    """The result of an attack. `exceeded`: connections that each bound ended, by its id."""

    peak: int  # bytes
    slowest: float  # seconds, of an answer of the well-behaved client
    of: str  # its kind
    visits: int
    errors: list[str]
    exceeded: dict[str, int]
    alive: bool


class Lab:
    """`direct` is the address of the sidecar's own listeners, "" where there are none."""

    def __init__(self, directory: Path, group: memory.Group | None, **environ: str) -> None:
        ca, context = authority(directory)
        self.direct = DIRECT if os.environ.get(INSIDE) else ""
        self.host = HostileHost(context)
        self.never = socket.create_server(("127.0.0.1", 0), backlog=0)  # takes no connection
        self.never_filled = [socket.socket() for _ in range(4)]
        for one in self.never_filled:
            one.setblocking(False)
            one.connect_ex(self.never.getsockname())
        told = {
            "TELEMOCK_UPSTREAM_CA": str(ca),
            "TELEMOCK_RESOLVE": f"{HOST}:443=127.0.0.1:{self.host.port},"
            f"other.example:443=127.0.0.1:{self.host.port},"
            f"{HOST}:444=127.0.0.1:{self.never.getsockname()[1]}",
        }
        if self.direct:
            told["TELEMOCK_LOOPBACK"] = f"{DIRECT}={HOST},{LINES_AT}={LINES}"
            told["TELEMOCK_PORTS"] = f"{LINES}:{LINES_PORT}"
        self.sidecar = Sidecar(
            directory / "sidecar", RULES, group.enter if group else None, **told, **environ
        )
        self.pid = self.sidecar.process.pid
        self.visits: list[Visit] = []
        trusted = str(self.sidecar.data / "ca" / "ca.pem")
        self._visitor = subprocess.Popen(
            [sys.executable, "-m", "tests.attacks.visitor", trusted, str(self.sidecar.proxy),
             self.direct],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        wait_for(lambda: len({x.kind for x in self.visits if not x.error}) == 3, 20)

    def _read(self) -> None:
        for line in self._visitor.stdout or ():
            at, kind, seconds, *error = line.split()
            self.visits.append(Visit(float(at), kind, float(seconds), " ".join(error)))

    def exceeded(self) -> dict[str, int]:
        found = re.findall(
            r'telemock_bounds_exceeded_total\{telemock_bound="(\w+)"\} ([0-9.]+)',
            self.sidecar.get("/metrics")[1].decode(),
        )
        return {bound: int(float(number)) for bound, number in found}

    def attacked(self, attack: Callable[["Lab"], None], settle: float = 0.5) -> Outcome:
        """Attacks, and looks how the sidecar and its well-behaved client fare."""
        memory.forget(self.pid)
        before, begin = self.exceeded(), time.monotonic()
        peak = [0]
        over = threading.Event()
        watch = threading.Thread(target=self._watch, args=(peak, over), daemon=True)
        watch.start()
        with contextlib.suppress(OSError):  # an attacker that was shut out
            attack(self)
        seen = len(self.visits)
        enough = begin + settle
        with contextlib.suppress(TimeoutError):  # of each kind one that began after the attack
            wait_for(
                lambda: (
                    time.monotonic() > enough
                    and {x.kind for x in self.visits[seen + 3 :]} == {"kept", "new", "forwarded"}
                )
            )
        over.set()
        watch.join()
        during = [x for x in self.visits if x.at >= begin]
        alive = self.sidecar.process.poll() is None
        if alive:
            peak.append(memory.resident(self.pid, peak=True))
        slowest = max(during, key=lambda x: x.seconds, default=Visit(0, "none", 99.0, ""))
        return Outcome(
            max(peak),
            slowest.seconds,
            slowest.kind,
            len(during),
            [f"{x.kind}: {x.error}" for x in during if x.error],
            {k: v - before.get(k, 0) for k, v in self.exceeded().items() if v > before.get(k, 0)}
            if alive
            else {},
            alive,
        )

    def _watch(self, peak: list[int], over: threading.Event) -> None:
        """Measures the peak where there is no control group."""
        while not over.wait(0.05):
            with contextlib.suppress(OSError, IndexError):
                peak[0] = max(peak[0], memory.resident(self.pid))

    def close(self) -> None:
        if self._visitor.stdin:
            self._visitor.stdin.close()
        self._visitor.wait(10)
        self._reader.join(10)
        if self._visitor.stdout:
            self._visitor.stdout.close()
        try:
            if self.sidecar.process.poll() is None:
                self.sidecar.stop()
        finally:
            self.host.close()
            for one in (self.never, *self.never_filled):
                one.close()


@contextlib.contextmanager
def lab(directory: Path, **environ: str) -> Iterator[Lab]:
    with memory.group(LIMIT) as group:
        made = Lab(directory, group, **environ)
        try:
            yield made
        finally:
            made.close()


INSIDE = "TELEMOCK_ATTACKS_INSIDE"  # set in a network namespace of our own


def inside(arguments: list[str]) -> list[str] | None:
    """The command that runs this one again in a network namespace, where the ports of telemetry are
    free; None where there is none to be had, or this is one."""
    if os.environ.get(INSIDE) or os.geteuid() != 0 or not shutil.which("unshare"):
        return None
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    if not shutil.which("ip", path=path):
        return None
    probe = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False)
    if probe.returncode:
        return None
    script = f'PATH="{path}"; ip link set lo up; {INSIDE}=1 exec "$@"'
    return ["unshare", "--net", "sh", "-ec", script, "-", sys.executable, *arguments]
