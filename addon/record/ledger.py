"""A boot's ledger: the numbers it gave out, the records it lost and how far it is delivered.

`<boot>.lock` in the spool's directory, made and read by `addon.record.spool`. The process that owns
the boot holds its lock (flock) while it lives, and maps it into memory, shared: like the records,
written words survive the process in the page cache, and one costs 50 ns where a system call costs
900 and may wait for the disk. Only file systems that overwrite a page in place are mapped: a full
copy-on-write one would kill the process (SIGBUS). On others the file is written with each group of
records; after a kill the numbers since the last group are unknown.
"""

import fcntl
import mmap
import os
import struct
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

from app.contract.account import LOST, Account

# 64-bit words of this machine: the mark, the last number, which of two states is valid, the states.
# A state is a position (segment, bytes of it that are done) and a count for each reason; the other
# one is written and then made valid, so that a kill leaves one of the two whole.
_MARK = int.from_bytes(b"tmledgr1", "little")
_NUMBERED, _HOLDS, _STATES = 1, 2, 3
_STATE = struct.Struct("=18Q")
_SIZE = 512
_IN_PLACE = frozenset({"ext2", "ext3", "ext4", "xfs", "tmpfs", "overlay"})
_SUFFIX = ".lock"


class Ledger:
    """`reserve` and `lose` from any thread, the rest from one at a time. In memory until `claim`;
    `error` tells why it still is."""

    def __init__(self, boot: str) -> None:
        self.boot = boot
        self.error = ""
        self.numbered = 0
        self.position = (0, 0)  # of the oldest record that waits: number of its segment, and bytes
        self._lost: dict[str, int] = dict.fromkeys(LOST, 0)
        self._words = memoryview(bytearray(_SIZE)).cast("Q")
        self._lock = threading.Lock()
        self._path: Path | None = None
        self._fd = -1
        self._on_disk = False
        self._mapped = False

    @classmethod
    def left(cls, directory: Path, boot: str) -> Self | None:
        """The ledger of a process that is gone; None if it still runs. Raises OSError."""
        ledger = cls(boot)
        if not ledger._lock_file(directory):
            return None
        data = os.pread(ledger._fd, _SIZE, 0)
        if len(data) == _SIZE and memoryview(data).cast("Q")[0] == _MARK:
            ledger._words = memoryview(bytearray(data)).cast("Q")
            ledger.numbered = ledger._words[_NUMBERED]
            segment, done, *counts = _STATE.unpack_from(data, ledger._at(ledger._words[_HOLDS]))
            ledger.position = (segment, done)
            ledger._lost = dict(zip(LOST, counts, strict=False))
            with suppress(OSError):
                ledger._keep(directory)
        return ledger

    def claim(self, directory: Path) -> None:
        """Claims the boot in this directory. Raises OSError if the file cannot be locked; if only
        its content cannot be kept, `error` says so, and the next call tries again."""
        if self._fd < 0:
            self._lock_file(directory)
        if not self._on_disk:
            try:
                if os.pwrite(self._fd, bytes(_SIZE), 0) < _SIZE:  # allocates all of it
                    raise OSError(0, "it was cut")
                self._keep(directory)
                self.error = ""
            except OSError as e:
                self.error = e.strerror or type(e).__name__

    @property
    def says(self) -> bool:
        """True if it has an account for the app: an older version left no numbers."""
        return self.numbered > 0

    def account(self, *, ended: bool) -> Account:
        with self._lock:
            lost = {reason: count for reason, count in self._lost.items() if count}
            return Account(boot=self.boot, numbered=self.numbered, lost=lost, ended=ended)

    def reserve(self) -> int:
        """The next number, from 1."""
        with self._lock:
            self.numbered = self._words[_NUMBERED] = self.numbered + 1
            return self.numbered

    def lose(self, reason: str, number: int) -> None:
        with self._lock:
            self._lost[reason] += number
            self._hold()

    def accept(self, segment: int, done: int, lost: Mapping[str, int]) -> None:
        """Notes that the records up to there are done, and these of them lost: in one step, so that
        records sent again after a kill are not counted again."""
        with self._lock:
            self.position = (segment, done)
            for reason, number in lost.items():
                self._lost[reason] += number
            self._hold()
        self.save()

    def save(self) -> None:
        """Writes the file, unless it is mapped."""
        if self._on_disk and not self._mapped:
            with suppress(OSError):
                os.pwrite(self._fd, self._words, 0)

    def close(self, *, remove: bool) -> None:
        """Releases the boot: `remove` it once all is told, else the next start tells it."""
        if self._fd < 0:
            return
        self.save()
        with self._lock:
            self._words = memoryview(bytearray(self._words)).cast("Q")  # unmaps the file
        if remove and self._path is not None:
            with suppress(OSError):
                self._path.unlink()
        os.close(self._fd)
        self._fd = -1
        self._on_disk = False

    def _lock_file(self, directory: Path) -> bool:
        """False if another process holds it."""
        path = directory / f"{self.boot}{_SUFFIX}"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        except OSError:
            os.close(fd)
            raise
        self._fd, self._path = fd, path
        return True

    def _keep(self, directory: Path) -> None:
        """Keeps it on disk from now on; the file has its full size."""
        self._mapped = _overwrites_in_place(directory)
        if self._mapped:
            words = memoryview(mmap.mmap(self._fd, _SIZE)).cast("Q")
            with self._lock:
                words[:] = self._words
                self._words = words
        self._words[0] = _MARK
        self._on_disk = True
        self.save()

    def _hold(self) -> None:
        state = 1 - self._words[_HOLDS]
        counts = list(self._lost.values())
        counts += [0] * (16 - len(counts))
        _STATE.pack_into(self._words, self._at(state), *self.position, *counts)
        self._words[_HOLDS] = state

    @staticmethod
    def _at(state: int) -> int:
        return 8 * _STATES + (_STATE.size if state else 0)


def boots_in(directory: Path) -> set[str]:
    """Boots with a ledger here, or with the empty lock of an older version."""
    names = (path.name for path in directory.glob(f"*{_SUFFIX}"))
    found = (name.removesuffix(_SUFFIX) for name in names)
    return {boot for boot in found if len(boot) == 32 and not boot.strip("0123456789abcdef")}


def _overwrites_in_place(directory: Path) -> bool:
    device = directory.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return False
    for mount in map(str.split, mounts):
        if mount[2] == wanted:
            return mount[mount.index("-") + 1] in _IN_PLACE
    return False
