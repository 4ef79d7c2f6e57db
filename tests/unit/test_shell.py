"""Shell: each script, and each part of another file that a shell runs, as shellcheck reads it."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SHEBANG = re.compile(rb"#!.*\b(ba|da)?sh\b")
# What a Dockerfile's RUN says to the builder, and not to the shell.
FLAG = re.compile(r"^(--\S+\s+(\\\n\s*)?)+")


def files() -> Iterator[Path]:
    """All but what begins with a dot, for that is no source, save for the folder of CI's script."""
    for path in (*ROOT.iterdir(), *(ROOT / ".ci").iterdir()):
        if path.is_dir() and not path.name.startswith("."):
            yield from (p for p in path.rglob("*") if p.is_file() and not p.is_symlink())
        elif path.is_file():
            yield path


def parts() -> dict[str, tuple[str, str]]:
    """By name: which shell, and what it runs."""
    found = {}
    for path in files():
        name = path.relative_to(ROOT).as_posix()
        with path.open("rb") as file:
            if SHEBANG.match(file.read(64)):
                found[name] = ("", path.read_text())
    action = read("ci/action.yml")
    for number, step in enumerate(action["runs"]["steps"]):
        if "run" in step:
            found[f"ci/action.yml {number}"] = (step["shell"], step["run"])
    job = read("ci/gitlab.yml")[".telemock-gate"]
    found["ci/gitlab.yml"] = ("sh", "\n".join([*job["before_script"], *job["script"]]))
    for name, service in read("docker-compose.yml")["services"].items():
        if (command := service.get("command", [""]))[0] == "/bin/sh":
            found[f"docker-compose.yml {name}"] = ("sh", command[-1].replace("$$", "$"))
    for path in (ROOT / "images").glob("*.Dockerfile"):
        text = re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE)
        for number, run in enumerate(re.findall(r"^RUN ((?:.*\\\n)*.*)$", text, re.MULTILINE)):
            found[f"images/{path.name} {number}"] = ("sh", FLAG.sub("", run))
    return found


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text())


PARTS = parts()


def test_the_parts_are_found() -> None:
    places = {name.partition(" ")[0] for name in PARTS}
    assert places >= {
        ".ci/run", "ci/gate.sh", "ci/action.yml", "ci/gitlab.yml", "docker-compose.yml",
        "images/app.Dockerfile", "images/sidecar.Dockerfile",
    }  # fmt: skip


@pytest.mark.parametrize("name", PARTS)
def test_no_shell_has_a_fault_that_shellcheck_knows(name: str) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("needs shellcheck in PATH: apt-get install shellcheck")
    shell, text = PARTS[name]
    command = ["shellcheck", *([f"--shell={shell}"] if shell else []), "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
