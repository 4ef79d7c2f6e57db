"""The interception for a gate: whatever could leave the machine is noted, attempts too.

A plain run asks where telemetry went, and takes for harmless what is no way for it: look-ups of
names, HTTP/3 that is refused, services of the system. A gate proves that nothing was sent.
"""

import errno
import os
import re
import socket
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import partial
from ipaddress import ip_address

from app.contract import processes
from app.contract.processes import Address
from app.contract.record import Program
from app.run import asked, helpers, near, route, seccomp
from app.run.interception import (
    BROKEN,
    DATAGRAMS,
    INHERITED,
    JOINED,
    LOCAL,
    LOOKUP,
    OTHER_SOCKET,
    SERVICE,
    UNREACHED,
    UNRECORDED,
    Interception,
    Passed,
    Target,
)
from app.run.later import has_peer
from app.run.led import Led
from app.run.seccomp import Notifications, Question

_DNS, _QUIC = 53, 443
# Who is asked about accounts of this machine has nobody else to ask.
_ACCOUNTS = re.compile(r"(/var)?/run/systemd/userdb/.*")
# Services that look up names for others. Without them the C library does so itself: by files, or
# by a resolver, which is seen.
_NAMES = re.compile(r"(/var)?/run/(nscd/.*|systemd/resolve/.*|avahi-daemon/.*)")
_SYN_SENT = 2


class Strict(Interception):
    """`own` are our children's processes: talking to them is no business of the command's, but
    for the proxy, whose port is the only one of `target.ours`."""

    def __init__(
        self,
        notifications: Notifications,
        target: Target,
        own: Collection[int] = (),
        need: Callable[[], bool] = lambda: True,
    ) -> None:
        self._need = need
        self.led: list[Led] = []
        super().__init__(notifications, target, own)

    def note_inherited(self, pid: int) -> None:
        for fd in range(3):
            with suppress(OSError), socket.socket(fileno=os.dup(fd)) as sock:
                try:
                    peer = sock.getpeername()
                except OSError:
                    peer = ""
                self._note(INHERITED, pid, f"{sock.family.name} {peer or 'without a name'}")

    def _decide(self, call: Question) -> int | None:
        if call.name in ("setsockopt", "listen", "multiplexed"):
            given, pid = asked.read(call), processes.leader(call.thread)
            if given.name == "setsockopt":
                if seccomp.joins(*given.kind[:2]):
                    self._note(JOINED, pid, "a group of hosts", once=True)
                return None
            if given.name == "listen":
                with asked.copy_of(call, pid, given.fd) as sock:
                    self._serve_this_machine(sock, pid)
                return None
        return super()._decide(call)

    def _serve_this_machine(self, sock: socket.socket, pid: int) -> None:
        """A server of the command's answers this machine alone: others could fetch from it."""
        if sock.family not in (socket.AF_INET, socket.AF_INET6) or near.is_on(sock):
            return
        try:
            near.put_on(sock)
        except OSError:  # it has a filter that it locked
            self._note(OTHER_SOCKET, pid, "a server that others may reach")

    def _unix(self, sock: socket.socket, pid: int, name: str) -> int | None:
        if _NAMES.fullmatch(helpers.name_in(name, pid)):
            return errno.ECONNREFUSED
        self._own.look(pid)
        return super()._unix(sock, pid, name)

    def _unix_peer(self, pid: int, name: str, peer: socket.socket, *, once: bool = False) -> None:
        if not _ACCOUNTS.fullmatch(name):
            super()._unix_peer(pid, name, peer, once=once)

    def _unix_kind(self, name: str) -> str:
        kind = super()._unix_kind(name)
        return LOCAL if kind == SERVICE else kind

    def _unix_late(self, pid: int, name: str, _: socket.socket) -> None:
        """Its server did not take it at once: there may be one, so ask."""
        place = helpers.place_of(name, pid)
        with socket.socket(socket.AF_UNIX) as probe:
            probe.setblocking(False)
            to = "\0" + name[1:] if name.startswith("@") else bytes(place)
            if probe.connect_ex(to) not in (errno.ECONNREFUSED, errno.ENOENT, errno.EPROTOTYPE):
                self._note(LOCAL, pid, name, once=True)

    def _stream(self, sock: socket.socket, pid: int, to: Address, listener: str) -> int | None:
        if to[0] not in self._target.hosts and not route.is_local(to[0]):
            if to[1] == _DNS:
                self._note(LOOKUP, pid, self._named(to))
                return None
            if route.source(to[0]) is None and not route.is_bound(sock):
                self._note(UNREACHED, pid, self._named(to))
                return None  # the kernel says so itself
        return super()._stream(sock, pid, to, listener)

    def _lead(self, sock: socket.socket, pid: int, to: Address, listener: str) -> int:
        if not self._need():
            self._note(BROKEN, pid, self._named(to))
            return errno.ECONNREFUSED
        again, since = has_peer(sock), time.time_ns()
        error = super()._lead(sock, pid, to, listener)
        if not again:
            passed = Passed(UNRECORDED, Program(processes.name_of(pid), pid), self._named(to))
            self._led(to, since, passed, sock)
        return error

    def _led(self, to: Address | None, since: int, passed: Passed, sock: socket.socket) -> None:
        address, port = sock.getsockname()[:2]
        own = processes.plain_address(socket.inet_pton(sock.family, address)), port
        self.led.append(Led(own, to, since, passed))

    def _to_this_machine(self, sock: socket.socket, pid: int, to: Address) -> None:
        if to[1] in self._target.ours:
            self._need()
            if not has_peer(sock):
                program = Program(processes.name_of(pid), pid)
                passed = Passed(UNRECORDED, program, "the proxy")
                led = partial(self._led, None, time.time_ns(), passed)
                self._later.once_connected(sock, led)
        else:
            self._later.once_connected(
                sock, partial(self._stayed, pid, to), late=partial(self._stayed, pid, to)
            )
        super()._to_this_machine(sock, pid, to)

    def _stayed(self, pid: int, to: Address, sock: socket.socket) -> None:
        """A thread may have written another address when we had read this one."""
        try:
            peer = processes.plain_address(
                socket.inet_pton(sock.family, str(sock.getpeername()[0]).partition("%")[0])
            )
        except OSError:
            state = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
            if state == _SYN_SENT:
                self._note(UNREACHED, pid, f"somewhere else than {self._named(to)}")
            return
        if not route.is_local(peer):
            self._note(UNREACHED, pid, f"{peer} instead of {self._named(to)}")

    def _datagrams(self, sock: socket.socket, pid: int, to: Address, *, sends: bool) -> int | None:
        """A socket that is connected may send without a question, so it counts as one that did.
        Nothing can be sent to port 0: that looks for the way to an address."""
        address, port = to
        dummy = address in self._target.hosts
        if not dummy and route.is_local(address):
            serving = helpers.serving(processes.udp(pid), to)
            if port == _DNS and not (serving and self._own.has(serving)):
                self._note(LOOKUP, pid, self._named(to), once=True)
                return None
            return super()._datagrams(sock, pid, to, sends=sends)
        if port == 0 and not sends:
            return None
        multicast = ip_address(address).is_multicast
        self._note(LOOKUP if port == _DNS else DATAGRAMS, pid, self._named(to), once=True)
        return errno.ECONNREFUSED if (port == _QUIC or dummy) and not multicast else None
