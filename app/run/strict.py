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
    NOBODY,
    OTHER_NETWORK,
    OTHER_SOCKET,
    SERVICE,
    SOUGHT,
    UNREACHED,
    UNRECORDED,
    Interception,
    Passed,
    SlowCall,
    Target,
    namespace,
)
from app.run.later import has_peer, outcome
from app.run.led import Led
from app.run.seccomp import Notifications, Question

_DNS, _QUIC = 53, 443
COMPARED = (9, 53, 65535)  # ports by which Go, older and newer, and musl compare addresses
# Who is asked about accounts of this machine has nobody else to ask.
_ACCOUNTS = re.compile(r"(/var)?/run/systemd/userdb/[^/]+")
# Services that look up names for others. Without them the C library does so itself: by files, or
# by a resolver, which is seen.
_NAMES = re.compile(r"(/var)?/run/(nscd/.*|systemd/resolve/.*|avahi-daemon/.*)")
_AT_ONCE_S = 0.05  # a server on loopback is reached in
# Nobody serves there; the last: the thread has ended.
_NONE = (errno.ECONNREFUSED, errno.ENOENT, errno.ENOTDIR, errno.EPROTOTYPE, errno.ESRCH)


class Strict(Interception):
    """`own` are our children's processes: talking to them is no business of the command's, but
    for the proxy, whose port is the only one of `target.ours`. To `compared` the command
    connects over UDP to choose one of an allowed host's addresses, and sends nothing."""

    _known_s = 0.0  # what is at an address, or a path, may be another thing by then

    def __init__(
        self,
        notifications: Notifications,
        target: Target,
        own: Collection[int] = (),
        need: Callable[[], bool] = lambda: True,
        compared: Collection[Address] = (),
    ) -> None:
        self._need, self._compared = need, compared
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

    def _judged(self, call: Question, given: asked.Wanted) -> int | None:
        if given.steered:
            return errno.EPERM
        if given.name == "setsockopt":
            if seccomp.steers(*given.kind[:2]):
                return errno.EPERM
            if seccomp.joins(*given.kind[:2]):
                pid = processes.leader(call.thread)
                self._note(JOINED, pid, "a group of hosts", once=True)
            return None
        if given.name == "listen":
            pid = processes.leader(call.thread)
            with asked.copy_of(call, pid, given.fd) as sock:
                self._serve_this_machine(sock, pid)
            return None
        if given.name == "socket":
            family, _, protocol = given.kind
            # As kernels without them say: programs do without.
            if seccomp.is_multipath(family, protocol) or seccomp.has_readers(family, protocol):
                return errno.EPROTONOSUPPORT
        return super()._judged(call, given)

    def _serve_this_machine(self, sock: socket.socket, pid: int) -> None:
        """A server of the command's answers this machine alone: others could fetch from it."""
        if sock.family not in (socket.AF_INET, socket.AF_INET6) or near.is_on(sock):
            return
        try:
            near.put_on(sock)
        except OSError:  # it has a filter that it locked
            self._note(OTHER_SOCKET, pid, "a server that others may reach")

    def _unix(self, sock: socket.socket, pid: int, raw: bytes, thread: int) -> int | None:
        if _NAMES.fullmatch(helpers.name_in(asked.unix(raw), thread)):
            return errno.ECONNREFUSED
        self._own.look(pid)
        try:
            with helpers.reached(raw, thread):
                pass
        except NOBODY as e:
            return e.errno
        except OSError:  # by a link to what it has open: it shows once it is connected
            pass
        return super()._unix(sock, pid, raw, thread)

    def _unix_kind(self, name: str, bound: str) -> str:
        if _ACCOUNTS.fullmatch(bound):
            return ""
        kind = super()._unix_kind(name, bound)
        return LOCAL if kind == SERVICE else kind

    def _unix_late(self, pid: int, name: str, raw: bytes, thread: int, _: socket.socket) -> None:
        """Its server did not take it at once: there may be one, so ask."""
        with socket.socket(socket.AF_UNIX) as probe:
            probe.setblocking(False)
            try:
                with helpers.reached(raw, thread) as place:
                    error = probe.connect_ex(place)
            except OSError as e:
                error = e.errno or 0
            if error not in _NONE:
                self._note(LOCAL, pid, name, once=True)

    def _stream(self, sock: socket.socket, pid: int, to: Address, listener: str) -> int | None:
        if to[0] not in self._target.hosts and not route.is_local(to[0]):
            if to[1] == _DNS:
                self._note(LOOKUP, pid, self._named(to))
                return None
            if route.source(to[0]) is None and not route.is_bound(sock):
                self._note(UNREACHED, pid, self._named(to))
                return None  # the kernel says so itself
        error = super()._stream(sock, pid, to, listener)
        if error is None and route.is_local(to[0]):
            return _connect(sock, to)
        return error

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
        super()._to_this_machine(sock, pid, to)

    def _datagrams(self, sock: socket.socket, pid: int, to: Address, *, sends: bool) -> int | None:
        """A socket that is connected may send without a question, so it counts as one that did."""
        address, port = to
        dummy = address in self._target.hosts
        if not dummy and route.is_local(address):
            serving = helpers.serving(processes.udp(pid), to, shared=True)
            if not (serving and self._own.has(serving)):
                if port == _DNS:
                    self._note(LOOKUP, pid, self._named(to), once=True)
                elif namespace(pid) != namespace("self") and not ip_address(address).is_loopback:
                    self._note(OTHER_NETWORK, pid, self._named(to), once=True)
                elif serving or route.may_lead_on(address):
                    self._note(LOCAL, pid, self._named(to), once=True)
            return None
        if not sends and (port == 0 or to in self._compared):
            return _look_for_the_way(sock, address)
        if dummy and not sends:  # the C library compares addresses so, and HTTP/3 begins so
            self._note(SOUGHT, pid, self._named(to), once=True)
            return errno.ECONNREFUSED
        multicast = ip_address(address).is_multicast
        self._note(LOOKUP if port == _DNS else DATAGRAMS, pid, self._named(to), once=True)
        return errno.ECONNREFUSED if (port == _QUIC or dummy) and not multicast else None


def _look_for_the_way(sock: socket.socket, address: str) -> int:
    """Gives a socket that connects to port 0 the address that it would send from, which is what
    such callers want, and no peer: it could send."""
    source = route.source(address)
    if source is None:
        return errno.ENETUNREACH
    mapped = sock.family == socket.AF_INET6 and ":" not in source
    with suppress(OSError):  # it has one
        sock.bind((f"::ffff:{source}" if mapped else source, 0))
    return 0


def _connect(sock: socket.socket, to: Address) -> int:
    """In the command's place: its threads could give the kernel another socket and another address
    than we saw. Returns what the call returns. Raises SlowCall."""
    mapped = sock.family == socket.AF_INET6 and ":" not in to[0]
    waits = os.get_blocking(sock.fileno())
    os.set_blocking(sock.fileno(), False)
    error = sock.connect_ex((f"::ffff:{to[0]}" if mapped else to[0], to[1]))
    os.set_blocking(sock.fileno(), waits)
    if not waits or error != errno.EINPROGRESS:
        return error
    if (ended := outcome(sock, _AT_ONCE_S)) is None:
        raise SlowCall(socket.socket(fileno=os.dup(sock.fileno())))
    return ended
