"""The systems that are compared: how each is started, and how the pod's connections reach it.

All of them run as the sidecar's user does in a pod, so that the same rules exempt them.
"""

import http.client
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

from addon.redirect.ruleset import Dummy, ruleset
from app.contract import names
from app.demo.plan import VERSIONS, parameters
from tests.bench.lab import APP, DUMMIES, POD, PORT_OTLP, TELEMETRY, Lab, tool
from tests.bench.processes import Process, Started, own_folder
from tests.bench.targets import TARGETS
from tests.bench.upstream import nginx

BIN = Path(sys.executable).parent
SCRIPT = str(Path(__file__).with_name("answering.py"))

AT_SIDECAR, AT_APP = "/telemetry/index.html", "/telemetry/"
QUERY = "&".join(f"{k}={v}" for k, v in parameters(VERSIONS[0], 1).items())


def url(path: str) -> str:
    """A node's telemetry as Cribl's nodes send it, with its 47 parameters."""
    return f"https://{TELEMETRY}{path}?{QUERY}"


class System(NamedTuple):
    """`rules` for nft; `address` of the telemetry host in /etc/hosts; `start` None: no proxy."""

    name: str
    rules: str
    address: str
    start: Callable[[Lab, int | None], Started] | None


def _dummies() -> list[Dummy]:
    return [Dummy(ip_address(address), TELEMETRY) for address in DUMMIES.values()]


def of_hosts(port: int) -> str:
    return ruleset(_dummies(), port)


def of_all(port: int) -> str:
    return ruleset(_dummies(), port, (4, 6))


def telemock(
    name: str, port: int, health: int, **environ: str
) -> Callable[[Lab, int | None], Started]:
    """As in its image and pod: -OO, with records going to the app. `port` 0: no redirect."""

    def start(lab: Lab, processor: int | None) -> Started:
        where = own_folder(lab, name)
        process = Process(
            lab,
            "pod",
            [sys.executable, "-m", "addon"],
            where / "stdout",
            processor=processor,
            as_sidecar=True,
            environ={
                "MALLOC_ARENA_MAX": "1",
                "PYTHONOPTIMIZE": "2",
                "TELEMOCK_APP_URL": f"http://{APP}:{names.PORT_APP}",
                "TELEMOCK_TOKEN_FILE": str(lab.folder / "app" / names.FILE_TOKEN),
                "TELEMOCK_DATA": str(where / "data"),
                "TELEMOCK_HEALTH_HOST": POD,
                "TELEMOCK_HEALTH_PORT": str(health),
                "POD_NAMESPACE": "bench",
                "POD_NAME": name,
                **({"TELEMOCK_TRANSPARENT": f"127.0.0.1:{port},[::1]:{port}",
                    "TELEMOCK_HOSTS": _pairs(DUMMIES.values())} if port else {}),
                **environ,
            },
        )  # fmt: skip
        ready_s = process.until(lambda: _asked(POD, health, "/ready") is not None)

        def told() -> dict[str, Any]:
            said: dict[str, Any] = json.loads(_asked(POD, health, "/health") or b"{}")
            return said

        process.until(lambda: told()["profiles"]["source"] == "app")
        return Started(process, ready_s, told)

    return start


def _pairs(addresses: Iterable[str]) -> str:
    return ",".join(f"{address}={TELEMETRY}" for address in addresses)


def _asked(host: str, port: int, path: str) -> bytes | None:
    """The answer, None unless it is 200."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.read() if answer.status == 200 else None
    except OSError:
        return None
    finally:
        connection.close()


def mitmdump(port: int, *options: str, **environ: str) -> Callable[[Lab, int | None], Started]:
    """Stock, quiet, and never calling the real host before it must."""

    def start(lab: Lab, processor: int | None) -> Started:
        where = own_folder(lab, "mitmdump")
        command: list[object] = [BIN / "mitmdump", "--quiet"]
        for address in ("127.0.0.1", "::1"):
            command += ["--mode", f"transparent@{address}:{port}"]
        settings = (f"confdir={lab.confdir}", "block_global=false", "connection_strategy=lazy",
                    "upstream_cert=false", f"ssl_verify_upstream_trusted_ca={lab.ca}")  # fmt: skip
        for setting in settings:
            command += ["--set", setting]
        given = {
            "HOME": str(where),
            "BENCH_APP": f"{APP}:{names.PORT_APP}",
            "BENCH_AT_APP": f"{AT_APP}?",
            "BENCH_HEADER_RECORD": names.HEADER_RECORD,
            **environ,
        }
        process = Process(lab, "pod", [*command, *options], where / "stdout", processor=processor,
                          as_sidecar=True, environ=given)  # fmt: skip
        return Started(process, process.until(lambda: process.listens(port)))

    return start


_HAPROXY = """global
  nbthread 1
  tune.pipesize 1048576
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option splice-auto
frontend f
  bind 127.0.0.1:{port}
  bind [::1]:{port}
  tcp-request inspect-delay 2s
  tcp-request content accept if !{{ req.payload(0,1) -m bin 16 }}
  tcp-request content accept if {{ req.ssl_hello_type 1 }}
  use_backend telemetry if {{ req.ssl_sni -i {host} }}
  default_backend others
backend others
  server destination 0.0.0.0:0
backend telemetry
  server sidecar 127.0.0.1:9
"""


def haproxy(port: int) -> Callable[[Lab, int | None], Started]:
    """Splits by SNI, and splices in the kernel what is not telemetry."""

    def start(lab: Lab, processor: int | None) -> Started:
        where = own_folder(lab, "haproxy")
        file = where / "haproxy.cfg"
        file.write_text(_HAPROXY.format(port=port, host=TELEMETRY))
        process = Process(lab, "pod", ["haproxy", "-db", "-f", file], where / "stdout",
                          processor=processor, as_sidecar=True)  # fmt: skip
        return Started(process, process.until(lambda: process.listens(port)))

    return start


# By name, in the order of the tables.
OTHER = (
    System("direct", "", "", None),
    System("telemock hosts", of_hosts(17443), "", telemock("hosts", 17443, 17490)),
    System("telemock loopback", "", "", telemock(
        "loopback", 0, 17491,
        TELEMOCK_LOOPBACK=_pairs([names.LOOPBACK_IPV4]),
    )),
    System("telemock all", of_all(17444), "", telemock("all", 17444, 17492)),
    System("mitmdump ignore_hosts", of_all(17445), "",
           mitmdump(17445, "--ignore-hosts", rf"^(?!{TELEMETRY.replace('.', '[.]')})")),
    System("haproxy SNI split", of_all(17446), "", haproxy(17446)),
)  # fmt: skip

INTERCEPTED = (
    System("telemock", of_hosts(17443), DUMMIES[4], telemock("answering", 17443, 17490)),
    System("mitmdump", of_hosts(17445), DUMMIES[4], mitmdump(17445, "--scripts", SCRIPT)),
    System("mitmdump, python -O", of_hosts(17445), DUMMIES[4],
           mitmdump(17445, "--scripts", SCRIPT, PYTHONOPTIMIZE="1")),
    System("nginx", of_hosts(17447), DUMMIES[4], nginx(17447)),
)  # fmt: skip

# Of this one only the footprint is measured. Metrics go out each second, so that they have gone out
# before the first look.
EXPORTING = System(
    "telemock, OTLP", of_hosts(17443), DUMMIES[4],
    telemock("exporting", 17443, 17490, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{APP}:{PORT_OTLP}",
             OTEL_METRIC_EXPORT_INTERVAL="1000"),
)  # fmt: skip

# What a system's proxy needs besides Python; where it is not installed, the system is left out.
NEEDS = {"haproxy SNI split": "haproxy", "nginx": "nginx"}


def usable(systems: Sequence[System], left_out: list[str], *, aimed: bool) -> list[System]:
    """The systems that can run here; names of the others go to `left_out`. `aimed`: only those that
    a target names, not those that show the scale."""
    wanted = {name for target in TARGETS for name in (target.system, target.base)}
    found = []
    for system in systems:
        if aimed and system.name not in wanted:
            continue
        needed = NEEDS.get(system.name)
        if needed and tool(needed) is None:
            left_out.append(f"{system.name} ({needed} is not installed)")
        else:
            found.append(system)
    return found
