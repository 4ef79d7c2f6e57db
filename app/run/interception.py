"""Leads the command's connections to web ports to the sidecar, whoever in the command makes them,
and notes the others: the kernel asks about each `connect` (`app.run.seccomp`).

Nothing of the machine's network is changed and no packet of other traffic comes here: what is not
for the sidecar, the kernel does as it was asked. A connection to the sidecar begins with a preface
(`app.contract.preface`), so that the sidecar knows where it was going.
"""

import errno
import os
import select
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from app.contract import preface, processes
from app.contract.names import REDIRECTED_PORTS
from app.contract.processes import Address
from app.contract.record import Endpoint, Program, bracketed
from app.run.seccomp import Notifications, Question, socket_of

THREADS = 4  # calls that are answered at once
NOTED = 1000  # different connections that are kept for the verdict
# Where port and address are, and the size of the latter.
_FAMILIES: Mapping[int, tuple[int, int, int]] = {
    socket.AF_INET: (2, 4, 4),
    socket.AF_INET6: (2, 8, 16),
}
_MAPPED = bytes(10) + b"\xff\xff"
_SETTLED_S = 5.0  # a connection on loopback is made at once
_TCP = (0, socket.IPPROTO_TCP, 262)  # the last: MPTCP
_DNS = 53
_QUIC = 443

# What became of a connection that did not go to the sidecar.
OTHER_PORT, OTHER_NETWORK, LOCAL, DAEMON, UNREADABLE, DATAGRAMS, REFUSED, BROKEN, ROUND = (
    "other_port", "other_network", "local", "daemon", "unreadable", "datagrams", "refused",
    "broken", "round",
)  # fmt: skip
# Through these a program has others connect for it, as far as we know.
_DAEMONS = ("docker.sock", "containerd.sock", "podman.sock", "buildkitd.sock")


class Passed(NamedTuple):
    """A kind of connection that did not come to the sidecar. `to` is ADDRESS:PORT, or a path."""

    why: str
    program: Program
    to: str


class Target(NamedTuple):
    """The sidecar's port, and all of ours. `hosts` are the dummy addresses and the hosts that they
    stand for."""

    port: int
    ours: frozenset[int]  # ports of app and sidecar on loopback
    hosts: Mapping[str, str]


class Interception:
    """`brought` counts connections that were led to the sidecar, `passed` the others that are worth
    a word, `programs` who made any."""

    def __init__(self, notifications: Notifications, target: Target) -> None:
        self._calls, self._target = notifications, target
        self.brought = 0
        self.passed: Counter[Passed] = Counter()
        self.left_out = 0  # of those, beyond NOTED
        self._lock = threading.Lock()
        self._listens: dict[int, bool] = {}  # port on loopback -> one of the command's own has it
        self._threads = [
            threading.Thread(target=self._serve, name="telemock-connect", daemon=True)
            for _ in range(THREADS)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """From now on the command's processes can connect no more."""
        self._calls.stop()
        for thread in self._threads:
            thread.join()
        self._calls.close()

    def _serve(self) -> None:
        for call in self._calls:
            try:
                error = self._decide(call)
            except OSError as e:  # the process ended, made a mistake, or is not ours to read
                if e.errno in (errno.EPERM, errno.EACCES) and self._calls.waits(call):
                    pid = processes.leader(call.thread)
                    self._note(UNREADABLE, pid, "an address that may not be read")
                error = None
            if error is None:
                self._calls.go_on(call)
            else:
                self._calls.answer(call, error)

    def _decide(self, call: Question) -> int | None:
        """The errno with which the call ends, 0 for success; None if the kernel is to do it.

        Raises OSError.
        """
        pid = processes.leader(call.thread)
        fd, raw = _arguments(call, pid)
        if not self._calls.waits(call):  # the id may be another process's by now
            return errno.EINTR
        family = int.from_bytes(raw[:2], "little") if len(raw) > 2 else 0
        if family == socket.AF_UNIX:
            path = raw[2:].partition(b"\0")[0].decode("utf-8", "replace")
            if path.endswith(_DAEMONS):
                self._note(DAEMON, pid, path)
            return None
        if family not in _FAMILIES or len(raw) < _FAMILIES[family][1] + _FAMILIES[family][2]:
            return None
        port, start, size = _FAMILIES[family]
        packed = raw[start : start + size]
        to = processes.plain_address(packed), int.from_bytes(raw[port : port + 2])
        with _copy(pid, fd) as sock:
            kind = sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE)
            protocol = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PROTOCOL)
            if kind == socket.SOCK_STREAM and protocol in _TCP:
                listener = _listener(packed)
                return self._stream(sock, pid, to, listener)
            if kind == socket.SOCK_DGRAM:
                return self._datagrams(sock, pid, to)
        self._note(OTHER_PORT, pid, _written(to))
        return None

    def _stream(self, sock: socket.socket, pid: int, to: Address, listener: str) -> int | None:
        address, port = to
        dummy = address in self._target.hosts
        if not dummy and _is_local(address):
            if port in self._target.ours:
                self._count()
            elif not self._is_commands(port):
                self._note(LOCAL, pid, _written(to))
            return None
        # Link-local: a cloud's metadata service there gives credentials.
        if port not in REDIRECTED_PORTS or ip_address(address).is_link_local:
            self._note(REFUSED if dummy else OTHER_PORT, pid, self._named(to))
            return errno.ECONNREFUSED if dummy else None
        if not dummy and not _has_route(address):
            return None  # the kernel says so itself
        if _namespace(pid) != _namespace("self"):
            self._note(OTHER_NETWORK, pid, self._named(to))
            return None
        return self._lead(sock, pid, to, listener)

    def _lead(self, sock: socket.socket, pid: int, to: Address, listener: str) -> int:
        """Connects the command's own socket to the sidecar."""
        asked_before = _has_peer(sock)
        error = sock.connect_ex((listener, self._target.port))
        if asked_before:
            return error
        if error not in (0, errno.EINPROGRESS):
            self._note(BROKEN, pid, self._named(to))
            return error
        writable = select.poll()
        writable.register(sock, select.POLLOUT)
        program = Program(processes.name_of(pid), pid)
        line = preface.encode(preface.Preface(Endpoint(*to), program))
        writable.poll(_SETTLED_S * 1000)
        try:
            sock.send(line, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except OSError as e:  # the sidecar is gone
            self._note(BROKEN, pid, self._named(to))
            return e.errno or errno.ECONNREFUSED
        self._count()
        return error

    def _count(self) -> None:
        with self._lock:
            self.brought += 1

    def _datagrams(self, sock: socket.socket, pid: int, to: Address) -> int | None:
        """HTTP/3 is refused, so that its clients take TCP. What sorts addresses connects, too: it
        sends nothing, and blocks."""
        address, port = to
        number = ip_address(address)
        sorting = os.get_blocking(sock.fileno()) or port in (0, 9)
        dummy = address in self._target.hosts
        if sorting or port == _DNS or number.is_multicast or (not dummy and _is_local(address)):
            return None
        if port == _QUIC or dummy:
            return errno.ECONNREFUSED
        self._note(DATAGRAMS, pid, self._named(to))
        return None

    def _is_commands(self, port: int) -> bool:
        """True if one of the command's own processes listens on that port of loopback."""
        if port not in self._listens:
            listening = {
                row.inode
                for row in processes.tcp()
                if row.state == processes.LISTEN and row.own[1] == port
            }
            own = processes.descendants(os.getpid())
            # Nobody there: it is refused.
            self._listens[port] = not listening or any(
                listening & processes.sockets_of(pid) for pid in own
            )
        return self._listens[port]

    def _named(self, to: Address) -> str:
        return _written((self._target.hosts.get(to[0], to[0]), to[1]))

    def _note(self, why: str, pid: int, to: str) -> None:
        noted = Passed(why, Program(processes.name_of(pid), pid), to)
        with self._lock:
            if noted in self.passed or len(self.passed) < NOTED:
                self.passed[noted] += 1
            else:
                self.left_out += 1


def is_readable(calls: Notifications, expected: Address) -> bool:
    """True if of the next call this process may read the address, and take the socket."""
    for call in calls:
        try:
            fd, raw = _arguments(call, call.thread)
            os.close(socket_of(call.thread, fd))
        except OSError:
            return False
        finally:
            calls.answer(call, errno.ECONNREFUSED)
        return raw[4:8] == socket.inet_aton(expected[0])
    return False


def _arguments(call: Question, pid: int) -> tuple[int, bytes]:
    """The socket's descriptor, and the address as the caller wrote it. Raises OSError."""
    fd, at, size = call.arguments[:3]
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        if call.is_multiplexed:
            fd, at, size = struct.unpack("=3I", os.pread(memory.fileno(), 12, call.arguments[1]))
        return fd & 0x7FFFFFFF, os.pread(memory.fileno(), min(size & 0xFFFFFFFF, 128), at)


def _listener(address: bytes) -> str:
    """The address of loopback that a socket can connect to that wants to go to this one."""
    if len(address) == 4:
        return "127.0.0.1"
    return "::ffff:127.0.0.1" if address.startswith(_MAPPED) else "::1"


@contextmanager
def _copy(pid: int, fd: int) -> Iterator[socket.socket]:
    """The other process's socket, shared with it. Raises OSError."""
    with socket.socket(fileno=socket_of(pid, fd)) as sock:
        yield sock


def _has_peer(sock: socket.socket) -> bool:
    try:
        sock.getpeername()
    except OSError:
        return False
    return True


def _namespace(pid: int | str) -> Path:
    return Path(f"/proc/{pid}/ns/net").readlink()


def _is_local(address: str) -> bool:
    """True if the address is one of this machine's: no other can be bound."""
    return ip_address(address).is_unspecified or _allowed(address, lambda s: s.bind((address, 0)))


def _has_route(address: str) -> bool:
    """True if the kernel has a way to the address; nothing is sent."""
    return _allowed(address, lambda s: s.connect((address, 9)))


def _allowed(address: str, step: Callable[[socket.socket], None]) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            step(probe)
    except OSError:
        return False
    return True


def _written(to: Address) -> str:
    return f"{bracketed(to[0])}:{to[1]}"
