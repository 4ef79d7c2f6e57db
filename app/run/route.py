"""The kernel's way to an address; nothing is sent. Asked by `app.run.interception`."""

import socket
from ipaddress import ip_address
from pathlib import Path

_INTERFACES = Path("/proc/sys/net/ipv4/conf")


def source(address: str) -> str | None:
    """Our own address that a connection there would come from; None without a way there."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return None


def is_local(address: str) -> bool:
    """True if the address is one of this machine's: what goes there comes from there."""
    number = ip_address(address)
    return number.is_unspecified or number.is_loopback or source(address) == address


def may_lead_on(address: str) -> bool:
    """True of a local address whose datagrams a rule of the kernel's may lead to another machine
    where nobody here takes them (a Kubernetes node's ports)."""
    if not ip_address(address).is_loopback:
        return True
    return any(map(_lets_out, _INTERFACES.glob("*/route_localnet")))


def _lets_out(setting: Path) -> bool:
    """Without it the kernel sends nothing from loopback to anywhere else."""
    try:
        return setting.read_text().strip() != "0"
    except OSError:  # the interface is gone
        return False


def is_bound(sock: socket.socket) -> bool:
    """True if the socket has a way of its own: a device, or a mark."""
    try:
        device = sock.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).strip(b"\0")
        return bool(device or sock.getsockopt(socket.SOL_SOCKET, socket.SO_MARK))
    except OSError:
        return False
