"""Runs the app and the sidecar as child processes, for `telemock run` and `telemock demo`.

A child has its own process group, so that Ctrl-C reaches the command and not the sidecar, and ends
with its parent, however that ends, unless it was told to stay.
"""

import ctypes
import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from app import environment
from app.client.running import get
from app.contract import names
from app.contract.files import PRIVATE_DIR, private
from app.contract.rules import Profile, load
from app.escape import plain

# -P: a module of ours, not one of that name in the working directory.
PYTHON = (sys.executable, "-P", "-m")
START_SECONDS = 30.0
FLUSH_SECONDS = 5  # time of a sidecar to end its exchanges, and again to flush its spool
STOP_SECONDS = 2 * FLUSH_SECONDS + 5.0
_PR_SET_PDEATHSIG = 1
_LAST = 8000  # bytes of what a child said that hold its last sentence
_TRIES = 5  # attempts, on ports that were free a moment before
# In the words of app and sidecar.
_PORT_TAKEN = re.compile(r"\bport \d+ on \S+ is in use|to a free port|listens on \S+ already")
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class LocalError(Exception):
    """A child did not start. The text is meant for people, whole."""


class Child:
    """A child process. `console` is the file that takes its stderr (and stdout, unless given)."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environ: Mapping[str, str],
        console: Path,
        stdout: int | None = None,
        stay: bool = False,
    ) -> None:
        self.name = name
        self.console = console
        console.parent.mkdir(parents=True, exist_ok=True, mode=PRIVATE_DIR)
        with open(console, "wb", opener=private) as file:
            self._process = subprocess.Popen(  # noqa: S603
                command,
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=file if stdout is None else stdout,
                stderr=file,
                process_group=0,
                umask=0o077,
                preexec_fn=None if stay else _end_with(os.getpid()),
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def wait(self, ready: Callable[[], bool]) -> None:
        """Waits until `ready()`. If the child ends first, or is not ready in START_SECONDS, stops
        it and raises LocalError with its last lines."""
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            code = self._process.poll()
            late = time.monotonic() > deadline
            if code is not None or late:
                self.stop()
                what = (
                    f"was not ready after {START_SECONDS:.0f} s" if late else f"ended with {code}"
                )
                if said := self._error():
                    raise LocalError(f"{self.name}: {said}")
                raise LocalError(
                    f"{self.name} {what}\n\n{self._tail()}hint: all it said is in {self.console}"
                )
            time.sleep(0.02)

    def stop(self) -> None:
        """Sends SIGTERM, and SIGKILL after STOP_SECONDS. Idempotent."""
        if self.ended:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _error(self) -> str:
        """The sentence that it ended with, and its hint."""
        said = self.console.read_bytes()[-_LAST:].decode("utf-8", "replace")
        _, found, text = f"\n{said}".rpartition("\nerror: ")
        return text.strip() if found else ""

    def _tail(self) -> str:
        lines = self.console.read_bytes()[-2000:].decode("utf-8", "replace").splitlines()[-8:]
        return "".join(f"  {plain(line)}\n" for line in lines) + "\n" if lines else ""


def _end_with(parent: int) -> Callable[[], None]:
    """Makes the kernel end a child with its parent (Linux); runs between fork and exec."""

    def ask() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:  # the parent ended before the prctl
                os._exit(1)

    return ask


class App:
    """A running app: started by this process (`child`), or found."""

    def __init__(self, url: str, data: Path, child: Child | None) -> None:
        self.url = url
        self.port = urlsplit(url).port or 0
        self.child = child
        self.token = (data / names.FILE_TOKEN).read_text().strip()

    def stop(self) -> None:
        """Stops the app if this process started it."""
        if self.child is not None:
            self.child.stop()

    def answers(self) -> bool:
        return bool(get(self.url + "/ready"))

    def profiles(self) -> tuple[Profile, ...]:
        """The profiles in use. Raises LocalError."""
        asked = {"authorization": f"Bearer {self.token}"}
        found = get(self.url + names.PATH_PROFILES, asked)
        if not found:
            raise LocalError(f"the app does not give its profiles at {self.url}")
        return load(found).rules.profiles


def start_app(
    data: Path,
    logs: Path,
    *,
    environ: Mapping[str, str] | None = None,
    port: int = 0,
    stay: bool = False,
) -> App:
    """Starts the app on a loopback port, by default a free one. Raises LocalError.

    `environ` overrides this process's settings.
    """
    if not port:
        return _on_free_ports(
            lambda: start_app(data, logs, environ=environ, port=free_port(), stay=stay)
        )
    url = f"http://127.0.0.1:{port}"
    child = Child(
        "the app",
        [*PYTHON, "app.cli", "serve"],
        environ={
            **environment.child(),
            **_directories(data, logs),
            **(environ or {}),
            "HOST": "127.0.0.1",
            "PORT": str(port),
        },
        console=logs / "app.console.log",
        stay=stay,
    )
    child.wait(lambda: bool(get(url + "/ready")))
    return App(url, data, child)


class RunningSidecar(NamedTuple):
    """A running sidecar; `proxy` and `health` are URLs, `boot` is the id of this start in all its
    records."""

    child: Child
    proxy: str
    health: str
    boot: str

    def not_taken(self) -> tuple[int, str]:
        """Number of records that the app lacks, and the reason; (0, "") if the sidecar is gone."""
        said = json.loads(get(self.health + "/health") or b"{}").get("shipper", {})
        left = said.get("reserved", 0) - said.get("stored", 0) - said.get("duplicates", 0)
        return max(0, left - sum(said.get("dropped", {}).values())), said.get("app_error", "")


def require_sidecar() -> None:
    """Raises LocalError where the sidecar is not installed."""
    if importlib.util.find_spec("mitmproxy") is None:
        raise LocalError(
            "mitmproxy is not installed in this environment, so there is no sidecar to start\n\n"
            "hint: pip install 'telemock[sidecar]', or make venv"
        )


def start_sidecar(
    data: Path,
    logs: Path,
    app_url: str,
    *,
    environ: Mapping[str, str] | None = None,
    stdout: int | None = subprocess.DEVNULL,
    stay: bool = False,
) -> RunningSidecar:
    """Starts the sidecar as an explicit proxy on a free loopback port. Raises LocalError.

    `stdout` takes its capture lines, None puts them into the console file.
    """
    require_sidecar()

    def start() -> RunningSidecar:
        return _sidecar(data, logs, app_url, environ or {}, stdout, stay)

    return _on_free_ports(start)


def _sidecar(
    data: Path,
    logs: Path,
    app_url: str,
    environ: Mapping[str, str],
    stdout: int | None,
    stay: bool,
) -> RunningSidecar:
    port, health_port = free_port(), free_port()
    health = f"http://127.0.0.1:{health_port}"
    child = Child(
        "the sidecar",
        [*PYTHON, "addon"],
        environ={
            **environment.child(),
            **_directories(data, logs),
            "TELEMOCK_TOKEN_FILE": str(data.absolute() / names.FILE_TOKEN),
            "TELEMOCK_APP_URL": app_url,
            "MITM_HOST": "127.0.0.1",
            "MITM_PORT": str(port),
            "TELEMOCK_HEALTH_HOST": "127.0.0.1",
            "TELEMOCK_HEALTH_PORT": str(health_port),
            "TELEMOCK_SHUTDOWN_SECONDS": str(FLUSH_SECONDS),
            **environ,
        },
        console=logs / "sidecar.console.log",
        stdout=stdout,
        stay=stay,
    )
    found: dict[str, Any] = {}

    def ready() -> bool:
        if not get(health + "/ready"):
            return False
        found.update(json.loads(get(health + "/health") or b"{}"))
        # Before it has the app's profiles it uses the built-in ones.
        return bool(found) and found["profiles"]["source"] == "app"

    child.wait(ready)
    return RunningSidecar(child, f"http://127.0.0.1:{port}", health, found["shipper"]["boot"])


def _directories(data: Path, logs: Path) -> dict[str, str]:
    return {"TELEMOCK_DATA": str(data.absolute()), "TELEMOCK_LOGS": str(logs.absolute())}


def _on_free_ports[T](start: Callable[[], T]) -> T:
    """Starts again if another process took a port between the choice and the start."""
    for _ in range(_TRIES - 1):
        try:
            return start()
        except LocalError as e:
            if not _PORT_TAKEN.search(str(e)):
                raise
    return start()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listened on a moment ago."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])
