"""The pytest plugin: `pytest --telemock` and the fixture `telemock`. Loaded by pytest in every
environment that has telemock.

It imports nothing of ours, whose package is called `app`, as many projects' own is: commands run by
the command line, in processes of their own.
"""

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, Any

import pytest

_TELEMOCK = (sys.executable, "-P", "-m", "app.cli")
_DOCUMENT = '{"exit_code":'  # within JSON's own texts quotes are escaped
_NOT_PASSED_ON = "PYTEST_"  # products look at these, and send nothing then
_PATIENCE_S = 60.0  # for a run that was told to end
_SHOWN = 20  # rows of an assertion's message


@dataclass
class Ran:
    """One run of a command. `sent` are rows as `telemock run --json` has them; `output` is the
    command's standard output, `errors` its standard error with telemock's lines."""

    command: list[str]
    exit_code: int
    output: str
    errors: str
    sent: list[dict[str, Any]]
    complete: bool
    verdict: str


@dataclass
class Telemock:
    """What the commands of one test sent. Each of its checks looks at all runs so far."""

    folder: Path = field(repr=False)
    profiles: Sequence[str] = field(default=(), repr=False)
    runs: list[Ran] = field(default_factory=list, repr=False)

    def run(
        self,
        command: str | Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        profiles: Sequence[str] = (),
        mode: str = "mock",
        wait: float = 10,
        timeout: float | None = None,
    ) -> Ran:
        """Runs the command to its end, as `telemock run` does: text is split as by a shell, and no
        shell runs. `env` is added to the environment. Fails if it does not end in `timeout`
        seconds, or if what it sent cannot be told."""
        words = shlex.split(command) if isinstance(command, str) else [*command]
        arguments = ["run", "--json", "--mode", mode, "--wait", str(wait)]
        for profile in profiles or self.profiles:
            arguments += ["--profile", profile]
        with (
            (self.folder / "output").open("wb") as out,
            (self.folder / "errors").open("wb") as errors,
        ):
            # Files: what the command leaves running would hold a pipe open.
            process = self._start([*arguments, "--", *words], env, cwd, out, errors)
            late = not _ends(process, timeout)
        said, told_beside = self._said("output"), self._said("errors")
        if late:
            pytest.fail(f"{shlex.join(words)}: not ended after {timeout:g} s\n{told_beside}")
        at = said.rfind(_DOCUMENT)
        told: dict[str, Any] = json.loads(said[at:]) if at >= 0 else {"error": told_beside.strip()}
        if "sent" not in told:
            pytest.fail(f"{shlex.join(words)}: {told['error']}")
        ran = Ran(
            command=words, exit_code=told["exit_code"], output=said[:at], errors=told_beside,
            sent=told["sent"], complete=told["coverage"]["complete"],
            verdict=told["coverage"]["verdict"],
        )  # fmt: skip
        self.runs.append(ran)
        return ran

    def sent(
        self,
        *,
        host: str = "*",
        path: str = "*",
        method: str = "*",
        profile: str = "*",
        count: int | None = None,
    ) -> list[dict[str, Any]]:
        """Fails unless something of this kind was sent, `count` times where that is given. Each is
        a pattern with * and ?; `path` is the endpoint as reports name it."""
        __tracebackhide__ = True
        asked = {"host": host, "endpoint": path, "method": method, "profile": profile}
        found = self._like(asked)
        times = sum(row["count"] for row in found)
        if count is None and not found:
            pytest.fail(f"{_words(asked, 'nothing')} was sent\n{self._told()}")
        if count is not None and times != count:
            said = f"{_words(asked, 'something')} was sent {_times(times)}, not {_times(count)}"
            pytest.fail(f"{said}\n{self._told()}")
        return found

    def never_sent(
        self, *, host: str = "*", path: str = "*", method: str = "*", profile: str = "*"
    ) -> None:
        """Fails if something of this kind was sent, or if coverage was not complete, so that it is
        not known. Without a pattern anything counts, unread connections too; `profile="?*"` are
        hosts of any profile."""
        __tracebackhide__ = True
        asked = {"host": host, "endpoint": path, "method": method, "profile": profile}
        if not self.runs:
            pytest.fail("nothing was run, so that nothing was sent says nothing")
        if found := self._like(asked):
            times = sum(row["count"] for row in found)
            pytest.fail(f"{_words(asked, 'something')} was sent: {_times(times)}\n{self._told()}")
        self._is_complete(f"whether {_words(asked, 'something')} was sent")

    def matches(self, contract: str | os.PathLike[str]) -> None:
        """Fails if what was sent violates the contract (`telemock contract freeze` writes one), or
        if coverage was not complete."""
        __tracebackhide__ = True
        file = Path(contract).absolute()
        with (self.folder / "checked").open("wb") as out:
            process = self._start(["contract", "check", str(file)], None, None, out, out)
            process.wait()
        if process.returncode:
            pytest.fail(f"{file.name}:\n{self._said('checked')}")
        self._is_complete(f"whether {file.name} holds")

    def _is_complete(self, what: str) -> None:
        __tracebackhide__ = True
        for run in self.runs:
            if not run.complete:
                pytest.fail(f"{what} is not known: {shlex.join(run.command)}: {run.verdict}")

    def _like(self, asked: Mapping[str, str]) -> list[dict[str, Any]]:
        rows = (row for run in self.runs for row in run.sent)
        return [
            row for row in rows
            if all(fnmatchcase(row.get(name, ""), pattern) for name, pattern in asked.items())
        ]  # fmt: skip

    def _told(self) -> str:
        rows = [row for run in self.runs for row in run.sent]
        lines = [
            f"  {_times(row['count'])}: {row['method']} {row['host']}{row['endpoint']} "
            f"({row['outcome']}{', of no profile' if not row.get('profile') else ''})"
            for row in rows[:_SHOWN]
        ]
        more = [f"  and {len(rows) - _SHOWN} more"] if len(rows) > _SHOWN else []
        runs = [f"  {shlex.join(run.command)}: {run.verdict}" for run in self.runs]
        shown = [line.encode("unicode_escape").decode() for line in (*lines, *more, *runs)]
        return "\n".join(["of what was seen:" if rows else "nothing was seen:", *shown])

    def _said(self, name: str) -> str:
        return (self.folder / name).read_text("utf-8", "replace")

    def _start(
        self,
        arguments: Sequence[str],
        env: Mapping[str, str] | None,
        cwd: str | os.PathLike[str] | None,
        out: IO[bytes],
        errors: IO[bytes],
    ) -> "subprocess.Popen[bytes]":
        kept = {n: v for n, v in os.environ.items() if not n.startswith(_NOT_PASSED_ON)}
        ours = {
            "TELEMOCK_DATA": str(self.folder / "data"),
            "TELEMOCK_LOGS": str(self.folder / "logs"),
        }
        return subprocess.Popen(  # noqa: S603 - what the test asks for
            [*_TELEMOCK, *arguments],
            env={**kept, **(env or {}), **ours},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
        )


def _ends(process: "subprocess.Popen[bytes]", timeout: float | None) -> bool:
    """Waits for it; past the time it is told to end, and so tells the command."""
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        process.wait(_PATIENCE_S)
        return False
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    return True


def _words(asked: Mapping[str, str], what: str) -> str:
    given = [f"{name} {pattern}" for name, pattern in asked.items() if pattern != "*"]
    return f"{what} with {' and '.join(given)}" if given else what


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("telemock", "what commands send home")
    group.addoption(
        "--telemock", action="store_true", help="Run the tests that use the fixture `telemock`."
    )
    parser.addini(
        "telemock_profiles", type="args", default=[],
        help="Profiles (names and files) of the commands that tests run; by default telemock's.",
    )  # fmt: skip


@pytest.fixture
def telemock(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Telemock]:
    """Runs commands, and tells what they sent."""
    if not request.config.getoption("--telemock"):
        pytest.skip("it runs commands through telemock: pytest --telemock")
    root = request.config.rootpath
    names = request.config.getini("telemock_profiles")
    profiles = [str(root / name) if (root / name).exists() else name for name in names]
    yield Telemock(tmp_path_factory.mktemp("telemock"), profiles)
