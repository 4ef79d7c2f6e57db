"""One run of a command that is only looked at: nothing of it stays, its output is kept from the
terminal, and what it leaves running is ended. Called by `optout` and `app.rehearse`.

A new home keeps what a product writes of itself (an id, "told once a day") out of the user's own,
and out of the next run.
"""

import dataclasses
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from app.client.source import ClientError
from app.contract.actions import MOCK
from app.contract.processes import children
from app.escape import plain
from app.report.coverage import Coverage
from app.run import descendants, processes
from app.run.perform import WAIT_SECONDS, Performed, performed
from app.run.stage import FailingHosts
from app.run.stopping import Stop
from app.run.summary import Sent, paths, summed
from app.settings import Settings

_MADE = "telemock-"
_TAIL = 1 << 20  # bytes of the end of the command's output
# Where a home is, besides HOME: they would lead out of the new one.
_HOMES = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")


class Trial(msgspec.Struct, kw_only=True):
    """The outcome of one run. `said` is the last line of the command's output; with `error` it
    cannot be told what was sent."""

    exit_code: int
    sent: list[Sent] = []
    coverage: Coverage | None = None
    error: str = ""
    said: str = ""

    @property
    def told(self) -> list[Sent]:
        """Rows of what went, or would have gone, to a host of a profile."""
        return [row for row in self.sent if row.profile]

    @property
    def others(self) -> list[Sent]:
        """Rows of what went unread to hosts of no profile."""
        return [row for row in self.sent if not row.profile]


class Home:
    """A new home directory, with a directory for temporary files; a copy of `like`, where that is
    given. Removed by `remove`. Raises OSError."""

    def __init__(self, like: Path | None = None) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix=_MADE))
        self.home, self._tmp = self.directory / "home", self.directory / "tmp"
        try:
            self._tmp.mkdir()
            if like is None:
                self.home.mkdir(mode=0o700)
            else:
                shutil.copytree(like, self.home, symlinks=True, ignore=_served)
        except BaseException:
            self.remove()
            raise

    def write(self, files: Mapping[str, str]) -> None:
        """Writes files named `~/…`. Raises OSError."""
        for name, content in files.items():
            path = self.home / name.removeprefix("~/")
            if not path.resolve().is_relative_to(self.home.resolve()):  # by a link of the copy's
                raise OSError(None, "leads out of the new home", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")

    def environ(self, given: Mapping[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in given.items() if name not in _HOMES}
        return kept | {"HOME": str(self.home), "TMPDIR": str(self._tmp)}

    def remove(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)


def _served(directory: str, names: list[str]) -> list[str]:
    """Sockets, pipes and devices: they lead to other programs, and have no copy."""
    kept = (stat.S_ISREG, stat.S_ISDIR, stat.S_ISLNK)
    modes = {name: (Path(directory) / name).lstat().st_mode for name in names}
    return [name for name, mode in modes.items() if not any(is_one(mode) for is_one in kept)]


def tried(
    command: Sequence[str],
    settings: Settings,
    environ: Mapping[str, str],
    *,
    profiles: Sequence[str],
    redirect: bool | None = None,
    wait: float = WAIT_SECONDS,
    verbose: bool = False,
    for_sidecar: Mapping[str, str] | None = None,
    failing: FailingHosts | None = None,
    started: Callable[[int], None] | None = None,
    look: Callable[[Performed, str], None] = lambda found, output: None,
    by_path: bool = False,
    stop: Stop | None = None,
) -> Trial:
    """Runs the command once, in mode mock, with an app and a store of its own; `look` sees the run
    and the end of what the command said, while these are still there. `verbose` shows its output on
    stderr instead. `by_path`: endpoints are paths, and not rules. For the rest see `performed`.
    What the runs say of themselves is in their verdicts. Raises RunError, LocalError, and Stopped
    once a signal of `stop` came: of that run nothing is told."""
    others = children(os.getpid())
    place = Path(tempfile.mkdtemp(prefix=_MADE))
    own = dataclasses.replace(settings, data_given=place / "data", logs_given=place / "logs")
    try:
        with (place / "output").open("w+b") as output, descendants.adopting():
            try:
                with performed(
                    command, own, mode=MOCK, profiles=profiles, redirect=redirect, wait=wait,
                    environ=environ, output=2 if verbose else output.fileno(),
                    for_sidecar=for_sidecar, failing=failing, started=started,
                    say=lambda line: None, stop=stop,
                ) as found:  # fmt: skip
                    if stop:
                        stop.check()
                    output.seek(max(0, output.seek(0, os.SEEK_END) - _TAIL))
                    text = output.read().decode("utf-8", "replace")
                    look(found, text)
                    sent = summed(found.records(), paths()) if by_path else found.rows
            except processes.LocalError:
                if stop:  # who ended us may have ended what was to start, too
                    stop.check()
                raise
            finally:
                descendants.end(others)
    finally:
        with suppress(OSError):
            shutil.rmtree(place)
    said = next((plain(line.strip()) for line in reversed(text.split("\n")) if line.strip()), "")
    error = "" if found.error is None else str(found.error)
    if found.error is not None and not isinstance(found.error, processes.LocalError | ClientError):
        error = f"{type(found.error).__name__}: {error}"
    return Trial(
        exit_code=found.code, sent=list(sent), coverage=found.coverage, error=error, said=said
    )
