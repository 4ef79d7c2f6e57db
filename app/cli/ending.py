"""How a command ends: errors become a sentence with a hint, JSON where --json was given, and an
exit code. Called by `app.cli.main`.
"""

import errno
import sys
import traceback
from collections.abc import Sequence
from typing import NamedTuple

import typer

from app.cli import streams
from app.cli.interrupt import INTERRUPTED

DONE, FAILED, USAGE, UNREACHABLE = 0, 1, 2, 3
OURS, NOT_EXECUTABLE, NOT_FOUND = 125, 126, 127  # of `run`, as `env` and `timeout` have them
GATE_SENT, GATE_OPEN = 121, 122  # of `run` as a gate; the latter of `contract check`, too

EXIT_CODES = (
    (DONE, "done"),
    (FAILED, "failed, nothing matched, or a contract is violated or differs"),
    (USAGE, "wrong usage or setting"),
    (UNREACHABLE, "the app, the store or the cluster cannot be reached"),
    (GATE_OPEN, "`contract check`: kept as far as it could be checked, which was not all"),
    (INTERRUPTED, "Ctrl-C; of several runs also 129 by a hangup, and 143 by SIGTERM"),
)
RUN_CODES = (
    (GATE_SENT, "as a gate: something was sent that was not allowed"),
    (
        GATE_OPEN,
        "as a gate: nothing was seen to be sent but what is allowed, but coverage is not complete",
    ),
    (OURS, "telemock itself failed"),
    (NOT_EXECUTABLE, "the command cannot be executed"),
    (NOT_FOUND, "there is no such command"),
)

_HELP = "Usage: "
_HINTS = {
    errno.ENOSPC: "free some space there",
    errno.EDQUOT: "free some space there",
    errno.EROFS: "name a place that can be written",
    errno.EACCES: "this user has to be allowed to use it",
    errno.EPERM: "this user has to be allowed to use it",
    errno.EBADF: "open it, or do without what it is for: >/dev/null",
    errno.EMFILE: "allow more open files: ulimit -n",
}


class Failure(Exception):
    """Ends a command with this sentence and code."""

    def __init__(self, text: str, code: int = FAILED) -> None:
        super().__init__(text)
        self.code = code


class Invocation(NamedTuple):
    """What the arguments ask for, as far as that can be told of arguments that may be wrong."""

    path: tuple[str, ...]  # of the command: ("captures", "list")
    json: bool

    @classmethod
    def by(cls, arguments: Sequence[str]) -> "Invocation":
        from app.cli.root import command

        at, rest, json = command(), list(arguments), False
        path: tuple[str, ...] = ()
        while rest and (word := rest.pop(0)) != "--":
            if word == "--json":
                json = True
            elif word.startswith("-") and word != "-":
                options = [p for p in at.params if word in (*p.opts, *p.secondary_opts)]
                if options and not getattr(options[0], "is_flag", False):
                    rest = rest[1:]
            elif inner := getattr(at, "commands", {}).get(word):
                at, path = inner, (*path, word)
            elif not at.context_settings.get("allow_interspersed_args", True):
                break  # the rest is another program's
        return cls(path, json and any("--json" in p.opts for p in at.params))


def run() -> int:
    """Runs the command of `sys.argv`; returns its exit code."""
    from app.cli.root import command

    streams.settle()
    arguments = sys.argv[1:]
    try:
        code = command().main(args=arguments, prog_name="telemock", standalone_mode=False) or DONE
    except SystemExit as e:  # the reader of standard output has left
        return e.code if isinstance(e.code, int) else FAILED
    except Exception as e:
        code = _failed(e, Invocation.by(arguments))
    if isinstance(error := streams.trouble(), BrokenPipeError):
        return FAILED
    if error is not None:
        return _failed(error, Invocation.by(arguments)._replace(json=False), "standard output: ")
    return int(code)


def _failed(error: Exception, asked: Invocation, where: str = "") -> int:
    if not where and isinstance(error, OSError) and streams.trouble() is not None:
        where = "standard output: "
    text, code = _told(error, asked)
    if asked.path == ("run",) and not isinstance(error, typer.TyperException):
        code = getattr(error, "code", OURS)
    if text.startswith(_HELP):  # no command was given
        typer.echo(text, err=True)
    else:
        say(where + text)
    if asked.json:
        print(_json(text))
    return code


def say(text: str) -> None:
    """Prints an error on standard error."""
    from app.escape import paragraphs
    from app.report.tables import coloured

    typer.echo(coloured(paragraphs(f"error: {text}"), sys.stderr), err=True)


def _json(text: str) -> str:
    from app.escape import as_json

    error, _, hint = text.partition("\n\nhint: ")
    return as_json({"error": error, "hint": hint})


def _told(error: Exception, asked: Invocation) -> tuple[str, int]:
    """The sentence and the exit code, which are another's for `run`."""
    import msgspec

    from app.contract.record import RecordError

    if isinstance(error, Failure):
        return str(error), error.code
    if isinstance(error, typer.TyperException):
        text = error.format_message()
        if "\n\nhint: " not in text and not text.startswith(_HELP):
            text += f"\n\nhint: {' '.join(('telemock', *asked.path))} -h says how it is used"
        return text, USAGE
    if isinstance(error, typer.Abort):
        return "not confirmed, so nothing was done\n\nhint: --yes does not ask", FAILED
    if isinstance(error, RecordError | msgspec.DecodeError):
        text = f"a record cannot be read: {error}"
        return f"{text}\n\nhint: is the app of another version? its /health tells", UNREACHABLE
    if isinstance(error, OSError):
        at = f"{error.filename}: " if error.filename else ""
        hint = _HINTS.get(error.errno or 0, "name another place; TELEMOCK_DATA is that of captures")
        return f"{at}{error.strerror or error}\n\nhint: {hint}", FAILED
    if code := _code(error):
        return str(error), code
    traceback.print_exception(error)
    return (
        f"telemock has a fault: {type(error).__name__}: {error}\n\n"
        "hint: please report it, with the lines above",
        FAILED,
    )


def _code(error: Exception) -> int | None:
    """The exit code of an expected error; None for a fault of ours."""
    from app.client.source import ClientError
    from app.cluster.kube import KubeError
    from app.contract.settings import SettingError
    from app.gate.statement import StatementError
    from app.profiles import ProfileError
    from app.report.extras import MissingPackageError
    from app.run.processes import LocalError
    from app.store import QueryError, StoreError

    match error:
        case ClientError() | StoreError() | KubeError():
            return UNREACHABLE
        case SettingError() | QueryError():
            return USAGE
        case ProfileError() | LocalError() | MissingPackageError() | StatementError():
            return FAILED
    return None
