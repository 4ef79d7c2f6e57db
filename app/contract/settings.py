"""Reads settings from the environment by a table of rows; the app and the sidecar each have one. A
wrong value stops the start with the setting, the value and the remedy."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_LEVELS_TOO = {"WARN": "WARNING", "CRITICAL": "ERROR", "FATAL": "ERROR", "TRACE": "DEBUG"}
LOG_FORMATS = ("text", "json")  # of the processes' lines of operation


class Setting(NamedTuple):
    """`parse` turns the text into the value, or raises ValueError with the expected form."""

    name: str  # of the environment variable
    default: str
    parse: Callable[[str], Any]
    help: str
    wanted: str = ""  # "a port from 1 to 65535": for the error and the documentation


class SettingError(ValueError):
    """A setting that cannot be used. Its text is a whole message for people."""


def read(table: Sequence[Setting], environ: Mapping[str, str]) -> dict[str, Any]:
    """Every row's value by name; an unset or empty variable means the default.

    Raises SettingError for the first value that does not parse.
    """
    values = {}
    for row in table:
        given = environ.get(row.name, "") or row.default
        try:
            values[row.name] = row.parse(given)
        except ValueError as e:
            wanted = row.wanted or str(e)
            raise SettingError(
                f"{row.name} is {given!r}, expected {wanted}\n\nhint: {row.help}"
            ) from None
    return values


_UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def port(value: str) -> int:
    """0 lets the kernel choose."""
    value = value.strip()
    if not (value.isascii() and value.isdigit() and int(value[:6]) <= 65535):
        raise ValueError("a port from 0 to 65535")
    return int(value)


def size(value: str) -> int:
    """Bytes: a number, or a number with KiB, MiB or GiB."""
    found = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)(KiB|MiB|GiB)|([0-9]{1,15})", value)
    if found is None:
        raise ValueError("bytes, such as 65536, 64KiB, 1.5MiB or 1GiB")
    return int(found[3] or float(found[1]) * _UNITS[found[2]])


def flag(value: str) -> bool:
    value = value.strip()
    if value.lower() in ("1", "true", "yes", "on"):
        return True
    if value.lower() in ("0", "false", "no", "off", ""):
        return False
    raise ValueError("1 or 0")


def one_of(*allowed: str) -> Callable[[str], str]:
    """The one of the words that the value is, in whatever case it is written."""
    words = {word.lower(): word for word in allowed}

    def parse(value: str) -> str:
        found = words.get(value.strip().lower())
        if found is None:
            raise ValueError(" or ".join(a or "nothing" for a in allowed))
        return found

    return parse


def log_level(value: str) -> str:
    """Takes what other programs call their levels, too."""
    word = value.strip().upper()
    return one_of(*LOG_LEVELS)(_LEVELS_TOO.get(word, word))


def optional_path(value: str) -> Path | None:
    return Path(value) if value else None


def listed(value: str) -> tuple[str, ...]:
    """The items between commas, each once."""
    return tuple(dict.fromkeys(filter(None, map(str.strip, value.split(",")))))


def some(value: str) -> tuple[str, ...]:
    """`listed`, and at least one."""
    if not (found := listed(value)):
        raise ValueError
    return found


def resolve(value: str) -> dict[tuple[str, int], tuple[str, int]]:
    """`HOST:PORT=ADDRESS:PORT`, comma separated: fixed destinations, as with curl --resolve."""
    found: dict[tuple[str, int], tuple[str, int]] = {}
    for item in listed(value):
        name, _, to = item.partition("=")
        host, _, number = name.rpartition(":")
        address, _, to_number = to.rpartition(":")
        if not (host and address and number and to_number) or "=" in to:
            raise ValueError("HOST:PORT=ADDRESS:PORT, comma separated")
        found[host.lower(), port(number)] = (address.strip("[]"), port(to_number))
    return found


def host_names(value: str) -> frozenset[str]:
    """Names, comma separated, in lower case."""
    return frozenset(v.lower().rstrip(".") for v in listed(value))


# Rows of more than one table.
LOG_LEVEL = Setting(
    "LOG_LEVEL", "INFO", log_level,
    "Least severe level that is logged.", "DEBUG, INFO, WARNING or ERROR",
)  # fmt: skip
LOG_FORMAT = Setting(
    "LOG_FORMAT", "text", one_of(*LOG_FORMATS),
    "How lines of operation are written to standard error and, by the app, to mock_server.log and "
    "mitmproxy.log: text, or json with one object a line. Captures are JSON in any case.",
    "text or json",
)  # fmt: skip
HEALTH_HOSTS = Setting(
    "TELEMOCK_HEALTH_HOSTS", "", host_names,
    "Names by which /health, /ready and /metrics may be asked, besides addresses, names without a "
    "dot and names of the cluster.", "host names, comma separated",
)  # fmt: skip
