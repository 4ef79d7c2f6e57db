"""The repository that a command runs in: its remote, as it is and as it is planted."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from app.contract.canary.spec import Canary
from app.run.canary.facts import REAL

_SECTION = re.compile(r"^\s*\[\s*remote\b.*\]", re.IGNORECASE)
_URL = re.compile(r"^(\s*(?:push)?url\s*=\s*)\S.*$", re.IGNORECASE)
_SCHEME = re.compile(r"^[a-z+]+://(?:[^@/]*@)?|^[^@/:]+@")
_SECONDS = 3.0


def config_of(directory: Path) -> Path | None:
    """The configuration of the repository that the directory is in."""
    for parent in (directory, *directory.parents):
        at = parent / ".git"
        with suppress(OSError, UnicodeError):
            if at.is_file():  # of a worktree, or a submodule
                named = at.read_text().partition("gitdir:")[2].strip()
                at = parent / named
                if (shared := at / "commondir").is_file():
                    at = at / shared.read_text().strip()
            if (at / "config").is_file():
                return (at / "config").resolve()
    return None


def with_remote(config: str, url: str) -> str:
    """The configuration with this URL for each remote, and for `origin` where there is none."""
    lines, within, any_ = [], False, False
    for line in config.splitlines():
        if line.lstrip().startswith("["):
            within = bool(_SECTION.match(line))
        elif within and (found := _URL.match(line)):
            line, any_ = found[1] + url, True
        lines.append(line)
    if not any_:
        lines += ['[remote "origin"]', f"\turl = {url}"]
    return "\n".join(lines) + "\n"


def url_spellings(url: str) -> tuple[str, ...]:
    """As it is, without `.git`, without the scheme, as `host/owner/name`, and the last two."""
    bare = url.removesuffix("/").removesuffix(".git")
    host = _SCHEME.sub("", bare).replace(":", "/", 1)
    return tuple(dict.fromkeys((url, bare, f"{bare}.git", host, "/".join(host.split("/")[-2:]))))


def real(directory: Path) -> Iterator[Canary]:
    """Yields what git says of the repository and the person."""
    for source, arguments in (
        ("git remote", ("config", "--get", "remote.origin.url")),
        ("git e-mail", ("config", "--get", "user.email")),
        ("git name", ("config", "--get", "user.name")),
        ("git commit", ("rev-parse", "HEAD")),
    ):
        if value := _said(directory, *arguments):
            spellings = url_spellings(value) if source == "git remote" else (value,)
            yield Canary(source + REAL, spellings)


def _said(directory: Path, *arguments: str) -> str:
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(  # noqa: S603 - our own words
            ["git", "-C", str(directory), *arguments],  # noqa: S607 - the user's own
            capture_output=True, text=True, timeout=_SECONDS, check=False,
        )  # fmt: skip
        if done.returncode == 0:
            return done.stdout.strip()
    return ""
