"""The kernel's way to an address; nothing is sent. Asked by `app.run.interception`."""

import socket
from ipaddress import ip_address


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


def is_bound(sock: socket.socket) -> bool:
    """True if the socket has a way of its own: a device, or a mark."""
    try:
        device = sock.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).strip(b"\0")
        return bool(device or sock.getsockopt(socket.SOL_SOCKET, socket.SO_MARK))
    except OSError:
        return False
