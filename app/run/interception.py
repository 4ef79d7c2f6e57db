"""Leads the command's connections to web ports, and to other ports that profiles name, to the
sidecar, whoever in the command makes them, and notes the others: the kernel asks about each
`connect`, and each send to an address (`app.run.seccomp`, `app.run.asked`).

Nothing of the machine's network is changed and no packet of other traffic comes here: what is not
for the sidecar, the kernel does as it was asked. A connection to the sidecar begins with a preface
(`app.contract.preface`), so that the sidecar knows where it was going.
"""

import errno
import os
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from app.contract import preface, processes
from app.contract.names import REDIRECTED_PORTS
from app.contract.processes import Address
from app.contract.record import Endpoint, Program, bracketed
from app.run import asked, helpers, route, seccomp
from app.run.later import Later, has_peer, outcome
from app.run.seccomp import Notifications, Question
from app.run.stage import FailingHosts

THREADS = 4  # calls that are answered at once
NOTED = 1000  # different connections that are kept for the verdict
_MAPPED = bytes(10) + b"\xff\xff"
_SETTLED_S = 5.0  # a connection on loopback is made at once
_TCP = (0, socket.IPPROTO_TCP, 262)  # the last: MPTCP
_DNS = 53
_QUIC = 443
# To these ports a look for the way to an address connects (glibc, Go, musl); nobody listens there.
_LOOKS = (0, 9, 65535)

# The kernel says the same of a call with these.
_MISTAKES = (errno.EBADF, errno.ENOTSOCK)
# Nobody is there, or not for that kind of socket.
NOBODY = FileNotFoundError, NotADirectoryError, ConnectionRefusedError

# What became of a connection that did not go to the sidecar.
(OTHER_PORT, LINK_LOCAL, OTHER_NETWORK, LOCAL, DAEMON, SERVICE, UNREADABLE, DATAGRAMS, OTHER_SOCKET,
 INHERITED, REFUSED, BROKEN, ROUND, LOOKUP, UNREACHED, JOINED,
 UNRECORDED, SOUGHT) = (
    "other_port", "link_local", "other_network", "local", "daemon", "service", "unreadable",
    "datagrams", "other_socket", "inherited", "refused", "broken", "round", "lookup", "unreached",
    "joined", "unrecorded", "sought",
)  # fmt: skip


class Passed(NamedTuple):
    """A kind of connection that did not come to the sidecar. `to` is ADDRESS:PORT, or a path."""

    why: str
    program: Program
    to: str


class Target(NamedTuple):
    """The sidecar's port, and all of ours. `hosts` are the dummy addresses and the hosts that they
    stand for; connections to some of them may be led to failure instead. `more` are ports of hosts
    besides the web's. Behind any other address may be one of these hosts."""

    port: int
    ours: frozenset[int]  # ports of app and sidecar on loopback
    hosts: Mapping[str, str]
    failing: FailingHosts | None = None
    more: Mapping[str, Collection[int]] = MappingProxyType({})

    def leads(self, address: str, port: int) -> bool:
        if port in REDIRECTED_PORTS:
            return True
        host = self.hosts.get(address)
        return any(port in ports for name, ports in self.more.items() if host in (None, name))


class SlowCall(Exception):
    """A `connect` that ends once this socket, a copy of the caller's, is connected or refused."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock


class Interception:
    """`own` are our children. `brought` counts connections that were led to the sidecar, `passed`
    the others that are worth a word; those beyond NOTED as one of each kind."""

    _known_s = 1.0  # how long an answer holds for who sends to an address again and again

    def __init__(
        self, notifications: Notifications, target: Target, own: Collection[int] = ()
    ) -> None:
        self._calls, self._target = notifications, target
        self.goes_on = notifications.in_use
        self.brought = 0
        self.passed: Counter[Passed] = Counter()
        self._lock = threading.Lock()
        self._own, self._later = helpers.Own(own), Later()
        # (process, port) -> connected over UDP, which is a look for the way if TCP follows.
        self._looks: dict[tuple[int, int], Passed] = {}
        # What was answered to whom, and until when it holds.
        self._sent: dict[tuple[object, ...], tuple[float, int | None]] = {}
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
        self._later.stop()
        if self._later.failed:
            self._add(Passed(UNREADABLE, Program("", 0), "one that could not be looked at"))
        for noted in self._looks.values():
            self._add(noted)

    def note_inherited(self, pid: int) -> None:
        """Notes connections that the command has from us as its standard streams."""
        for fd in range(3):
            with suppress(OSError), socket.socket(fileno=os.dup(fd)) as sock:
                if sock.family in (socket.AF_INET, socket.AF_INET6):
                    self._note(INHERITED, pid, _written(sock.getpeername()[:2]))

    def _serve(self) -> None:
        for call in self._calls:
            try:
                error = self._decide(call)
            except SlowCall as e:
                threading.Thread(target=self._answer_late, args=(call, e), daemon=True).start()
                continue
            except Exception as e:  # a thread that ends leaves the command's calls unanswered
                error = self._undecided(call, e)
            if error is None:
                self._calls.go_on(call)
            else:
                self._calls.answer(call, error)

    def _answer_late(self, call: Question, slow: SlowCall) -> None:
        with slow.sock as sock:
            while (error := outcome(sock, 1.0)) is None and self._calls.waits(call):
                pass
        self._calls.answer(call, error or 0)

    def _undecided(self, call: Question, why: Exception) -> int | None:
        """The process ended, made a mistake, or is not ours to read; or we lack something."""
        number = why.errno if isinstance(why, OSError) else errno.EFAULT
        if number in _MISTAKES:
            return number
        # Memory that we cannot read there may be all the same (memfd_secret(2)).
        if number in (errno.EIO, errno.EFAULT):
            return errno.EFAULT
        if self._calls.waits(call):
            pid = processes.leader(call.thread) or call.thread
            self._note(UNREADABLE, pid, "an address that may not be read")
        return None

    def _decide(self, call: Question) -> int | None:
        """The errno with which the call ends, 0 for success; None if the kernel is to do it.

        Raises OSError.
        """
        return self._judged(call, asked.read(call))

    def _judged(self, call: Question, given: asked.Wanted) -> int | None:
        if given.flags & seccomp.FASTOPEN:
            return errno.EOPNOTSUPP
        if not given.addresses and given.name != "socket":
            return None  # a send on a connection: by far the most
        pid = processes.leader(call.thread)
        if not self._calls.waits(call):  # the id may be another process's by now
            return errno.EINTR
        if given.name == "socket":
            if seccomp.leads_out(*given.kind):
                self._note(OTHER_SOCKET, pid, asked.named(*given.kind))
            return None
        sends = given.name != "connect"
        key = pid, given.fd, *given.addresses
        if sends and (known := self._sent.get(key)) and time.monotonic() < known[0]:
            return known[1]
        with asked.copy_of(call, pid, given.fd) as sock:
            answers = [self._address(sock, pid, raw, sends, call.thread) for raw in given.addresses]
        error = next((error for error in answers if error is not None), None)
        if sends and self._known_s:
            if len(self._sent) >= NOTED:
                self._sent.clear()
            self._sent[key] = time.monotonic() + self._known_s, error
        return error

    def _address(
        self, sock: socket.socket, pid: int, raw: bytes, sends: bool, thread: int
    ) -> int | None:
        if asked.unix(raw):
            return self._unix(sock, pid, raw, thread)
        found = asked.internet(raw, sock.family if sends else 0)
        if found is None:
            return None
        packed, to = found
        kind = sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE)
        protocol = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PROTOCOL)
        if kind == socket.SOCK_STREAM and protocol in _TCP:
            # A send's address means nothing to TCP.
            return None if sends else self._stream(sock, pid, to, _listener(packed))
        if kind == socket.SOCK_DGRAM:
            return self._datagrams(sock, pid, to, sends=sends)
        return None  # noted as it was made

    def _unix(self, sock: socket.socket, pid: int, raw: bytes, thread: int) -> int | None:
        """A server of the command's own is no word worth, and a socket that nobody serves."""
        whole = helpers.whole_name(raw, asked.unix(raw), thread)
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) != socket.SOCK_DGRAM:
            self._later.once_connected(
                sock,
                partial(self._unix_peer, pid, whole),
                late=partial(self._unix_late, pid, whole, raw, thread),
            )
        else:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
                try:
                    with helpers.reached(raw, thread) as place:
                        probe.connect(place)
                except NOBODY as e:  # whom we do not find the command does not reach
                    return e.errno
                self._unix_peer(pid, whole, probe, once=True)
        return None

    def _unix_peer(self, pid: int, name: str, peer: socket.socket, *, once: bool = False) -> None:
        bound = helpers.bound_name(peer)
        listens = helpers.who_listens(peer)
        if self._own.has_process(listens):
            return
        if not processes.lives(listens) and self._own.has_name(bound, pid):  # it may be another's
            return
        who = f" ({processes.name_of(listens)}, pid {listens})" if listens else ""
        if kind := self._unix_kind(name, bound):
            self._note(kind, pid, f"{name}{who}", once=once)

    def _unix_kind(self, name: str, bound: str) -> str:
        if name.endswith(helpers.DAEMONS) or bound.endswith(helpers.DAEMONS):
            return DAEMON
        return SERVICE if helpers.is_service(name) else LOCAL

    def _unix_late(self, pid: int, name: str, raw: bytes, thread: int, _: socket.socket) -> None:
        """It was not connected at once."""

    def _stream(self, sock: socket.socket, pid: int, to: Address, listener: str) -> int | None:
        address, port = to
        with self._lock:
            self._looks.pop((pid, port), None)
        dummy = address in self._target.hosts
        if not dummy and route.is_local(address):
            self._to_this_machine(sock, pid, to)
            return None
        if namespace(pid) != namespace("self"):
            self._note(OTHER_NETWORK, pid, self._named(to))
            return None
        failing = self._target.failing
        if failing and dummy and self._target.hosts[address] in failing.hosts:
            return failing.lead(sock, listener)
        if not self._target.leads(address, port):
            self._note(REFUSED if dummy else OTHER_PORT, pid, self._named(to))
            return errno.ECONNREFUSED if dummy else None
        # A cloud's metadata service there gives credentials.
        if ip_address(address).is_link_local:
            self._note(LINK_LOCAL, pid, self._named(to))
            return None
        if not dummy and route.source(address) is None and not route.is_bound(sock):
            return None  # the kernel says so itself
        return self._lead(sock, pid, to, listener)

    def _to_this_machine(self, sock: socket.socket, pid: int, to: Address) -> None:
        if to[1] in self._target.ours:
            self._count()
            return
        listening = [row for row in processes.tcp(pid) if row.state == processes.LISTEN]
        serving = helpers.serving(listening, to)
        if serving and not self._own.has(serving):
            self._note(LOCAL, pid, _written(to))
        elif not serving:  # refused, unless a rule of the kernel's leads it elsewhere
            network = "self" if namespace(pid) == namespace("self") else pid
            self._later.once_connected(sock, lambda _: self._connected(pid, to, network))

    def _connected(self, pid: int, to: Address, network: int | str) -> None:
        """Its server may have come meanwhile, and it may have ended."""
        listening = [row for row in processes.tcp(network) if row.state == processes.LISTEN]
        serving = helpers.serving(listening, to)
        if not (serving and self._own.has(serving)):
            self._note(LOCAL, pid, _written(to))

    def _lead(self, sock: socket.socket, pid: int, to: Address, listener: str) -> int:
        """Connects the command's own socket to the sidecar."""
        asked_before = has_peer(sock)
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

    def _datagrams(self, sock: socket.socket, pid: int, to: Address, *, sends: bool) -> int | None:
        """HTTP/3 is refused, so that its clients take TCP. What looks for the way to an address
        connects, too: it sends nothing, and blocks."""
        address, port = to
        dummy = address in self._target.hosts
        if port == _DNS or ip_address(address).is_multicast:
            return None
        if not dummy and route.is_local(address):
            serving = helpers.serving(processes.udp(pid), to)
            if serving and not self._own.has(serving):
                self._note(LOCAL, pid, _written(to), once=True)
            return None
        if namespace(pid) != namespace("self"):
            self._note(OTHER_NETWORK, pid, self._named(to), once=True)
            return None
        if not sends and port in _LOOKS:
            return None
        noted = Passed(DATAGRAMS, Program(processes.name_of(pid), pid), self._named(to))
        if not sends and os.get_blocking(sock.fileno()):
            with self._lock:
                if len(self._looks) < NOTED:
                    self._looks[(pid, port)] = noted
            return None
        if port == _QUIC or dummy:
            return errno.ECONNREFUSED
        self._add(noted, once=True)
        return None

    def _named(self, to: Address) -> str:
        return _written((self._target.hosts.get(to[0], to[0]), to[1]))

    def _note(self, why: str, pid: int, to: str, *, once: bool = False) -> None:
        self._add(Passed(why, Program(processes.name_of(pid), pid), to), once=once)

    def _add(self, noted: Passed, *, once: bool = False) -> None:
        """`once`: many datagrams to one address are one."""
        with self._lock:
            if once and noted in self.passed:
                return
            if noted not in self.passed and len(self.passed) >= NOTED:
                noted = Passed(noted.why, Program("", 0), "more than are kept")
            self.passed[noted] += 1


def is_readable(calls: Notifications, expected: Address) -> bool:
    """True if of the next call this process may read the address, and take the socket."""
    for call in calls:
        try:
            given = asked.read(call)
            with asked.copy_of(call, call.thread, given.fd):
                found = asked.internet(given.addresses[0])
        except OSError:
            return False
        finally:
            calls.answer(call, errno.ECONNREFUSED)
        return found is not None and found[1] == expected
    return False


def _listener(address: bytes) -> str:
    """The address of loopback that a socket can connect to that wants to go to this one."""
    if len(address) == 4:
        return "127.0.0.1"
    return "::ffff:127.0.0.1" if address.startswith(_MAPPED) else "::1"


def namespace(pid: int | str) -> Path:
    """Of its network. Raises OSError."""
    return Path(f"/proc/{pid}/ns/net").readlink()


def _written(to: Address) -> str:
    return f"{bracketed(to[0])}:{to[1]}"
