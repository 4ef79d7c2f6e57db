"""The commands of `telemock`, from their declarations, with arguments that are right: a command
that is added falls under every test of the command line by itself."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from app.cli.root import command
from app.profiles.read import BUILT_IN

TELEMOCK = [sys.executable, "-P", "-m", "app.cli"]
CONTRACT = str(Path(__file__).parent / "contract.yaml")
STATEMENT = str(Path(__file__).parent / "statement.json")
# What a required argument may be, by its name; a command that has another one needs a line here.
SAMPLES = {
    "id": ["00000000-1"],
    "url": ["https://cdn.cribl.io/telemetry/"],
    "sources": ["cribl"],
    "name": ["cribl"],
    "file": [str(BUILT_IN / "cribl.yaml")],
    "changes show id": ["1"],
    "changes class id": ["1"],
    "changes class name_of_class": ["licence"],
    "command": ["--", "true"],
    "contract check file": [CONTRACT],
    "statement verify file": [STATEMENT],
    "contract diff one": [CONTRACT],
    "contract diff other": ["4.16.1"],
    "product": ["calico"],  # has no switch that takes runs
}
# Arguments and options without which a command does nothing.
OPTIONS = {
    "inject": ["--values", "leader"],
    "rehearse": ["--profile", "cribl", "--", "true"],
    "captures tail": ["-F"],
    **{f"changes {verb}": ["1"] for verb in ("accept", "watch", "object", "reopen")},
}
SERVERS = {"serve", "proxy", "injector"}  # they read all settings, and end when they are told to
CLUSTER = {"status", "injector"}


class Sample(NamedTuple):
    name: str
    arguments: list[str]
    has_json: bool
    has_server: bool

    def __str__(self) -> str:
        return self.name


def every() -> list[Sample]:
    return list(_below(command(), []))


def _below(at: Any, path: list[str]) -> Iterator[Sample]:
    if hasattr(at, "commands"):
        for name, inner in at.commands.items():
            yield from _below(inner, [*path, name])
        return
    name = " ".join(path)
    needed = [p for p in at.params if p.required and p.param_type_name == "argument"]
    options = {option for p in at.params for option in p.opts}
    given = [*OPTIONS.get(name, []), *(word for p in needed for word in _sample(name, p.name))]
    yield Sample(name, [*path, *given], "--json" in options, "--server" in options)


def _sample(command: str, parameter: str) -> list[str]:
    return SAMPLES.get(f"{command} {parameter}") or SAMPLES[parameter]


def groups() -> list[str]:
    return ["", *(n for n, inner in command().commands.items() if hasattr(inner, "commands"))]


def bare(folder: Path, **environ: str) -> dict[str, str]:
    """An environment with nothing in it that is telemock's, and a home of its own."""
    kept = {n: os.environ[n] for n in ("PATH", "LANG", "LC_ALL") if n in os.environ}
    root = str(Path(__file__).parents[1])
    return {**kept, "HOME": str(folder), "KUBECONFIG": "/none", "PYTHONPATH": root, **environ}


def run(
    arguments: list[str],
    folder: Path,
    *,
    before: tuple[str, ...] = (),
    environ: Mapping[str, str] | None = None,
    **popen: Any,
) -> subprocess.CompletedProcess[str]:
    outputs = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
    return subprocess.run(
        [*before, *TELEMOCK, *arguments],
        cwd=folder,
        env=bare(folder, **(environ or {})),
        text=True,
        timeout=100,
        check=False,
        **{**outputs, **popen},
    )


def check(done: subprocess.CompletedProcess[str], sample: Sample, with_json: bool = False) -> None:
    """What holds for every end of every command."""
    said = f"{sample}: {done.returncode}: {done.stderr}"
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr, said
    assert 0 <= done.returncode < 128, said
    if done.returncode and not _is_an_answer(done):
        assert re.search(r"^error: \S.*\n(.+\n)*\nhint: \S", done.stderr, re.MULTILINE), said
        if with_json:
            told = json.loads(done.stdout)
            assert set(told) == {"error", "hint"} and told["error"] and told["hint"], said
            assert f"error: {told['error']}" in done.stderr
        else:
            assert done.stdout == "" or sample.name in SERVERS, said


def _is_an_answer(done: subprocess.CompletedProcess[str]) -> bool:
    """Exit code 1 says too that nothing matched, as with grep."""
    return done.returncode == 1 and done.stderr == "" and done.stdout != ""
