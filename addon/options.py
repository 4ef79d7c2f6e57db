"""Every setting of the sidecar, declared once; `python -m addon --help` prints this table.

Read by `addon.main` at start. The app has a table of its own.
"""

import socket
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from app.contract import names
from app.contract.record import BODY_CAP, Endpoint, Mode, Workload, short
from app.contract.settings import Setting, SettingError, one_of, port, read, resolve, size

LARGEST_CAP = 1024 * 1024  # a record's line has room for both bodies, escaped


def _url(value: str) -> str:
    """Only plain HTTP: no setting names the certificate of the app's TLS port yet."""
    parts = urlsplit(value)
    if parts.scheme != "http" or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError("http://HOST:PORT")
    return f"http://{parts.netloc}"


def _optional_port(value: str) -> int | None:
    return port(value) if value else None


def _optional_path(value: str) -> Path | None:
    return Path(value) if value else None


def _listeners(value: str) -> tuple[Endpoint, ...]:
    """`127.0.0.1:17443,[::1]:17443`. Wildcards are refused: they would redirect into themselves."""
    found = []
    for item in filter(None, (v.strip() for v in value.split(","))):
        host, _, number = item.rpartition(":")
        host = host.strip("[]")
        if not host or host in ("0.0.0.0", "::"):  # noqa: S104 - refused here
            raise ValueError("ADDRESS:PORT")
        found.append(Endpoint(host, port(number)))
    return tuple(found)


def _hosts(value: str) -> dict[str, str]:
    """`ADDRESS=HOST`, comma separated: the dummy addresses that stand for telemetry hosts."""
    found = {}
    for item in filter(None, (v.strip() for v in value.split(","))):
        address, _, host = item.partition("=")
        if not address or not host:
            raise ValueError("ADDRESS=HOST")
        found[address.strip("[]")] = host.lower().rstrip(".")
    return found


def _seconds(value: str) -> float:
    number = float(value)
    if not 0 <= number <= 3600:
        raise ValueError("0 to 3600")
    return number


def _cap(value: str) -> int:
    number = size(value)
    if not 0 <= number <= LARGEST_CAP:
        raise ValueError("0 to 1MiB")
    return number


_MODES = ("", "mock", "observe", "block")
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_FROM_POD = "Stands in every record; in a pod it comes from the downward API."

SETTINGS = (
    Setting("TELEMOCK_APP_URL", f"http://127.0.0.1:{names.PORT_APP}", _url,
            "Where the app is: it answers `mock` rules, gives the profiles and takes the records.",
            "http://HOST:PORT"),
    Setting("TELEMOCK_DATA", ".telemock", Path,
            "Directory of the certificate authority, the token and the spool."),
    Setting("TELEMOCK_TOKEN_FILE", "", _optional_path,
            "File with the token for the app; by default `token` in TELEMOCK_DATA."),
    Setting("TELEMOCK_MODE", "", one_of(*_MODES),
            "Replaces the action of every rule that mocks.", "mock, observe, block or nothing"),
    Setting("TELEMOCK_TRANSPARENT", "", _listeners,
            "Where redirected connections arrive, for example 127.0.0.1:17443,[::1]:17443.",
            "ADDRESS:PORT, comma separated, no wildcard address"),
    Setting("MITM_HOST", "127.0.0.1", str, "Address of the explicit proxy."),
    Setting("MITM_PORT", "", _optional_port,
            f"Port of the explicit proxy; by default {names.PORT_EXPLICIT_PROXY} without "
            "TELEMOCK_TRANSPARENT, none with it.", "a port from 0 to 65535"),
    Setting("TELEMOCK_HEALTH_HOST", "127.0.0.1", str, "Address of /health, /ready and /metrics."),
    Setting("TELEMOCK_HEALTH_PORT", str(names.PORT_SIDECAR_HEALTH), port,
            "Port of /health, /ready and /metrics.", "a port from 0 to 65535"),
    Setting("TELEMOCK_RESOLVE", "", resolve,
            "Where to connect instead of asking DNS, like curl's --resolve.",
            "HOST:PORT=ADDRESS:PORT, comma separated"),
    Setting("TELEMOCK_HOSTS", "", _hosts,
            "Dummy addresses and the telemetry hosts they stand for: a connection to one of them "
            "names its host even without SNI, and is never made.",
            "ADDRESS=HOST, comma separated"),
    Setting("TELEMOCK_UPSTREAM_CA", "", _optional_path,
            "PEM file of certificates to trust towards real hosts, besides this system's."),
    Setting("TELEMOCK_SPOOL_SIZE", "64MiB", size,
            "Disk for records that the app has not accepted yet.", "bytes, or a number with MiB"),
    Setting("TELEMOCK_BODY_CAP", f"{BODY_CAP // 1024}KiB", _cap,
            "How much of a body is kept, and is read for body conditions.",
            "bytes up to 1MiB, or a number with KiB"),
    Setting("TELEMOCK_SHUTDOWN_SECONDS", "10", _seconds,
            "How long SIGTERM waits for exchanges to end, and then for the spool to be sent.",
            "seconds from 0 to 3600"),
    Setting("LOG_LEVEL", "INFO", one_of(*_LEVELS), "Least severe line that is logged.",
            "DEBUG, INFO, WARNING or ERROR"),
    Setting("POD_NAMESPACE", "", short, _FROM_POD),
    Setting("POD_NAME", "", short, _FROM_POD),
    Setting("POD_UID", "", short, _FROM_POD),
    Setting("NODE_NAME", "", short, "Stands in every record; by default this machine's name."),
    Setting("TELEMOCK_WORKLOAD_CONTAINER", "", short,
            "Container or command that is observed; stands in every record."),
    Setting("TELEMOCK_WORKLOAD_IMAGE", "", short,
            "Image of the observed container; stands in every record."),
)  # fmt: skip


@dataclass(frozen=True)
class Options:
    """The settings of one start, parsed."""

    app_url: str
    data: Path
    token_file: Path
    mode: Mode | None
    transparent: tuple[Endpoint, ...]
    explicit: Endpoint | None
    health: Endpoint
    resolve: dict[tuple[str, int], tuple[str, int]]
    hosts: dict[str, str]
    upstream_ca: Path | None
    spool_size: int
    body_cap: int
    shutdown_seconds: float
    log_level: str
    workload: Workload

    @property
    def ca_dir(self) -> Path:
        return self.data / names.DIR_CA


def load(environ: Mapping[str, str]) -> Options:
    """Raises SettingError with the setting, its value and the remedy."""
    v = read(SETTINGS, environ)
    if v["TELEMOCK_UPSTREAM_CA"] is not None and not v["TELEMOCK_UPSTREAM_CA"].is_file():
        raise SettingError(
            f"TELEMOCK_UPSTREAM_CA is {str(v['TELEMOCK_UPSTREAM_CA'])!r}, which is no file\n\n"
            "hint: name a PEM file, or leave it empty to trust this system's certificates only"
        )
    explicit = v["MITM_PORT"]
    if explicit is None and not v["TELEMOCK_TRANSPARENT"]:
        explicit = names.PORT_EXPLICIT_PROXY
    return Options(
        app_url=v["TELEMOCK_APP_URL"],
        data=v["TELEMOCK_DATA"],
        token_file=v["TELEMOCK_TOKEN_FILE"] or v["TELEMOCK_DATA"] / names.FILE_TOKEN,
        mode=v["TELEMOCK_MODE"] or None,
        transparent=v["TELEMOCK_TRANSPARENT"],
        explicit=None if explicit is None else Endpoint(v["MITM_HOST"], explicit),
        health=Endpoint(v["TELEMOCK_HEALTH_HOST"], v["TELEMOCK_HEALTH_PORT"]),
        resolve=v["TELEMOCK_RESOLVE"],
        hosts=v["TELEMOCK_HOSTS"],
        upstream_ca=v["TELEMOCK_UPSTREAM_CA"],
        spool_size=v["TELEMOCK_SPOOL_SIZE"],
        body_cap=v["TELEMOCK_BODY_CAP"],
        shutdown_seconds=v["TELEMOCK_SHUTDOWN_SECONDS"],
        log_level=v["LOG_LEVEL"],
        workload=Workload(
            namespace=v["POD_NAMESPACE"],
            pod=v["POD_NAME"],
            uid=v["POD_UID"],
            node=v["NODE_NAME"] or short(socket.gethostname()),
            container=v["TELEMOCK_WORKLOAD_CONTAINER"],
            image=v["TELEMOCK_WORKLOAD_IMAGE"],
        ),
    )


def table() -> str:
    """The settings for a terminal."""
    lines = []
    for row in SETTINGS:
        lines.append(f"  {row.name}" + (f" (default {row.default})" if row.default else ""))
        lines.extend(
            textwrap.wrap(row.help, 76, initial_indent="      ", subsequent_indent="      ")
        )
    return "\n".join(lines)
