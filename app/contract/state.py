"""The state directory: where it is by default, and how it is made.

Captures are private. On a laptop they lie in the user's own state directory, or in the project's
where there is one already; every command finds them there. Only servers that are started without
the command line (`uvicorn app.main:app`, `python -m addon`) take the working directory's, as in a
container.
"""

import os
import pwd
import secrets
from collections.abc import Mapping
from pathlib import Path

from app.contract.files import PRIVATE_DIR, is_full, tighten, write_whole
from app.contract.names import DIR_LOGS, IN_DATA
from app.contract.settings import SettingError

PROJECT = ".telemock"  # in the working directory, used where it is there
_USERS = Path(".local/state")  # below HOME, where XDG_STATE_HOME is not set
_OURS = "telemock"
_IGNORE = ".gitignore"
_ROOM = 64 << 10  # bytes that a run needs at least

WHERE = (
    f"by default {PROJECT} in the working directory where it is there already, else "
    "$XDG_STATE_HOME/telemock, else ~/.local/state/telemock"
)


def directory(environ: Mapping[str, str]) -> Path:
    """The default of TELEMOCK_DATA. Raises SettingError if it would be another user's."""
    project = Path(PROJECT)
    if project.is_dir():
        return _own(project)
    base = Path(environ.get("XDG_STATE_HOME", ""))
    if not base.is_absolute():  # its specification: others are to be ignored
        base = _home(environ) / _USERS
    return _own(base / _OURS)


def logs(data: Path) -> Path:
    """The default of TELEMOCK_LOGS: beside the project's directory, as ever, else in `data`."""
    return Path(DIR_LOGS) if data == Path(PROJECT) else data / DIR_LOGS


def make(directory: Path) -> None:
    """Makes the directory for its owner alone; what telemock makes, git ignores. Raises
    SettingError."""
    try:
        is_new = not directory.exists()
        directory.mkdir(parents=True, exist_ok=True, mode=PRIVATE_DIR)
        tighten(directory, IN_DATA)
        if (is_new or directory.name == PROJECT) and not (directory / _IGNORE).exists():
            write_whole(directory / _IGNORE, [b"*\n"])
    except OSError as e:
        raise unusable(directory, e) from None


def make_with_room(directory: Path) -> None:
    """`make`, and proves that files can be written there. Raises SettingError."""
    make(directory)
    probe = directory / f".probe.{secrets.token_hex(8)}"
    try:
        write_whole(probe, [bytes(_ROOM)])
        probe.unlink()
    except OSError as e:
        raise unusable(directory, e) from None


def unusable(directory: Path, error: OSError) -> SettingError:
    at = f" ({error.filename})" if error.filename else ""
    hint = "TELEMOCK_DATA=DIRECTORY names another, where this user may write"
    if is_full(error):
        hint = "free some space, or name another directory: TELEMOCK_DATA=DIRECTORY"
    return SettingError(
        f"TELEMOCK_DATA is {str(directory)!r}: {error.strerror or error}{at}\n\nhint: {hint}"
    )


def _home(environ: Mapping[str, str]) -> Path:
    try:
        home = Path(environ.get("HOME") or pwd.getpwuid(os.geteuid()).pw_dir)
        owner = home.stat().st_uid
    except (KeyError, OSError) as e:
        why = f"HOME is {environ['HOME']!r}: {e}" if environ.get("HOME") else "HOME is not set"
        raise SettingError(
            f"{why}, so there is no place for captures\n\n"
            "hint: name a directory: TELEMOCK_DATA=DIRECTORY"
        ) from None
    if os.geteuid() == 0 and owner != 0:  # sudo that keeps HOME: root's files would lie in there
        raise _foreign(home, owner)
    return home


def _own(directory: Path) -> Path:
    """Refuses another user's: it would get what is captured, or could not read it any more."""
    try:
        owner = directory.stat().st_uid
    except OSError:  # not there yet, or `make` says why not
        return directory
    if owner != os.geteuid():
        raise _foreign(directory, owner)
    return directory


def _foreign(directory: Path, owner: int) -> SettingError:
    return SettingError(
        f"{directory} belongs to {_name(owner)}, and this is {_name(os.geteuid())}\n\n"
        "hint: run this as that user, or name a directory: TELEMOCK_DATA=DIRECTORY"
    )


def _name(uid: int) -> str:
    try:
        return f"the user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"the user {uid}"
