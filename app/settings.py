"""Settings of the server and the command line, each declared once.

Read by `app.main` and the CLI; `python -m app.settings` prints the table of docs/reference, and
with `--env` the text of `.env.example`. The sidecar has its own table (`python -m addon --help`).
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from app import environment, login
from app.contract import dummies, state
from app.contract.actions import MODES, MODES_TEXT, MODES_WANTED, Mode
from app.contract.names import (
    DIR_PROFILES,
    PORT_APP,
    PORT_APP_TLS,
    PORT_EXPLICIT_PROXY,
)
from app.contract.settings import (
    HEALTH_HOSTS,
    LOG_FORMAT,
    LOG_LEVEL,
    Setting,
    SettingError,
    flag,
    one_of,
    optional_path,
    port,
    read,
    resolve,
    size,
    some,
)

TRACE_ID = "{trace_id}"  # in TELEMOCK_TRACE_URL
ADDED = "added"  # in TELEMOCK_PROFILES: all profiles of `telemock profiles add`
CLUSTER = "cluster"  # value of a server: the app in the kubeconfig's cluster

SERVER_WANTED = "an http:// or https:// URL, cluster, or cluster:CONTEXT"

_LOGS_LEAST = 1 << 20


def _days(value: str) -> float:
    days = float(value)
    if not 0 <= days < 1e6:
        raise ValueError
    return days


def _bytes(value: str) -> int:
    try:
        number = size(value)
    except OverflowError:
        raise ValueError from None
    if number < 0:
        raise ValueError
    return number


def _log_size(value: str) -> int:
    number = _bytes(value)
    if 0 < number < _LOGS_LEAST:
        raise ValueError
    return number


def _trace_url(value: str) -> str:
    """Checks the URL with an id filled in: Grafana's URLs are full of braces."""
    parts = urlsplit(value.replace(TRACE_ID, "0" * 32))
    if value and not (
        TRACE_ID in value
        and parts.scheme in ("http", "https")
        and parts.hostname
        and value.isascii()
        and value.isprintable()
    ):
        raise ValueError
    return value


def server(value: str) -> str:
    """Checks a value of TELEMOCK_SERVER or --server."""
    if value.startswith(("http://", "https://")):
        parts = urlsplit(value)
        if not parts.hostname or parts.port == 0:
            raise ValueError
        return value.rstrip("/")
    if value and value != CLUSTER and not value.startswith(f"{CLUSTER}:"):
        raise ValueError
    return value


TLS_SECRET = Setting(
    "TELEMOCK_TLS_SECRET", "", str,
    "Secret of certificates that someone else (cert-manager) renews; empty uses our own.",
)  # fmt: skip

SETTINGS = (
    Setting("HOST", "127.0.0.1", str, "Address that the app listens on."),
    Setting(
        "PORT", str(PORT_APP), port, "Port of the app; 0 takes a free one.",
        "a port from 0 to 65535",
    ),
    LOG_LEVEL,
    LOG_FORMAT,
    Setting("MITM_HOST", "127.0.0.1", str, "Address of the explicit proxy."),
    Setting(
        "MITM_PORT", str(PORT_EXPLICIT_PROXY), port,
        "Port of the explicit proxy; 0 takes a free one.", "a port from 0 to 65535",
    ),
    Setting(
        "TELEMOCK_DATA", "", optional_path,
        "Directory of the store, the spool, the token, the keys and the certificate authority; "
        f"{state.WHERE}.",
    ),
    Setting(
        "TELEMOCK_LOGS", "", optional_path,
        "Directory of the log files; by default `logs` in TELEMOCK_DATA, beside a .telemock of the "
        "working directory.",
    ),
    Setting(
        environment.ENV_FILE, environment.DEFAULT_FILE, str,
        "File of more settings, which the environment wins over. Servers read all lines of it, "
        "other commands those named TELEMOCK_*.",
    ),
    Setting(
        "TELEMOCK_LOGS_DAYS", "30", _days,
        "Days that lines of the log files are kept; 0 keeps them whatever their age.",
        "a number of days, 0 or more",
    ),
    Setting(
        "TELEMOCK_LOGS_SIZE", "1GiB", _log_size,
        "Size that all log files together may reach, rotated ones too, before the oldest of them "
        "go; 0 sets no limit. A volume that holds the store as well needs room for this and for "
        "TELEMOCK_RETENTION_SIZE.",
        "bytes, at least 1MiB or 0, or a number with KiB, MiB or GiB",
    ),
    Setting(
        "TELEMOCK_PROFILES", f"cribl,{ADDED}", some,
        "Profiles in use, comma separated: names of built-in or added ones, files or folders; "
        f"{ADDED} stands for all that `telemock profiles add` put there.",
        "at least one name",
    ),
    Setting(
        "TELEMOCK_MODE", "", one_of("", *MODES),
        f"Replaces the action of every mock rule: {MODES_TEXT}; empty leaves the rules as "
        "they are. Direct use of the app cannot forward, so there observe answers as mock does.",
        MODES_WANTED,
    ),
    Setting(
        "TELEMOCK_MAX_BODY", "4GiB", _bytes,
        "Largest request body that the mock reads; a larger one gets 413. Records keep the first "
        "256 KiB, and size and hash of all that was read.",
        "bytes, or a number with KiB, MiB or GiB",
    ),
    Setting(
        "TELEMOCK_RETENTION_DAYS", "30", _days,
        "Days that captures are kept; 0 keeps them whatever their age.",
        "a number of days, 0 or more",
    ),
    Setting(
        "TELEMOCK_RETENTION_SIZE", "2GiB", _bytes,
        "Size that the store may reach before the oldest captures go; 0 sets no limit. The log "
        "files are no part of it: TELEMOCK_LOGS_SIZE bounds them.",
        "bytes, or a number with KiB, MiB or GiB",
    ),
    Setting(
        "TELEMOCK_RESOLVE", "", resolve,
        "Where the proxy connects instead, like curl's --resolve: HOST:PORT=ADDRESS:PORT, comma "
        "separated.",
        "HOST:PORT=ADDRESS:PORT, comma separated",
    ),
    Setting(
        dummies.SETTING, dummies.DEFAULT, dummies.parse,
        "Ranges that `telemock inject` takes addresses for telemetry hosts from, as networks, "
        "comma separated: the first one of IPv4 and the first one of IPv6 that nothing of the "
        "pod's specification lies in.",
    ),
    Setting(
        "TELEMOCK_SERVER", "", server,
        "URL of the app that the command line asks; cluster or cluster:CONTEXT asks the one in the "
        "kubeconfig's cluster; empty finds the one that runs on TELEMOCK_DATA, or reads the store "
        "there.",
        SERVER_WANTED,
    ),
    Setting(
        "TELEMOCK_CLUSTER", "0", flag,
        "1 in a Kubernetes cluster (the chart sets it): the API is answered on TELEMOCK_TLS_PORT "
        "only, to whom the cluster's API server knows.",
        "1 or 0",
    ),
    Setting(
        "TELEMOCK_TLS_PORT", str(PORT_APP_TLS), port, "Port of the API in a cluster.",
        "a port from 0 to 65535",
    ),
    Setting(
        "TELEMOCK_FULLNAME", "telemock", str,
        "Name of the release's Service, Deployment and, with endings, other objects.",
    ),
    TLS_SECRET,
    Setting(
        "TELEMOCK_TRACE_URL", "", _trace_url,
        "Link to a trace in Jaeger or Grafana, with {trace_id} where its id stands, such as "
        "https://jaeger.example/trace/{trace_id}: captures then carry theirs as trace_url.",
        "an http:// or https:// URL with {trace_id} in it",
    ),
    Setting(
        "TELEMOCK_METRICS_NAMES", "0", flag,
        "1 shows metrics with names of namespaces, workloads and hosts to all who ask for /metrics "
        "in a cluster; else they need TLS, and a token that may read captures.",
        "1 or 0",
    ),
    *login.SETTINGS,
    HEALTH_HOSTS,
    Setting("POD_NAMESPACE", "", str, "Namespace of the app's own pod."),
    Setting("POD_NAME", "", str, "Name of the app's own pod, for what OpenTelemetry gets."),
    Setting("POD_UID", "", str, "Uid of the app's own pod, for the same."),
    Setting("NODE_NAME", "", str, "Node of the app's own pod, for the same."),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings' values. Sizes in bytes; `mode` None leaves the rules as they are. `environ`
    gives the default directories, which are not looked for before they are asked for."""

    environ: Mapping[str, str] = field(repr=False, compare=False)

    host: str
    port: int
    log_level: str
    log_format: str
    mitm_host: str
    mitm_port: int
    data_given: Path | None
    logs_given: Path | None
    env_file: str
    logs_days: float
    logs_size: int
    profiles_given: tuple[str, ...]
    mode: Mode | None
    max_body: int
    retention_days: float
    retention_size: int
    resolve: Mapping[tuple[str, int], tuple[str, int]]
    dummy_ranges: tuple[dummies.Network, ...]
    server: str
    cluster: bool
    tls_port: int
    fullname: str
    tls_secret: str
    trace_url: str
    metrics_names: bool
    login_header: str
    login_from: tuple[dummies.Network, ...]
    login_secret: str = field(repr=False)
    login_prefix: str
    health_hosts: frozenset[str]
    pod_namespace: str
    pod_name: str
    pod_uid: str
    node_name: str

    @cached_property
    def data(self) -> Path:
        """Raises SettingError if no directory is given and there is no default."""
        return self.data_given or state.directory(self.environ)

    @property
    def profiles(self) -> tuple[str, ...]:
        """The sources of the profiles in use."""
        return self.sources(self.profiles_given)

    @property
    def added(self) -> Path | None:
        """The directory of added profiles; None without a data directory."""
        try:
            return self.data / DIR_PROFILES
        except SettingError:
            return None

    def sources(self, named: Sequence[str]) -> tuple[str, ...]:
        """The files of added profiles in place of their names; other names stay as they are."""
        if (folder := self.added) is None:
            return tuple(name for name in named if name != ADDED)
        found = (
            folder if name == ADDED else file if (file := folder / f"{name}.yaml").is_file()
            else name
            for name in named
        )  # fmt: skip
        return tuple(str(one) for one in found if one != folder or folder.is_dir())

    @cached_property
    def logs(self) -> Path:
        """Raises as `data`."""
        return self.logs_given or state.logs(self.data)


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Reads settings from `environ`; None means what commands read of the process's environment,
    and servers give `environment.server()`. Raises SettingError."""
    if environ is None:
        environ = environment.client()
    values = read(SETTINGS, environ)
    login.check(values)
    return Settings(
        environ=environ,
        mode=cast("Mode | None", values.pop("TELEMOCK_MODE") or None),
        profiles_given=values.pop("TELEMOCK_PROFILES"),
        data_given=values.pop("TELEMOCK_DATA"),
        logs_given=values.pop("TELEMOCK_LOGS"),
        **{name.removeprefix("TELEMOCK_").lower(): value for name, value in values.items()},
    )


def markdown(table: Sequence[Setting] = SETTINGS) -> str:
    """Renders the table of docs/reference/settings.md."""
    rows = ["| Setting | Default | Meaning |", "|---|---|---|"]
    for row in table:
        default = f"`{row.default}`" if row.default else "empty"
        rows.append(f"| `{row.name}` | {default} | {row.help.replace('|', '\\|')} |")
    return "\n".join(rows) + "\n"


def env_file() -> str:
    """Renders `.env.example`: every setting with its help, commented out at its default."""
    parts = [
        "# Copy to .env in the working directory; the environment wins over a line here. Servers\n"
        "# (serve, proxy) read all lines, other commands those named TELEMOCK_*.\n"
    ]
    parts += [f"# {row.help}\n#{row.name}={row.default}\n" for row in SETTINGS]
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(env_file() if "--env" in sys.argv[1:] else markdown())
