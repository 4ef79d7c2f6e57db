"""Checks the draft of a profile that somebody pasted, as `telemock rules check` checks a file.

`checked` is called by the page. The check runs in a process of its own, under limits of the kernel:
it may take its time without delaying an answer of the mock, and what it needs ends with it. Nothing
of the draft is stored.
"""

import asyncio
import contextlib
import os
import resource
import sys
from typing import NamedTuple

import msgspec

from app.contract.rules import Profile

LONGEST = 48 << 10  # characters of a draft
SECONDS = 10.0
_MEMORY = 512 << 20
_AT_A_TIME = asyncio.Semaphore(2)
_LABEL = "draft"
_PASSED_ON = ("PYTHON", "PATH", "LD_", "DYLD_", "LANG", "LC_")  # variables that it gets


class Wrong(NamedTuple):
    """One problem: where in the draft, what, and the remedy."""

    where: str
    message: str
    hint: str


class CheckedDraft(msgspec.Struct):
    """`profile` is the compiled one, None with problems."""

    problems: list[Wrong] = []
    profile: Profile | None = None


async def checked(text: str) -> CheckedDraft:
    """Never raises for what the draft says."""
    if len(text) > LONGEST:
        return _refused(
            f"has {len(text):,} characters, the limit here is {LONGEST:,}",
            "check the file by `telemock rules check`",
        )
    async with _AT_A_TIME:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", __name__,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={n: v for n, v in os.environ.items() if n.startswith(_PASSED_ON)},
        )  # fmt: skip
        try:
            async with asyncio.timeout(SECONDS):
                answer, _ = await process.communicate(text.encode("utf-8", "replace"))
        except TimeoutError:
            return _refused(
                f"was not read within {SECONDS:g} s", "make it smaller: split it into two profiles"
            )
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    try:
        return msgspec.json.decode(answer, type=CheckedDraft)
    except msgspec.DecodeError:
        return _refused("needed more memory or time than a check may", "split it into two profiles")


def _refused(message: str, hint: str) -> CheckedDraft:
    return CheckedDraft([Wrong("", message, hint)])


def check(data: bytes) -> CheckedDraft:
    from app.profiles.compile import compiled_draft
    from app.profiles.problems import ProfileError

    try:
        return CheckedDraft(profile=compiled_draft(data, _LABEL))
    except ProfileError as e:
        return CheckedDraft([Wrong(p.where, p.message, p.hint) for p in e.problems])


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (int(SECONDS), int(SECONDS)))
    if sys.platform == "linux":  # macOS enforces no such limit
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    found = check(sys.stdin.buffer.read(4 * LONGEST))
    sys.stdout.buffer.write(msgspec.json.encode(found))


if __name__ == "__main__":
    main()
