"""Every setting of the sidecar, declared once; `python -m addon --help` prints this table.

Read by `addon.__main__` at start. The app has its own table.
"""

import secrets
import socket
import ssl
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from addon import bounds as bounding
from addon import listeners
from addon.app_client import client
from addon.bounds import Bounds
from addon.supervisor import ENV_RESTARTED
from addon.target.dns import Address
from addon.target.egress import Egress
from addon.target.egress import parse as parse_egress
from app.contract import faults, names, state
from app.contract.actions import MODES, MODES_WANTED, Mode
from app.contract.canary import setting as canary
from app.contract.canary.spec import Spec
from app.contract.dummies import PORTS_SETTING
from app.contract.instant import until
from app.contract.record import BODY_CAP, Endpoint, Workload, short
from app.contract.settings import (
    HEALTH_HOSTS,
    LOG_FORMAT,
    LOG_LEVEL,
    Setting,
    SettingError,
    one_of,
    optional_path,
    port,
    read,
    resolve,
    size,
)
from app.otel import settings as otel
from app.otel.settings import Otel

LARGEST_CAP = 1024 * 1024  # a record's line has room for both bodies, escaped


class Restarted(NamedTuple):
    """The supervisor's count of restarts, and why the last process ended."""

    times: int
    why: str


def _url(value: str) -> str:
    """Plain HTTP only: the mock is asked over it, and its answers are no secret."""
    return _origin(value, "http")


def _api_url(value: str) -> str:
    return _origin(value, "http", "https") if value else ""


def _origin(value: str, *schemes: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in schemes or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError
    return f"{parts.scheme}://{parts.netloc}"


def _optional_port(value: str) -> int | None:
    return port(value) if value else None


def _seconds(value: str) -> float:
    number = float(value)
    if not 0 <= number <= 3600:
        raise ValueError("0 to 3600")
    return number


def _restarted(value: str) -> Restarted:
    """`3 was killed by signal 9`."""
    if not value:
        return Restarted(0, "")
    number, _, why = value.partition(" ")
    return Restarted(int(number), short(why))


def _cap(value: str) -> int:
    number = size(value)
    if not 0 <= number <= LARGEST_CAP:
        raise ValueError("0 to 1MiB")
    return number


_FROM_POD = "Stands in every record; in a pod it comes from the downward API."

SETTINGS = (
    Setting("TELEMOCK_APP_URL", f"http://127.0.0.1:{names.PORT_APP}", _url,
            "Where the app is, which answers `mock` rules.", "http://HOST:PORT"),
    Setting("TELEMOCK_API_URL", "", _api_url,
            "Where the app gives the profiles and takes the records; by default TELEMOCK_APP_URL.",
            "http://HOST:PORT or https://HOST:PORT"),
    Setting("TELEMOCK_API_CA_PEM", "", str,
            "Certificates, as PEM text, that the app's is checked against with an https:// "
            "TELEMOCK_API_URL; by default this system's."),
    Setting("TELEMOCK_DATA", state.PROJECT, Path,
            "Directory of the certificate authority, the token and the spool."),
    Setting("TELEMOCK_TOKEN_FILE", "", optional_path,
            "File with the token for the app, read anew for every request; by default `token` in "
            "TELEMOCK_DATA."),
    Setting("TELEMOCK_CA_DIR", "", optional_path,
            "Directory of the certificate authority with its key; by default `ca` in "
            "TELEMOCK_DATA."),
    Setting("TELEMOCK_TRUST_DIR", "", optional_path,
            "Directory that clients read: ca.pem, and bundle.pem with this system's certificates "
            "too; by default TELEMOCK_CA_DIR."),
    Setting("TELEMOCK_MODE", "", one_of("", *MODES),
            "Replaces the action of every rule that mocks.", MODES_WANTED),
    *listeners.SETTINGS,
    Setting("TELEMOCK_ALL_UNTIL", "", until,
            "When all connections are redirected: until when they are looked into. Later ones are "
            "relayed unread, those to telemetry hosts too. How long counts from the first start.",
            "a time such as 2026-01-31T12:00:00Z, or how long, such as 90m or 2h"),
    Setting("TELEMOCK_REHEARSE", "", faults.asked,
            "What the vendor's endpoints do instead of their answer, until when: "
            f"{faults.IDS}. How long counts from the first start.", faults.WANTED),
    Setting("MITM_HOST", "127.0.0.1", str, "Address of the explicit proxy."),
    Setting("MITM_PORT", "", _optional_port,
            f"Port of the explicit proxy; by default {names.PORT_EXPLICIT_PROXY} without "
            "TELEMOCK_TRANSPARENT or TELEMOCK_LOOPBACK, none with one.", "a port from 0 to 65535"),
    Setting("TELEMOCK_HEALTH_HOST", "127.0.0.1", str, "Address of /health, /ready and /metrics."),
    HEALTH_HOSTS,
    Setting("TELEMOCK_HEALTH_PORT", str(names.PORT_SIDECAR_HEALTH), port,
            "Port of /health, /ready and /metrics.", "a port from 0 to 65535"),
    Setting("TELEMOCK_RESOLVE", "", resolve,
            "Where to connect instead of asking DNS, like curl's --resolve.",
            "HOST:PORT=ADDRESS:PORT, comma separated"),
    Setting("TELEMOCK_UPSTREAM_CA", "", optional_path,
            "PEM file of certificates to trust towards real hosts, besides this system's."),
    Setting("TELEMOCK_EGRESS_PROXY", "", str,
            "Proxy for what is forwarded to real hosts of profiles, "
            "http://[USER:PASSWORD@]HOST:PORT; it is asked with CONNECT."),
    Setting("TELEMOCK_SPOOL_SIZE", names.SPOOL_SIZE, size,
            "Disk for records that the app has not accepted yet.", "bytes, or a number with MiB"),
    Setting("TELEMOCK_BODY_CAP", f"{BODY_CAP // 1024}KiB", _cap,
            "How much of a body is kept, and is read for body conditions; a longer one meets those "
            "of rules that keep requests here.",
            "bytes up to 1MiB, or a number with KiB"),
    *bounding.SETTINGS,
    Setting("TELEMOCK_SHUTDOWN_SECONDS", "10", _seconds,
            "How long SIGTERM waits for exchanges to end, and then for the spool to be sent.",
            "seconds from 0 to 3600"),
    Setting(ENV_RESTARTED, "", _restarted,
            "Set by the container's first process, which starts the sidecar again when it ended "
            "unasked: how often, and how the last one ended.", "a number and a reason"),
    LOG_LEVEL,
    LOG_FORMAT,
    Setting("POD_NAMESPACE", "", short, _FROM_POD),
    Setting("POD_NAME", "", short, _FROM_POD),
    Setting("POD_UID", "", short, _FROM_POD),
    Setting("NODE_NAME", "", short, "Stands in every record; by default this machine's name."),
    Setting("TELEMOCK_WORKLOAD_CONTAINER", "", short,
            "Container or command that is observed; stands in every record."),
    Setting("TELEMOCK_WORKLOAD_IMAGE", "", short,
            "Image of the observed container; stands in every record."),
    Setting("TELEMOCK_RUN", "0", int,
            "Set by `telemock run`: its process id. Connections to TELEMOCK_TRANSPARENT then begin "
            "with a line that says where they were going and who made them; a client of the "
            "explicit proxy is looked up among that process' descendants.", "a process id"),
    canary.SETTING,
)  # fmt: skip


@dataclass(frozen=True)
class Options:
    """The settings of one start, parsed."""

    app_url: str
    api_url: str
    api_tls: ssl.SSLContext | None
    data: Path
    ca_dir: Path
    trust_dir: Path
    token_file: Path
    mode: Mode | None
    transparent: tuple[Endpoint, ...]
    explicit: Endpoint | None
    health: Endpoint
    health_hosts: frozenset[str]
    resolve: dict[tuple[str, int], tuple[str, int]]
    hosts: dict[str, str]
    loopback: dict[str, str]
    ports: dict[str, tuple[int, ...]]  # by host
    all_until: datetime | timedelta | None
    rehearsed: faults.Rehearsed | None
    egress: Egress | None
    upstream_ca: Path | None
    spool_size: int
    body_cap: int
    bounds: Bounds
    shutdown_seconds: float
    restarted: Restarted
    log_level: str
    log_format: str
    workload: Workload
    run: int  # a process id, 0 in a pod
    canary: Spec | None
    boot: str  # names this start: 32 hex digits
    otel: Otel

    @property
    def app_address(self) -> Address:
        """The mock's address, to which connections are made without DNS or redirect."""
        parts = urlsplit(self.app_url)
        return parts.hostname or "127.0.0.1", parts.port or 80

    @property
    def redirected(self) -> bool:
        """True if a redirect brings connections that nobody addressed to this proxy."""
        return bool(self.transparent or self.loopback)

    @property
    def form(self) -> str:
        """The way by which connections come, one of `app.contract.presence.FORMS`."""
        if self.loopback:
            return "loopback"
        if not self.transparent:
            return "proxy"
        if self.run:
            return "run"
        return "hosts" if self.hosts else "all"

    @property
    def stands_for(self) -> dict[str, str]:
        """The addresses that stand for a telemetry host, and lead back to this process."""
        named, only = self.hosts | self.loopback, set(self.loopback.values())
        if len(only) == 1:
            shared = dict.fromkeys((names.LOOPBACK_IPV6, names.LOOPBACK_MAPPED), only.pop())
            named = shared | named
        return named

    def counted_from(self, start: datetime) -> "Options":
        """The same options, with what has an end as points in time."""
        end, rehearsed = self.all_until, self.rehearsed
        return replace(
            self,
            all_until=start + end if isinstance(end, timedelta) else end,
            rehearsed=rehearsed.counted_from(start) if rehearsed else None,
        )

    @property
    def all_is_over(self) -> bool:
        return isinstance(self.all_until, datetime) and datetime.now(UTC) >= self.all_until


def load(environ: Mapping[str, str]) -> Options:
    """Raises SettingError with the setting, its value and the remedy."""
    v = read(SETTINGS, environ)
    if v["TELEMOCK_UPSTREAM_CA"] is not None and not v["TELEMOCK_UPSTREAM_CA"].is_file():
        raise SettingError(
            f"TELEMOCK_UPSTREAM_CA is {str(v['TELEMOCK_UPSTREAM_CA'])!r}, which is no file\n\n"
            "hint: name a PEM file, or leave it empty to trust this system's certificates only"
        )
    explicit = v["MITM_PORT"]
    if explicit is None and not v["TELEMOCK_TRANSPARENT"] and not v["TELEMOCK_LOOPBACK"]:
        explicit = names.PORT_EXPLICIT_PROXY
    boot = secrets.token_hex(16)
    pod = Workload(v["POD_NAMESPACE"], v["POD_NAME"], v["POD_UID"], v["NODE_NAME"])
    resource = otel.resource_of(pod, names.CONTAINER_SIDECAR, boot)
    ca_dir = v["TELEMOCK_CA_DIR"] or v["TELEMOCK_DATA"] / names.DIR_CA
    return Options(
        app_url=v["TELEMOCK_APP_URL"],
        api_url=v["TELEMOCK_API_URL"] or v["TELEMOCK_APP_URL"],
        api_tls=_api_tls(v["TELEMOCK_API_CA_PEM"]),
        data=v["TELEMOCK_DATA"],
        ca_dir=ca_dir,
        trust_dir=v["TELEMOCK_TRUST_DIR"] or ca_dir,
        token_file=v["TELEMOCK_TOKEN_FILE"] or v["TELEMOCK_DATA"] / names.FILE_TOKEN,
        mode=v["TELEMOCK_MODE"] or None,
        transparent=v["TELEMOCK_TRANSPARENT"],
        explicit=None if explicit is None else Endpoint(v["MITM_HOST"], explicit),
        health=Endpoint(v["TELEMOCK_HEALTH_HOST"], v["TELEMOCK_HEALTH_PORT"]),
        health_hosts=v["TELEMOCK_HEALTH_HOSTS"],
        resolve=v["TELEMOCK_RESOLVE"],
        hosts=v["TELEMOCK_HOSTS"],
        loopback=v["TELEMOCK_LOOPBACK"],
        ports=v[PORTS_SETTING],
        all_until=v["TELEMOCK_ALL_UNTIL"],
        rehearsed=v["TELEMOCK_REHEARSE"],
        egress=_egress(v["TELEMOCK_EGRESS_PROXY"]),
        upstream_ca=v["TELEMOCK_UPSTREAM_CA"],
        spool_size=v["TELEMOCK_SPOOL_SIZE"],
        body_cap=v["TELEMOCK_BODY_CAP"],
        bounds=bounding.bounds(v),
        shutdown_seconds=v["TELEMOCK_SHUTDOWN_SECONDS"],
        restarted=v[ENV_RESTARTED],
        log_level=v["LOG_LEVEL"],
        log_format=v["LOG_FORMAT"],
        workload=msgspec.structs.replace(
            pod,
            node=pod.node or short(socket.gethostname()),
            container=v["TELEMOCK_WORKLOAD_CONTAINER"],
            image=v["TELEMOCK_WORKLOAD_IMAGE"],
        ),
        run=v["TELEMOCK_RUN"],
        canary=canary.canaries(v[canary.SETTING.name], environ),
        boot=boot,
        otel=otel.read(environ, service="telemock-sidecar", version=version(), resource=resource),
    )


def version() -> str:
    try:
        return metadata.version("telemock")
    except metadata.PackageNotFoundError:  # run from a copy of the sources
        return ""


def _api_tls(pem: str) -> ssl.SSLContext | None:
    try:
        return client.trusting(pem) if pem else None
    except ValueError:
        raise SettingError(
            f"TELEMOCK_API_CA_PEM is {len(pem)} characters that hold no PEM certificate\n\n"
            "hint: it takes the text of the certificates itself, not the name of a file"
        ) from None


def _egress(url: str) -> Egress | None:
    try:
        return parse_egress(url) if url else None
    except ValueError as e:  # its value is not shown: it may hold a password
        raise SettingError(
            f"TELEMOCK_EGRESS_PROXY is no proxy's URL (not shown), expected {e}\n\n"
            "hint: percent-encode what is special in user and password, such as %40 for @"
        ) from None


def table() -> str:
    """The settings for a terminal."""
    lines = []
    for row in SETTINGS:
        lines.append(f"  {row.name}" + (f" (default {row.default})" if row.default else ""))
        lines.extend(
            textwrap.wrap(row.help, 76, initial_indent="      ", subsequent_indent="      ")
        )
    return "\n".join(lines)
