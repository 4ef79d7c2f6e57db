"""A log file: appends whole lines, rotates by size and at the day's end, and never raises to its
writer.

Called by `app.logs.files`, which decides how many rotated files stay. They are named NAME.TIME and
become NAME.TIME.zst in the background.
"""

import errno
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import zstandard

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
_LEVEL = 1  # zstd's level: a third of the time of gzip's, and four fifths of its size
_AT_A_TIME = 64 << 10  # bytes of one write, about


class RotatingFile:
    """Thread-safe. Opened with the first line, and again when somebody moved or removed it."""

    def __init__(
        self, path: Path, *, max_bytes: int, rotated: Callable[[], None] = lambda: None
    ) -> None:
        """`rotated` is called after each rotation, with this file locked."""
        self.path = path
        self.failed = 0  # number of lines that could not be written
        self.error = ""  # reason of the last failed write
        self._max_bytes = max_bytes
        self._after = rotated
        self._lock = threading.Lock()
        self._fd: int | None = None
        self._inode = 0
        self._size = 0
        self._day = 0
        self._torn = False  # the file ends in part of a line that could not be cut off
        self._packing: threading.Thread | None = None

    def append(self, line: bytes) -> bool:
        """Appends `line`, which has no line end. False, and counted, if it could not be written."""
        return not self.append_all([line])

    def append_all(self, lines: Sequence[bytes]) -> int:
        """Appends lines, many in one write, or one by one if that fails. Returns the number of
        lines that could not be written, and counts them."""
        failed = at = 0
        with self._lock:
            while at < len(lines):
                end, size = at, 0
                while end < len(lines) and (end == at or size + len(lines[end]) < _AT_A_TIME):
                    size += len(lines[end])
                    end += 1
                part = lines[at:end]
                if not self._written(part):
                    failed += 1 if len(part) == 1 else sum(not self._written([x]) for x in part)
                at = end
            self.failed += failed
        return failed

    def _written(self, lines: Sequence[bytes]) -> bool:
        try:
            self._append(b"\n".join([*lines, b""]))
        except OSError as e:
            self._failed(e)
            return False
        self.error = ""
        return True

    def turn(self) -> None:
        """Rotates a file whose day is over even if no line came since, and retries failed packing.
        Called once a minute."""
        with self._lock:
            try:
                if self.path.exists():
                    self._open()
                    if self._size and self._day != _day(time.time()):
                        self._rotate()
            except OSError as e:
                self._failed(e)
        if any(p.suffix != ".zst" for p in self.rotated()):
            with self._lock:
                self._start_packing()

    def close(self) -> None:
        """Closes the file and waits for packing. A later line opens the file again."""
        with self._lock:
            self._forget()
            packing = self._packing
        if packing is not None:
            packing.join()

    def rotated(self) -> list[Path]:
        """Rotated files, oldest first, packed or not."""
        return sorted(
            p for p in self.path.parent.glob(f"{self.path.name}.[0-9]*") if p.suffix != ".tmp"
        )

    def _append(self, data: bytes) -> None:
        self._open()
        if self._size and (
            self._size + len(data) > self._max_bytes or self._day != _day(time.time())
        ):
            self._rotate()
            self._open()
        if self._fd is None:
            return
        if self._torn:
            data = b"\n" + data
        written = os.write(self._fd, data)
        self._size += written
        if written < len(data):
            # The disk is full: better no line than half of one.
            self._torn = True
            os.ftruncate(self._fd, self._size - written)
            self._torn = False
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._torn = False

    def _open(self) -> None:
        if self._fd is not None:
            try:
                if self.path.stat().st_ino == self._inode:
                    return
            except FileNotFoundError:
                pass
            self._forget()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(self.path, _FLAGS, 0o666)  # the umask decides who may read
        state = os.fstat(self._fd)
        self._inode, self._size = state.st_ino, state.st_size
        self._day = _day(state.st_mtime if state.st_size else time.time())

    def _failed(self, error: OSError) -> None:
        self._forget()
        self.error = error.strerror or type(error).__name__

    def _forget(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _rotate(self) -> None:
        self._forget()
        while True:
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S.%fZ")
            to = self.path.with_name(f"{self.path.name}.{now}")
            if not to.exists():
                break
        self.path.rename(to)
        self._torn = False
        self._after()
        self._start_packing()

    def _start_packing(self) -> None:
        if self._packing is None or not self._packing.is_alive():
            self._packing = threading.Thread(target=self._pack, name="telemock-pack", daemon=True)
            self._packing.start()

    def _pack(self) -> None:
        """Packs all rotated files, new ones too, at the lowest priority. A file that cannot be
        packed (the disk is full) stays as it is until the next turn."""
        if sys.platform == "linux":  # elsewhere a thread has no priority of its own
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
        tried: set[Path] = set()
        while left := [p for p in self.rotated() if p.suffix != ".zst" and p not in tried]:
            path = left[0]
            tried.add(path)
            packed = path.with_name(path.name + ".zst")
            part = path.with_name(path.name + ".zst.tmp")
            try:
                with path.open("rb") as plain, part.open("wb") as out:
                    state = os.fstat(plain.fileno())
                    packer = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
                    packer.copy_stream(plain, out, size=state.st_size)
                os.utime(part, ns=(state.st_atime_ns, state.st_mtime_ns))  # keep the lines' age
                part.replace(packed)
                try:
                    path.unlink()
                except FileNotFoundError:  # retention deleted it meanwhile
                    packed.unlink()
            except (OSError, zstandard.ZstdError):
                with suppress(OSError):
                    part.unlink(missing_ok=True)


def _day(seconds: float) -> int:
    """The day in UTC."""
    return int(seconds // 86_400)
