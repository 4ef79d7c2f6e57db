"""Settings of redirects: where redirected connections arrive, and which hosts their addresses mean.

A part of the table of `addon.options`.
"""

from ipaddress import ip_address

from app.contract.dummies import PORTS_SETTING, PORTS_WANTED, parse_ports
from app.contract.record import Endpoint
from app.contract.settings import Setting, listed, port


def _listeners(value: str) -> tuple[Endpoint, ...]:
    """`127.0.0.1:17443,[::1]:17443`. Wildcards are refused: they would redirect into themselves."""
    found = []
    for item in listed(value):
        host, _, number = item.rpartition(":")
        host = host.strip("[]")
        if not host or host in ("0.0.0.0", "::"):  # noqa: S104 - refused here
            raise ValueError("ADDRESS:PORT")
        found.append(Endpoint(host, port(number)))
    return tuple(found)


def _hosts(value: str) -> dict[str, str]:
    """`ADDRESS=HOST`, comma separated: the dummy addresses that stand for telemetry hosts."""
    found = {}
    for item in listed(value):
        address, _, host = item.partition("=")
        if not address or not host:
            raise ValueError("ADDRESS=HOST")
        found[address.strip("[]")] = host.lower().rstrip(".")
    return found


def _loopback(value: str) -> dict[str, str]:
    found = _hosts(value)
    if not all(ip_address(address).is_loopback for address in found):
        raise ValueError
    return found


SETTINGS = (
    Setting("TELEMOCK_TRANSPARENT", "", _listeners,
            "Where redirected connections arrive, for example 127.0.0.1:17443,[::1]:17443.",
            "ADDRESS:PORT, comma separated, no wildcard address"),
    Setting("TELEMOCK_LOOPBACK", "", _loopback,
            "Loopback addresses and the telemetry hosts that /etc/hosts gives them: the sidecar "
            "listens there, on 127.0.0.1 and on ::1, on ports 80 and 443 and those of "
            "TELEMOCK_PORTS.",
            "ADDRESS=HOST with addresses such as 127.0.0.2, comma separated"),
    Setting("TELEMOCK_HOSTS", "", _hosts,
            "Dummy addresses and the telemetry hosts they stand for: a connection to one of them "
            "names its host even without SNI, and is never made.",
            "ADDRESS=HOST, comma separated"),
    Setting(PORTS_SETTING, "", parse_ports,
            "Other ports of telemetry hosts than 80 and 443 that the redirect leads here.",
            PORTS_WANTED),
)  # fmt: skip
