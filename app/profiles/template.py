"""Renders templates of answers in processes of their own (`app.profiles.sandbox`), which bound
output, time and memory.

Called by `app.mock.mock`, and by `app.profiles` for a check. The first answer that needs one starts
the processes.
"""

import asyncio
import atexit
import contextlib
import os
import pickle
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from jinja2 import TemplateError

from app.profiles import sandbox
from app.profiles.sandbox import OUTPUT_CAP, SECONDS

__all__ = ["OUTPUT_CAP", "SECONDS", "TemplateFailed", "check", "close", "render", "rendered"]

WORKERS = 2  # processes: if a template blocks one, the other serves the rest
REST_S = 5.0  # pause of a template that ran out of time or memory
_START_S = 20.0
_WAITING = 64  # answers that wait for a process
_PASSED_ON = ("PYTHON", "LD_", "DYLD_", "LANG", "LC_")  # variables that they get


class TemplateFailed(Exception):
    """The text names the fault without quoting the request; `again` if it was not even tried."""

    again = False


class _Rests(TemplateFailed):
    again = True


class _Lost(Exception):
    """The process ended, or was killed because it took too long."""


class _Worker:
    def __init__(self) -> None:
        ours, its = socket.socketpair()
        self._socket = ours
        with its:
            self._process = subprocess.Popen(  # noqa: S603 - ourselves
                [sys.executable, "-P", sandbox.__file__],
                stdin=its.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={n: v for n, v in os.environ.items() if n.startswith(_PASSED_ON)},
            )
        self._answer(_START_S)

    def ask(self, request: bytes) -> bytes:
        """Renders one request. Raises _Lost; the worker is unusable then."""
        try:
            self._socket.settimeout(SECONDS)
            self._socket.sendall(sandbox.FRAME.pack(len(request)) + request)
        except OSError:
            self.end()
            raise _Lost from None
        return self._answer(SECONDS)

    def _answer(self, seconds: float) -> bytes:
        try:
            self._socket.settimeout(seconds)
            if answer := sandbox.receive(self._socket):
                return answer
        except OSError:
            pass
        self.end()
        raise _Lost

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        self._socket.close()
        self._process.kill()
        self._process.wait()


class RendererPool:
    """Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._free = threading.BoundedSemaphore(WORKERS)
        self._suspect = threading.Lock()
        self._resting: dict[str, tuple[float, str]] = {}

    def render(self, source: str, values: Mapping[str, Any], html: bool) -> bytes:
        self.look(source)
        with contextlib.ExitStack() as taken:
            if known := self._resting.get(source):  # all suspect templates share one process
                if not self._suspect.acquire(blocking=False):
                    raise _Rests(known[1])
                taken.callback(self._suspect.release)
            if not self._free.acquire(timeout=2 * SECONDS):
                raise TemplateFailed("other templates took too long")
            taken.callback(self._free.release)
            try:
                answer = self._ask(pickle.dumps((source, dict(values), html)))
            except _Lost:
                raise self._rest(source, f"it ran longer than {SECONDS:g} s") from None
        text = answer[1:]
        if answer[:1] == sandbox.OK:
            return text
        if text.startswith(sandbox.NEEDED):
            raise self._rest(source, text.decode())
        raise TemplateFailed(text.decode("utf-8", "replace"))

    def _ask(self, request: bytes) -> bytes:
        with self._lock:
            worker = self._idle.pop() if self._idle else None
        if worker is None or not worker.alive:
            if worker:
                worker.end()
            try:
                worker = _Worker()
            except (OSError, _Lost):
                raise TemplateFailed("its process did not start") from None
        answer = worker.ask(request)
        if answer[1:].startswith(sandbox.NEEDED):
            worker.end()  # it exits by itself, but maybe after the next request would reach it
            return answer
        with self._lock:
            self._idle.append(worker)
        return answer

    def look(self, source: str) -> None:
        """Raises TemplateFailed while the template is paused."""
        until, why = self._resting.get(source, (0.0, ""))
        if time.monotonic() < until:
            raise _Rests(why)

    def _rest(self, source: str, why: str) -> TemplateFailed:
        with self._lock:
            if len(self._resting) >= _WAITING:
                self._resting.clear()
            self._resting[source] = time.monotonic() + REST_S, why
        return TemplateFailed(why)

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.end()


_pool = RendererPool()
# Own threads: a template that blocks must not block the store or the intake.
_threads = ThreadPoolExecutor(WORKERS, "telemock-template")
_waiting = 0
atexit.register(_pool.close)


def check(source: str) -> None:
    """Checks a template for the compiler of profiles; evaluates nothing. Raises ValueError with
    line and fault."""
    try:
        sandbox.compiled(source, False)
    except TemplateError as e:
        raise ValueError(f"line {getattr(e, 'lineno', 1)}: {e.message}") from None
    except (RecursionError, SyntaxError, MemoryError):  # Python's, for Jinja's generated code
        raise ValueError("it is nested too deeply") from None


def render(source: str, values: Mapping[str, Any], *, html: bool) -> bytes:
    """Renders the text, in up to a few seconds. Raises TemplateFailed."""
    return _pool.render(source, values, html)


async def rendered(source: str, values: Mapping[str, Any], *, html: bool) -> bytes:
    """`render` for the event loop."""
    global _waiting
    _pool.look(source)
    if _waiting >= _WAITING:
        raise TemplateFailed("too many answers wait for theirs")
    _waiting += 1
    try:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(_threads, _pool.render, source, values, html)
    finally:
        _waiting -= 1


def close() -> None:
    """Ends idle processes; the next answer starts another."""
    _pool.close()
