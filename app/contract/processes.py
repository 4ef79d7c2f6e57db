"""Reads /proc: which processes descend from one, what they are called, which sockets they have.

For laptops only: `telemock run` and its sidecar tell by it who made a connection. All of it is
empty where there is no /proc, and for processes that ended or belong to somebody else.
"""

import re
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

Address = tuple[str, int]
ESTABLISHED, SYN_SENT, LISTEN = 1, 2, 10  # of the kernel's states
_MAPPED = "::ffff:"
_UNIX = re.compile(rb"^[0-9a-f]+:(?: [0-9A-F]+){5} +(\d+) (.+)$", re.MULTILINE)


class Socket(NamedTuple):
    """A TCP or UDP socket. `inode` is 0 once no process has it."""

    own: Address
    peer: Address
    state: int
    inode: int


def descendants(pid: int) -> list[int]:
    """The living processes that this one started, and those that they started."""
    found = children(pid)
    for each in found:  # grows while it is read
        found += children(each)
    return [one for one in found if lives(one)]


def children(pid: int) -> list[int]:
    """Those that it started, or adopted; the ended ones too."""
    found: list[int] = []
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                found += map(int, (thread / "children").read_bytes().split())
    return found


def lives(pid: int) -> bool:
    try:
        said = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return said.rpartition(b") ")[2][:1] not in b"ZX"


def leader(thread: int) -> int:
    """The id of the process that has this thread; 0 once it is gone."""
    with suppress(OSError):
        for line in Path(f"/proc/{thread}/status").read_bytes().splitlines():
            if line.startswith(b"Tgid:"):
                return int(line[5:])
    return 0


def name_of(pid: int) -> str:
    """The program's file name, as its command line begins; else what the kernel calls it."""
    with suppress(OSError):
        first = Path(f"/proc/{pid}/cmdline").read_bytes().partition(b"\0")[0].partition(b" ")[0]
        if name := first.rpartition(b"/")[2]:
            return name[:80].decode("utf-8", "replace")
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
    return ""


def sockets_of(pid: int) -> set[int]:
    """The inodes of the process's sockets."""
    found = set()
    with suppress(OSError):
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                target = str(fd.readlink())
                if target.startswith("socket:["):
                    found.add(int(target[8:-1]))
    return found


def tcp(pid: int | str = "self") -> Iterator[Socket]:
    """The TCP sockets of the network that this process is in."""
    return _sockets(pid, ("tcp", "tcp6"))


def udp(pid: int | str = "self") -> Iterator[Socket]:
    """The UDP sockets of that network."""
    return _sockets(pid, ("udp", "udp6"))


def _sockets(pid: int | str, tables: Sequence[str]) -> Iterator[Socket]:
    for name in tables:
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/net/{name}").read_bytes().splitlines()[1:]:
                words = line.split()
                yield Socket(
                    _address(words[1]), _address(words[2]), int(words[3], 16), int(words[9])
                )


def unix(pid: int | str = "self") -> Iterator[tuple[str, int]]:
    """The names and inodes of the bound Unix sockets of that network; `@` begins a name that is no
    path. The kernel writes a name as it is, with its ends of lines: such a name is not found."""
    with suppress(OSError):
        for row in _UNIX.finditer(Path(f"/proc/{pid}/net/unix").read_bytes()):
            yield row[2].decode("utf-8", "replace"), int(row[1])


def _address(text: bytes) -> Address:
    """The kernel writes each word of an address as a number of its own byte order."""
    host, _, port = text.partition(b":")
    raw = b"".join(struct.pack("=I", int(host[i : i + 8], 16)) for i in range(0, len(host), 8))
    return plain_address(raw), int(port, 16)


def plain_address(raw: bytes) -> str:
    """An address's 4 or 16 bytes as text; an IPv4 address within IPv6 as itself."""
    family = socket.AF_INET if len(raw) == 4 else socket.AF_INET6
    return socket.inet_ntop(family, raw).removeprefix(_MAPPED)
