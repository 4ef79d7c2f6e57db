"""Checks the Host header of requests for our processes' health.

`/health`, `/ready` and `/metrics` need no token. A foreign web page can have a name of its own
resolve to a pod's or this machine's address, and would then read them in the user's browser (DNS
rebinding). It cannot do so with an address, or with a name that no public DNS resolves.
"""

from collections.abc import Collection
from ipaddress import ip_address

from app.contract.canonical import hosts_in

_WITHIN = (
    ".localhost", ".localdomain", ".local", ".internal", ".home.arpa", ".svc",
    ".svc.cluster.local", ".pod.cluster.local",
)  # fmt: skip
UNKNOWN = (
    "this process is not asked by that name\n\n"
    "hint: use an address, or name it in TELEMOCK_HEALTH_HOSTS\n"
)


def is_ours(host: str, names: Collection[str] = ()) -> bool:
    """True if a Host header may name this process; `names` are a setting's. Without a Host header
    the client is no browser."""
    host = host.strip()
    # One label is a name of this network: a service, a container, a machine.
    ours = [
        "." not in name or is_address(name) or name.endswith(_WITHIN) or name in names
        for name in hosts_in(host)
    ]
    return all(ours) and bool(ours or not host)


def is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
