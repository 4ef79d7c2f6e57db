"""Puts planted values where only the kernel can: a host name of its own, and files and directories
that the command sees in place of others. All of it ends with the command's processes.

`tried` does it in a process of its own first, and looks whether it took effect: only that is done
for the command, and what the kernel refused is said.
"""

import json
import os
import pwd
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from app.run import transparent


class Override(NamedTuple):
    """One thing to plant. `holds` says whether a program sees it. `target` is the file that it
    replaces, if it does."""

    source: str
    do: Callable[[], None]
    holds: Callable[[], bool]
    target: str = ""


def tried(steps: Sequence[Override]) -> dict[str, str]:
    """The steps that do not work here, by their source, and why."""
    if sys.platform != "linux":
        return {step.source: "it needs Linux" for step in steps}
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            os.write(writer, json.dumps(_try(steps)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    if not said:
        return {step.source: "the trial of it ended early" for step in steps}
    return dict(json.loads(said))


def _try(steps: Sequence[Override]) -> dict[str, str]:
    try:
        enter()
    except OSError as e:
        why = f"this kernel allows no namespaces here ({e.strerror})"
        return {step.source: why for step in steps}
    refused = {}
    for step in steps:
        try:
            step.do()
            if not step.holds():
                refused[step.source] = "programs here do not ask what was changed"
        except (OSError, KeyError) as e:
            refused[step.source] = getattr(e, "strerror", None) or type(e).__name__
    return refused


def enter() -> None:
    """Gives this process mounts and a host name of its own. Raises OSError."""
    transparent.own_mounts()
    os.unshare(os.CLONE_NEWUTS)


def host_name(name: str) -> Override:
    return Override(
        "host name", lambda: socket.sethostname(name), lambda: os.uname().nodename == name
    )


def file(source: str, copy: str, target: str) -> Override:
    """`copy` in place of `target`."""

    def holds() -> bool:
        return Path(copy).read_bytes() == Path(target).read_bytes()

    return Override(source, lambda: transparent.bind(copy, target), holds, target)


def user(name: str, copy: str) -> Override:
    step = file("user", copy, "/etc/passwd")
    return step._replace(holds=lambda: pwd.getpwuid(os.geteuid()).pw_name == name)


def directory(source: str, real: str, target: str) -> Override:
    """The real directory at another path, too."""
    return Override(
        source, lambda: transparent.bind(real, target), lambda: Path(real).samefile(target)
    )


def working(root: str, path: str) -> Override:
    """The whole tree of files below `root`, and the working directory in that: so its parents are
    above it as they were."""

    def move() -> None:
        transparent.bind("/", root, whole=True)
        os.chdir(root + path)

    return Override("working directory", move, lambda: str(Path.cwd()) == root + path)


def become(steps: Sequence[Override]) -> None:
    """In the command's process, between fork and exec. Raises OSError."""
    if steps:
        enter()
    for step in steps:
        try:
            step.do()
        except FileNotFoundError:
            if not step.target or Path(step.target).exists():
                raise  # else a network interface is gone meanwhile, and its file with it
