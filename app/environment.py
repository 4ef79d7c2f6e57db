"""Variables of the environment that are no settings: who reads which, in one table.

A command that asks or runs something (`telemock run`, `report` …) shares its environment, and the
`.env` of its directory, with the user's program. It reads nothing there that is not named
TELEMOCK_*; servers (`telemock serve`, `proxy`, `injector`) read all their settings.
"""

import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from fnmatch import fnmatchcase
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from app.contract.settings import SettingError

OURS = "TELEMOCK_"
ENV_FILE = f"{OURS}ENV_FILE"
DEFAULT_FILE = ".env"


class Variables(NamedTuple):
    names: str  # patterns, separated by blanks
    passed: bool  # to the app and the proxy that `run` and `demo` start
    effect: str


TABLE = (
    Variables(
        f"{OURS}*", True,
        "Settings of telemock, of every command. Lines of this name in `.env` count too.",
    ),
    Variables(
        "HOST PORT LOG_LEVEL LOG_FORMAT MITM_HOST MITM_PORT POD_* NODE_NAME OTEL_*", False,
        "Settings of the servers: `serve`, `proxy`, `injector` and the images read them, and "
        "`demo --otel` reads OTEL_*. Other commands leave them to the program.",
    ),
    Variables(
        "HOME XDG_STATE_HOME", True,
        "Where the state directory is, unless TELEMOCK_DATA names it; HOME also for kubectl's "
        "configuration.",
    ),
    Variables(
        "KUBECONFIG KUBERNETES_SERVICE_*", False,
        "Which cluster `status`, `injector` and `--server cluster` ask, as kubectl does.",
    ),
    Variables(
        "*_PROXY *_proxy", False,
        "`run` replaces them for the program. Of ours only the requests to a Kubernetes API "
        "server go through a proxy, as kubectl's do; those to the app never.",
    ),
    Variables(
        "SSL_CERT_FILE SSL_CERT_DIR", True,
        "Certificates that this system trusts: the proxy then trusts them for real hosts, as the "
        "program does. `run` gives the program a copy with ours added.",
    ),
    Variables(
        "SSLKEYLOGFILE", False,
        "Where Python writes the keys of TLS connections: of ours only those to a Kubernetes API "
        "server, an app in a cluster, or a `--server https://…`.",
    ),
    Variables(
        "NO_COLOR FORCE_COLOR TERM COLUMNS LINES", False,
        "Colours and width of what is printed on a terminal.",
    ),
    Variables(
        "DISPLAY WAYLAND_DISPLAY SSH_CONNECTION BROWSER", False,
        "Whether, and in which browser, `open` opens the page.",
    ),
    Variables(
        "PATH TMPDIR TZ USER LOGNAME LANG LANGUAGE LC_*", True,
        "The system's own: programs, temporary files, user, time and text.",
    ),
    Variables(
        "PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE PYTHONPYCACHEPREFIX LD_* DYLD_* OPENSSL_*",
        True,
        "How our own Python starts. Other variables of Python's (PYTHONWARNINGS …) reach the "
        "command `telemock` itself, and not the app and the proxy.",
    ),
    Variables("*", False, "The program's alone."),
)  # fmt: skip
_OF_SERVERS = TABLE[1]


def client() -> dict[str, str]:
    """The variables that commands read: the process's, without those of servers, over our lines
    of `.env`. A `.env` that cannot be read is the program's."""
    lines: Mapping[str, str] = {}
    if _file().is_file():  # a pipe may never end
        with suppress(SettingError):
            lines = _lines()
    ours = {name: value for name, value in lines.items() if name.startswith(OURS)}
    return ours | {n: value for n, value in os.environ.items() if not _is(n, _OF_SERVERS)}


def server() -> dict[str, str]:
    """The process's environment over `.env` in the working directory. Raises SettingError."""
    return _lines() | os.environ


def child() -> dict[str, str]:
    """The variables for an app or a proxy that a command starts, which reads no `.env`."""
    passed = {name: value for name, value in client().items() if _row(name).passed}
    return passed | {ENV_FILE: os.devnull}


def markdown() -> str:
    """Renders the table of docs/reference/settings.md."""
    rows = ["| Variable | What it does | Reaches the app and the proxy of `run` |", "|---|---|---|"]
    for row in TABLE:
        names = "any other" if row.names == "*" else " ".join(f"`{n}`" for n in row.names.split())
        rows.append(f"| {names} | {row.effect} | {'yes' if row.passed else 'no'} |")
    return "\n".join(rows) + "\n"


def _row(name: str) -> Variables:
    return next(row for row in TABLE if _is(name, row))


def _is(name: str, row: Variables) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in row.names.split())


def _file() -> Path:
    return Path(os.environ.get(ENV_FILE) or DEFAULT_FILE)


def _lines() -> dict[str, str]:
    path = _file()
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as e:
        raise SettingError(
            f"{path} cannot be read: {e}\n\n"
            f"hint: make it a readable UTF-8 file, or name another: {ENV_FILE}=FILE"
        ) from None
    if not text.strip():
        return {}
    from dotenv import dotenv_values  # here, as most commands find no file

    logging.getLogger("dotenv.main").setLevel(logging.ERROR)  # it tells of lines it cannot read
    values = dotenv_values(stream=StringIO(text))
    return {name: value for name, value in values.items() if value}
