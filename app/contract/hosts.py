"""Names by which a process of ours may be asked how it is.

`/health`, `/ready` and `/metrics` ask for no token. A page of somebody else can make a name of its
own lead to a pod's or this machine's address, and would then read them in the user's browser (DNS
rebinding). It cannot do so with an address, or with a name that no public DNS gives out.
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
    """Whether a Host header may name this process; `names` are those of a setting. Without one the
    client is no browser."""
    host = host.strip()
    # One label is a name of this network's own: a service, a container, a machine.
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
