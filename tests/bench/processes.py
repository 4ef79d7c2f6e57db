"""Processes of the bench: where they run, when they are ready, what they cost."""

import contextlib
import itertools
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from app.contract.names import SIDECAR_UID
from tests.bench.lab import BenchError, Lab

PATIENCE_S = 30.0
_TICKS = os.sysconf("SC_CLK_TCK")
_LISTENS = "0A"  # /proc/net/tcp's word for it

# As the sidecar in a pod, but for one capability: to read a Python that lies in a home directory.
_AS_SIDECAR = [
    "setpriv", f"--reuid={SIDECAR_UID}", f"--regid={SIDECAR_UID}", "--clear-groups",
    "--inh-caps=-all,+dac_read_search", "--ambient-caps=+dac_read_search",
]  # fmt: skip


def processors() -> tuple[int, int]:
    """One for the proxy that is measured, one for everything else."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise BenchError("the bench needs two processors: one is for what is measured alone")
    return usable[0], usable[1]


class Process:
    """A program with its children. `output` takes what it prints."""

    def __init__(
        self,
        lab: Lab,
        place: str,
        command: Iterable[object],
        output: Path,
        *,
        environ: Mapping[str, str] | None = None,
        processor: int | None = None,
        as_sidecar: bool = False,
    ) -> None:
        words = lab.within(place)
        if processor is not None:
            words += ["taskset", "--cpu-list", str(processor)]
        words += [*(_AS_SIDECAR if as_sidecar else []), *map(str, command)]
        self.output, self._words = output, words
        self.begun = time.monotonic()
        with output.open("ab") as out:
            self._popen = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=lab.folder,
                env={**os.environ, **(_byte_code(lab) if as_sidecar else {}), **(environ or {})},
                start_new_session=True,
            )
        self.pid = self._popen.pid

    def until(self, ready: Callable[[], bool]) -> float:
        """Seconds from the start until it holds. Raises BenchError with what the program said."""
        while not ready():
            if self._popen.poll() is not None or time.monotonic() > self.begun + PATIENCE_S:
                said = self.output.read_text(errors="replace")[-2000:]
                raise BenchError(f"{' '.join(self._words)} did not get ready\n\n{said}")
            time.sleep(0.005)
        return time.monotonic() - self.begun

    def listens(self, port: int, address: str = "") -> bool:
        """True if a process in its network namespace listens there; sends no packet to find out."""
        numbers = "".join(f"{int(x):02X}" for x in reversed(address.split(".") if address else ()))
        wanted = re.compile(rf" {numbers or '[0-9A-F]+'}:{port:04X} \S+ {_LISTENS} ")
        for name in ("tcp", "tcp6"):
            with contextlib.suppress(OSError):
                if wanted.search(Path(f"/proc/{self.pid}/net/{name}").read_text()):
                    return True
        return False

    def cpu_s(self) -> float:
        """User and system time of it and its children so far."""
        return sum(map(_cpu_s, _tree(self.pid)))

    def resident_mib(self) -> float:
        return sum(map(_resident_mib, _tree(self.pid)))

    def stop(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(15)
                return


class Started(NamedTuple):
    """A running proxy. `health` asks a telemock for its own word; others have none."""

    process: Process
    ready_s: float
    health: Callable[[], dict[str, Any]] | None = None

    @property
    def drained(self) -> bool:
        """True if nothing waits for the app any more."""
        if self.health is None:
            return True
        shipper = self.health()["shipper"]
        return not shipper["queued"] and not shipper["spool_records"]


def _byte_code(lab: Lab) -> dict[str, str]:
    """Written at the first start of each program, read at the others, as from an image."""
    return {"PYTHONPYCACHEPREFIX": str(lab.bytecode), "PYTHONDONTWRITEBYTECODE": ""}


_numbers = itertools.count()


def own_folder(lab: Lab, name: str) -> Path:
    """A new one for each start, which a proxy's user may write."""
    made = lab.folder / f"{name}-{next(_numbers)}"
    made.mkdir()
    os.chown(made, SIDECAR_UID, SIDECAR_UID)
    return made


def _tree(pid: int) -> list[int]:
    found = [pid]
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += _tree(int(child))
    return found


def _cpu_s(pid: int) -> float:
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / _TICKS  # with children that have ended
    return 0.0


def _resident_mib(pid: int) -> float:
    with contextlib.suppress(OSError):
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
        return int(found[1]) / 1024 if found else 0.0
    return 0.0
