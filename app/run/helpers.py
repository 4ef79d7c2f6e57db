"""Programs of this machine that the command talks to, and that may send for it: who listens, and
whether that is one of the command's own. Asked by `app.run.interception`.
"""

import ctypes
import os
import re
import socket
import struct
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path

from app.contract import processes
from app.contract.processes import Address, Socket

# Through these a program has others connect for it, as far as we know.
DAEMONS = ("docker.sock", "containerd.sock", "podman.sock", "buildkitd.sock", "crio.sock")
# Services of the system that hand nothing on, or only what they are for: a limit, and no gap.
_SERVICES = re.compile(
    r"/dev/log|/run/systemd/journal/.*|/run/nscd/.*|/run/systemd/(resolve|userdb)/.*"
    r"|/var/lib/sss/.*|/run/avahi-daemon/.*"
    r"|@?/tmp/\.(X11|ICE)-unix/.*|/run/user/\d+/(wayland-|pipewire-|pulse/|at-spi).*"
    r"|/run/dbus/system_bus_socket|/run/user/\d+/bus|@/tmp/dbus-.*"
    r"|.*/S\.gpg-agent.*|.*/agent\.\d+|/run/user/\d+/(keyring|ssh-agent).*"
)
_ITSELF = re.compile(rb"^/(proc/(thread-)?self|dev(?=/fd/))/")
_OPENAT2, _IN_ROOT = 437, 0x10  # on every architecture
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_CREDENTIALS = struct.Struct("=iII")


def is_service(name: str) -> bool:
    """True of a Unix socket by which the system's own services are reached."""
    name = name.replace("/var/run/", "/run/", 1)
    return bool(_SERVICES.fullmatch(name)) or name == os.environ.get("SSH_AUTH_SOCK")


def who_listens(peer: socket.socket) -> int:
    """The process that listened when this Unix socket was connected; 0 if it is not known."""
    try:
        given = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    except OSError:
        return 0
    return int(_CREDENTIALS.unpack(given)[0])


def serving(rows: Iterable[Socket], to: Address, *, shared: bool = False) -> set[int]:
    """The inodes of the sockets that get what is sent to this local address: bound to it, or else
    to every address. `shared`: and to every address, who get it once the others are gone."""
    found = [row for row in rows if row.own[1] == to[1] and row.inode]
    if ip_address(to[0]).is_unspecified:  # any address of this machine
        return {row.inode for row in found}
    exact = {row.inode for row in found if row.own[0] == to[0]}
    if exact and not shared:
        return exact
    return exact | {row.inode for row in found if ip_address(row.own[0]).is_unspecified}


@contextmanager
def reached(raw: bytes, thread: int) -> Iterator[bytes]:
    """Gives what to connect to, for the Unix socket that the thread reaches by this address: its
    links lead where they lead for the thread, but for those to what a process has open, which the
    kernel does not follow. Raises OSError."""
    name = raw[2:]
    if name[:1] == b"\0":
        yield name
        return
    name = name.partition(b"\0")[0]
    if not name.startswith(b"/"):
        root, here = (bytes(Path(f"/proc/{thread}/{of}").readlink()) for of in ("root", "cwd"))
        name = b"/".join((here.removeprefix(root.rstrip(b"/")), name))
    name = _ITSELF.sub(b"/proc/%d/" % thread, name)
    root_fd = os.open(f"/proc/{thread}/root", os.O_PATH | os.O_CLOEXEC)
    try:
        how = struct.pack("=3Q", os.O_PATH | os.O_CLOEXEC, 0, _IN_ROOT)
        fd = int(_libc.syscall(_OPENAT2, root_fd, name, how, len(how)))
    finally:
        os.close(root_fd)
    if fd < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    try:
        yield f"/proc/self/fd/{fd}".encode()
    finally:
        os.close(fd)


def bound_name(peer: socket.socket) -> str:
    """The name by which the other end's server is bound, as the kernel's tables have it."""
    name: str | bytes = peer.getpeername()
    if isinstance(name, bytes):
        return "@" + name[1:].decode("utf-8", "replace").replace("\0", "@")
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def name_in(name: str, process: int) -> str:
    """The socket's whole path, as the process sees it."""
    if name.startswith(("/", "@")):
        return name
    try:
        return str(Path(f"/proc/{process}/cwd").readlink() / name)
    except OSError:
        return name


def whole_name(raw: bytes, name: str, thread: int) -> str:
    """The socket's whole path as the thread sees it, and so that it is not taken for ours where
    that is another file."""
    whole = name_in(name, thread)
    with suppress(OSError):
        if whole.startswith("@"):
            return whole
        with reached(raw, thread) as place:
            if Path(os.fsdecode(place)).samefile(whole):
                return whole
    return f"{whole} of its own root"


class Own:
    """Knows the sockets of the command's own processes: our descendants but for `ours`."""

    def __init__(self, ours: Collection[int] = ()) -> None:
        self._ours, self._inodes, self._pids = ours, set[int](), set[int]()

    def has(self, inodes: set[int]) -> bool:
        """True if the command's own processes have all of them."""
        if not inodes <= self._inodes:
            for pid in self._processes():
                self._inodes |= processes.sockets_of(pid)
        return inodes <= self._inodes

    def look(self, caller: int) -> None:
        """Remembers who lives now: it may have ended when it matters whose it was."""
        self._pids.update(self._processes(), (caller,))

    def has_process(self, pid: int) -> bool:
        ended = pid in self._pids and not processes.lives(pid)
        return ended or pid in self._processes()

    def _processes(self) -> list[int]:
        spared = {pid for one in self._ours for pid in (one, *processes.descendants(one))}
        return [pid for pid in processes.descendants(os.getpid()) if pid not in spared]

    def has_name(self, name: str, of: int) -> bool:
        """True if the command's own have the Unix socket that is bound by this name: all of that
        name, in the network of the process `of` and in ours, as a path is no network's."""
        rows = {*processes.unix(of), *processes.unix()}
        inodes = {inode for bound, inode in rows if bound == name and inode}
        return bool(inodes) and self.has(inodes)
