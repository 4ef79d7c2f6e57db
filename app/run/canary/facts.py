"""Reads who and where this machine says it is: values that are looked for as they are."""

import os
import pwd
import re
import socket
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from app.contract.canary.spec import Canary

MACHINE_ID = Path("/etc/machine-id")
DBUS_ID = Path("/var/lib/dbus/machine-id")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
PRODUCT = Path("/sys/class/dmi/id/product_uuid")
SERIAL = Path("/sys/class/dmi/id/product_serial")
_NETWORK = Path("/sys/class/net")
_PROJECTS = ("package.json", "pyproject.toml", "dbt_project.yml", "Cargo.toml", "composer.json")
_PROJECT_NAME = re.compile(
    r"""^\s*\{?\s*["']?name["']?\s*[:=]\s*["']?([\w@/. -]*\w)""", re.MULTILINE
)
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_HEAD = 65_536  # characters of such a file
_MOST = 16  # network interfaces

REAL = " (real)"


def read(path: Path) -> str:
    """The file's text, "" where there is none for us."""
    with suppress(OSError):
        return path.read_text(errors="replace").strip()
    return ""


def uuid_spellings(value: str) -> tuple[str, ...]:
    """32 digits with and without the dashes of a UUID, as it is first."""
    with suppress(ValueError):
        found = uuid.UUID(value)
        return tuple(dict.fromkeys((value, found.hex, str(found))))
    return (value,) if value else ()


def path_spellings(path: str) -> tuple[str, ...]:
    """A directory as programs write it."""
    if not path:
        return ()
    name = Path(path).name
    return tuple(dict.fromkeys(filter(None, (path, f"{path}/", os.path.realpath(path), name))))


def addresses() -> dict[Path, str]:
    """The MAC addresses of this machine's network interfaces, by the file that tells each."""
    with suppress(OSError):
        interfaces = sorted(_NETWORK.iterdir(), key=_order)
        found = {each / "address": read(each / "address") for each in interfaces}
        some = [(file, mac) for file, mac in found.items() if _MAC.fullmatch(mac)]
        return dict([(file, mac) for file, mac in some if mac.strip("0:")][:_MOST])
    return {}


def _order(interface: Path) -> tuple[bool, str]:
    """The machine's own before those of containers and bridges, which may be many."""
    return not (interface / "device").exists(), interface.name


def mac_spellings(mac: str) -> tuple[str, ...]:
    bare = mac.replace(":", "")
    return (mac, mac.replace(":", "-"), bare, str(int(bare, 16)), hex(int(bare, 16)))


def project_names(directory: Path) -> list[str]:
    """The names that the files of a project give it."""
    found = [_PROJECT_NAME.search(read(directory / name)[:_HEAD]) for name in _PROJECTS]
    return [match[1] for match in found if match]


def real() -> Iterator[Canary]:
    """Yields what is here without planting anything."""
    host = socket.gethostname()
    account = _account()
    short = host.partition(".")[0]
    yield _real("host name", host, short)
    yield _real("user", account.pw_name if account else os.environ.get("USER", ""))
    if account and (full := account.pw_gecos.partition(",")[0]) not in ("", account.pw_name):
        yield _real("full name", full)
    yield _real("home", *path_spellings(account.pw_dir if account else os.environ.get("HOME", "")))
    with suppress(OSError):
        yield _real("working directory", *path_spellings(str(Path.cwd())))
        yield _real("project name", *project_names(Path.cwd()))
    yield _real("machine id", *uuid_spellings(read(MACHINE_ID) or read(DBUS_ID)))
    yield _real("boot id", *uuid_spellings(read(BOOT_ID)))
    yield _real("product UUID", *uuid_spellings(read(PRODUCT)))
    yield _real("serial number", read(SERIAL))
    for mac in dict.fromkeys(addresses().values()):
        yield _real("MAC address", *mac_spellings(mac))


def _real(source: str, *values: str) -> Canary:
    return Canary(source + REAL, tuple(dict.fromkeys(filter(None, values))))


def _account() -> pwd.struct_passwd | None:
    with suppress(KeyError):
        return pwd.getpwuid(os.geteuid())
    return None
