"""A gate's `--allow`: a host, with a port or without, an address, or a Unix socket's path.

A name alone proves nothing, since whoever connects says it. So a connection is allowed by the
address that it went to: one that telemock itself looked up for the name; by the proxy the sidecar
looks up. Asked by `app.run.gate`.
"""

import re
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import NamedTuple

from app.contract.hosts import is_address
from app.contract.record import CaptureRecord, bracketed
from app.run.interception import Passed
from app.run.processes import LocalError
from app.run.transparent import DUMMIES, AllowedHost

WEB = (80, 443)
# What a line of /etc/hosts can name: one word of it, and nothing that ends a line.
_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?")
_HINT = "hint: --allow takes HOST, HOST:PORT, an address, or the path of a Unix socket"


class Entry(NamedTuple):
    """`ports` is () for a Unix socket, whose path is `name`."""

    name: str
    ports: tuple[int, ...]

    def __str__(self) -> str:
        host = bracketed(self.name) if self.ports else self.name
        return host if self.ports in ((), WEB) else f"{host}:{self.ports[0]}"


def read(values: Iterable[str]) -> list[Entry]:
    """Raises LocalError."""
    words = [word.strip() for value in values for word in value.split(",")]
    return [_entry(word) for word in words if word]


def _entry(word: str) -> Entry:
    if word.startswith(("/", "@")):
        return Entry(word, ())
    host = word
    ports: tuple[int, ...] = WEB
    if not is_address(word):
        name, colon, port = word.rpartition(":")
        if colon:
            if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
                raise LocalError(f"--allow {word}: {port!r} is no port\n\n{_HINT}")
            host, ports = name, (int(port),)
        host = host.removeprefix("[").removesuffix("]")
    if not host or any(c in host for c in "*/@ ") or "://" in word:
        raise LocalError(f"--allow {word}: not the name of one host\n\n{_HINT}")
    return Entry(host.lower().rstrip("."), ports)


def leads(name: str, address: str) -> bool:
    """True if the sidecar itself looks up where that goes: by the proxy, or a dummy address."""
    return address == name or (
        is_address(address) and any(ip_address(address) in of for of in DUMMIES)
    )


class Allowed:
    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = entries
        self._addresses: dict[str, set[str]] = {}
        self.look_up()

    def look_up(self) -> None:
        """Once before and once after the command: names move."""
        for name in {entry.name for entry in self.entries if entry.ports}:
            with suppress(OSError):
                found = {str(row[4][0]) for row in socket.getaddrinfo(name, None)}
                self._addresses.setdefault(name, set()).update(found)

    def hosts(self) -> list[AllowedHost]:
        """For the command's /etc/hosts: by it the command asks nobody."""
        ports: dict[str, set[int]] = {}
        for entry in self.entries:
            ports.setdefault(entry.name, set()).update(entry.ports)
        return [
            AllowedHost(address, name, frozenset(ports[name]))
            for name, found in self._addresses.items()
            if _NAME.fullmatch(name) and not is_address(name)
            for address in sorted(found)
            if not leads(name, address)
        ]

    def unknown(self) -> list[str]:
        names = dict.fromkeys(entry.name for entry in self.entries if entry.ports)
        return [name for name in names if not self._addresses.get(name)]

    def record(self, one: CaptureRecord) -> bool:
        to = one.destination
        if to is None:
            return False
        host, address = one.host.lower().rstrip("."), to.address.lower().rstrip(".")
        return any(
            entry.name == host and to.port in entry.ports and self._leads(entry.name, address)
            for entry in self.entries
        )

    def passed(self, one: Passed) -> bool:
        path = one.to.partition(" (")[0]
        return any(
            path == entry.name if not entry.ports else one.to in self._targets(entry)
            for entry in self.entries
        )

    def _leads(self, name: str, address: str) -> bool:
        return address in self._addresses.get(name, ()) or leads(name, address)

    def _targets(self, entry: Entry) -> set[str]:
        addresses = {entry.name, *self._addresses.get(entry.name, ())}
        return {f"{bracketed(address)}:{port}" for address in addresses for port in entry.ports}
