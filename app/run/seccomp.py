"""The kernel asks us before a program connects, or sends to an address: a seccomp filter, whose
notifications we answer (seccomp(2), SECCOMP_RET_USER_NOTIF; Linux 5.9 on x86-64 and arm64).

`install` runs in the command's process before it begins; all that it starts inherits the filter.
`Notifications` is our end. `app.run.interception` decides.
"""

import ctypes
import errno
import fcntl
import os
import platform
import select
import struct
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

# Of <linux/seccomp.h>, <linux/audit.h> and <linux/filter.h>.
_SET_MODE_FILTER = 1
_NEW_LISTENER, _SPEC_ALLOW, _WAIT_KILLABLE = 1 << 3, 1 << 2, 1 << 5
_ALLOW, _NOTIFY, _ERRNO = 0x7FFF0000, 0x7FC00000, 0x00050000
_RECV, _SEND, _VALID = 0xC0502100, 0xC0182101, 0x40082102
_CONTINUE = 1
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_NR, _ARCH, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_NOTIFICATION, _ANSWER = struct.Struct("=QIIiIQ6Q"), struct.Struct("=QqiI")
_PR_SET_NO_NEW_PRIVS = 38
FASTOPEN = 0x20000000  # MSGFASTOPEN: a connect within a send
_IO_URING_SETUP = 425  # on every architecture
_X32 = 0x40000000
_64_BIT = 0x80000000  # of AUDIT_ARCH
_PIDFD_THREAD = os.O_EXCL
_TYPE = 0xF  # of a socket's type: the rest are flags
# Of sockets that nobody is asked about: a `connect` or a send with an address is.
_UNIX, _INTERNET, _NETLINK, _CRYPTO = 1, (2, 10), 16, 38
_MULTIPATH = 262  # TCP by several ways; no socket filter can be put on its servers
_PROTOCOLS = (0, 6, 17, _MULTIPATH)  # TCP, UDP
# Of netlink: what another program reads (the audit's sends it on).
_READ_BY_OTHERS = (2, 9)
_STREAM, _DATAGRAMS = 1, 2


class Calls(NamedTuple):
    """System call numbers of one ABI. `multiplexed`: socketcall(2) of 32-bit x86, whose first
    argument is a key of MULTIPLEXED. `ioctl` and `keys` are looked into for a gate alone."""

    connect: int
    sendto: int
    sendmsg: int
    sendmmsg: int
    socket: int
    setsockopt: int
    listen: int
    ioctl: int
    keys: tuple[int, ...]  # add_key, request_key, keyctl
    multiplexed: int | None = None


MULTIPLEXED = {
    1: "socket", 3: "connect", 4: "listen", 11: "sendto", 14: "setsockopt", 16: "sendmsg",
    20: "sendmmsg",
}  # fmt: skip
# Level and option of what joins a group: the kernel then tells the network which.
_JOINS = (
    (0, 35), (0, 39), (0, 41), (0, 42), (0, 46), (0, 48),
    (41, 20), (41, 27), (41, 42), (41, 46), (41, 48),
)  # fmt: skip
# Level and option by which a socket takes a way of its own, also to an address of this machine:
# source routes, devices, marks; or another machine's address, to which the kernel then answers.
_STEERS = (
    (0, 4), (0, 15), (0, 19), (0, 50), (1, 25), (1, 36), (1, 62),
    (41, 6), (41, 50), (41, 54), (41, 55), (41, 57), (41, 59), (41, 75), (41, 76), (41, 78),
)  # fmt: skip
# And those of one message, and where in it the number of a device is.
_MESSAGE_STEERS = {
    (0, 7): None, (0, 8): 0, (1, 36): None, (41, 2): 16, (41, 3): None, (41, 4): None,
    (41, 5): None, (41, 50): 16, (41, 54): None, (41, 55): None, (41, 57): None, (41, 59): None,
}  # fmt: skip
_LOOPBACK = 1  # the number of its device
_TYPING = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX: types into the shell that started us


class Machine(NamedTuple):
    seccomp: int
    pidfd_getfd: int
    abis: dict[int, Calls]  # by AUDIT_ARCH, its own first


_ARM32 = Calls(283, 290, 296, 374, 281, 294, 284, 54, (309, 310, 311), 102)
MACHINES = {
    "x86_64": Machine(
        317,
        438,
        {
            0xC000003E: Calls(42, 44, 46, 307, 41, 54, 50, 16, (248, 249, 250)),
            0x40000003: Calls(362, 369, 370, 345, 359, 366, 363, 54, (286, 287, 288), 102),
        },
    ),
    "aarch64": Machine(
        277,
        438,
        {
            0xC00000B7: Calls(203, 206, 211, 269, 198, 208, 201, 29, (217, 218, 219)),
            0x40000028: _ARM32,
        },
    ),
}
HERE = MACHINES.get(platform.machine()) if sys.platform == "linux" else None

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class _Code(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))


def code_for(machine: Machine, *, strict: bool = False) -> bytes:
    """The filter: asked about are `connect`, `sendto` with an address, `sendmsg` and `sendmmsg`
    (whose address no filter can see), and `socket` for what is neither TCP nor UDP. A connect
    within a send, and io_uring (which connects without a system call), are refused as by a kernel
    without them, so programs do without. `strict` asks about joining a group, ways of a socket's
    own, multipath TCP, all of netlink and servers, too, and refuses what has others send: the
    kernel's keys (which look up names) and typing into a terminal."""
    code = [_op(_LOAD, _ARCH)]
    for arch, calls in machine.abis.items():
        part = _of_abi(calls, strict=strict)
        code += [_op(_EQUAL, arch, 0, len(part)), *part]
    # An ABI that is not known here could connect unseen.
    code.append(_op(_RETURN, _ERRNO | errno.ENOSYS))
    return b"".join(code)


def _of_abi(calls: Calls, *, strict: bool) -> list[bytes]:
    code = [
        _op(_LOAD, _NR),
        _op(_AT_LEAST, _X32, 0, 1),
        _op(_RETURN, _ERRNO | errno.ENOSYS),
        _op(_EQUAL, calls.connect, 0, 1),
        _op(_RETURN, _NOTIFY),
        _op(_EQUAL, _IO_URING_SETUP, 0, 1),
        _op(_RETURN, _ERRNO | errno.EPERM),
    ]
    ask, send_refused = _op(_RETURN, _NOTIFY), _op(_RETURN, _ERRNO | errno.EOPNOTSUPP)
    allow = _op(_RETURN, _ALLOW)
    code += [
        _op(_EQUAL, calls.sendto, 0, 9),
        _argument(3),
        _op(_ANY_BIT, FASTOPEN, 0, 1),
        send_refused,
        _argument(4),
        _op(_ANY_BIT, 0xFFFFFFFF, 2, 0),
        _argument(4, upper=True),
        _op(_ANY_BIT, 0xFFFFFFFF, 0, 1),
        ask,
        allow,
    ]
    for number, flags in ((calls.sendmsg, 2), (calls.sendmmsg, 3)):
        code += [
            _op(_EQUAL, number, 0, 4),
            _argument(flags),
            _op(_ANY_BIT, FASTOPEN, 0, 1),
            send_refused,
            ask,
        ]
    code += _of_socket(calls.socket, strict=strict)
    if strict:
        code += _of_strict(calls)
    if calls.multiplexed is not None:
        code += [_op(_EQUAL, calls.multiplexed, 0, 2 + 2 * len(MULTIPLEXED)), _argument(0)]
        for number in MULTIPLEXED:
            code += [_op(_EQUAL, number, 0, 1), ask]
        code.append(allow)
    return [*code, allow]


def _of_strict(calls: Calls) -> list[bytes]:
    closed = _op(_RETURN, _ERRNO | errno.ENOSYS)
    code = [op for number in calls.keys for op in (_op(_EQUAL, number, 0, 1), closed)]
    typed = [_argument(1)]
    for request in _TYPING:
        typed += [_op(_EQUAL, request, 0, 1), _op(_RETURN, _ERRNO | errno.EIO)]
    code += [_op(_EQUAL, calls.ioctl, 0, len(typed) + 1), *typed, _op(_RETURN, _ALLOW)]
    of_level: dict[int, list[int]] = {}
    for level, option in (*_JOINS, *_STEERS):
        of_level.setdefault(level, []).append(option)
    joins = [_argument(1)]
    for level, options in of_level.items():
        joins += [
            _op(_EQUAL, level, 0, len(options) + 3),
            _argument(2),
            *(_op(_EQUAL, option, len(options) - n) for n, option in enumerate(options)),
            _op(_RETURN, _ALLOW),
            _op(_RETURN, _NOTIFY),
        ]
    code += [_op(_EQUAL, calls.listen, 0, 1), _op(_RETURN, _NOTIFY)]
    return [*code, _op(_EQUAL, calls.setsockopt, 0, len(joins) + 1), *joins, _op(_RETURN, _ALLOW)]


def _of_socket(number: int, *, strict: bool) -> list[bytes]:
    """Asks about a socket that is neither TCP nor UDP and may lead out."""
    ask, allow = _op(_RETURN, _NOTIFY), _op(_RETURN, _ALLOW)
    code = [_argument(0)]
    for family in (_UNIX, _CRYPTO) if strict else (_UNIX, _NETLINK, _CRYPTO):
        code += [_op(_EQUAL, family, 0, 1), allow]
    code += [
        _op(_EQUAL, _INTERNET[0], 2, 0),
        _op(_EQUAL, _INTERNET[1], 1, 0),
        ask,
        _argument(1),
        _op(_AND, _TYPE),
        _op(_EQUAL, _STREAM, 2, 0),
        _op(_EQUAL, _DATAGRAMS, 1, 0),
        ask,
        _argument(2),
    ]
    for protocol in _PROTOCOLS[: -1 if strict else None]:
        code += [_op(_EQUAL, protocol, 0, 1), allow]
    return [_op(_EQUAL, number, 0, len(code) + 1), *code, ask]


def is_multipath(family: int, protocol: int) -> bool:
    return family in _INTERNET and protocol == _MULTIPATH


def leads_out(family: int, kind: int, protocol: int) -> bool:
    """True of a socket that is neither TCP nor UDP and may lead out."""
    if family in _INTERNET:
        return kind & _TYPE not in (_STREAM, _DATAGRAMS) or protocol not in _PROTOCOLS
    return family not in (_UNIX, _NETLINK, _CRYPTO)


def is_32_bit(arch: int) -> bool:
    return not arch & _64_BIT


def _argument(position: int, *, upper: bool = False) -> bytes:
    return _op(_LOAD, _ARGUMENTS + 8 * position + 4 * upper)


def _op(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("=HBBI", code, then, otherwise, value)


def joins(level: int, option: int) -> bool:
    """True of a socket's option that joins a group of hosts."""
    return (level, option) in _JOINS


def steers(level: int, option: int) -> bool:
    """True of a socket's option that gives it a way of its own."""
    return (level, option) in _STEERS


def message_steers(level: int, kind: int, data: bytes) -> bool:
    """True of a control message that gives what it is sent with a way of its own."""
    at = _MESSAGE_STEERS.get((level, kind), -1)
    if at is None:
        return True
    device = data[at : at + 4] if at >= 0 else b""
    return int.from_bytes(device, sys.byteorder) > _LOOPBACK


def has_readers(family: int, protocol: int) -> bool:
    """True of a netlink socket that other programs of the machine read."""
    return family == _NETLINK and protocol in _READ_BY_OTHERS


def install(*, privileged: bool, strict: bool = False) -> int:
    """Puts the filter on this process, for good, and returns the descriptor of its notifications.
    Without CAP_SYS_ADMIN (`privileged`) the process gives up what setuid programs would give it.

    Raises OSError.
    """
    if HERE is None:
        raise OSError(errno.ENOSYS, f"not made for {platform.system()} on {platform.machine()}")
    if not privileged and _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise _failed()
    code = code_for(HERE, strict=strict)
    kept = ctypes.create_string_buffer(code, len(code))
    given = _Code(len(code) // 8, ctypes.addressof(kept))
    flags = _NEW_LISTENER | _SPEC_ALLOW
    # Without the third, a signal (Go sends many) interrupts a call that we are answering.
    for each in (flags | _WAIT_KILLABLE, flags):
        fd = _libc.syscall(HERE.seccomp, _SET_MODE_FILTER, each, ctypes.byref(given))
        if fd >= 0:
            return int(fd)
        if ctypes.get_errno() != errno.EINVAL:  # a kernel before 5.19
            break
    raise _failed()


def _failed() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))


class Question(NamedTuple):
    """A call that waits for an answer. `thread` is a thread's id."""

    id: int
    thread: int
    number: int
    arch: int
    arguments: Sequence[int]

    @property
    def name(self) -> str:
        """One of Calls' names; "multiplexed" if the arguments are elsewhere."""
        calls = HERE and HERE.abis.get(self.arch)
        for name, number in zip(Calls._fields, calls or (), strict=False):
            if number == self.number:
                return name
        return ""


class Notifications:
    """The calls of all processes with the filter. Threads may share it."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._stop = os.eventfd(0, os.EFD_CLOEXEC)
        self._turn = threading.Lock()  # a receipt without a call would block
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self._poll.register(self._stop, select.POLLIN)

    def __iter__(self) -> "Notifications":
        return self

    def __next__(self) -> Question:
        """Waits for the next call; ends after `stop`, or once no process has the filter."""
        while True:
            given = bytearray(_NOTIFICATION.size)
            with self._turn:
                if self._poll.poll() != [(self._fd, select.POLLIN)]:
                    raise StopIteration
                try:
                    fcntl.ioctl(self._fd, _RECV, given, True)
                except (FileNotFoundError, InterruptedError):  # the caller was killed meanwhile
                    continue
            id, thread, _, number, arch, _, *arguments = _NOTIFICATION.unpack(given)
            return Question(id, thread, number, arch, arguments)

    def stop(self) -> None:
        """Ends the iterations. Later calls fail with ENOSYS once `close` was called."""
        os.eventfd_write(self._stop, 1)

    def in_use(self) -> bool:
        """True while a process has the filter."""
        now = select.poll()
        now.register(self._fd, 0)
        return not now.poll(0)

    def waits(self, call: Question) -> bool:
        """True if the caller still waits, so that its thread's id means that thread."""
        try:
            fcntl.ioctl(self._fd, _VALID, struct.pack("=Q", call.id))
        except OSError:
            return False
        return True

    def go_on(self, call: Question) -> None:
        """The kernel does what was asked."""
        self._answer(_ANSWER.pack(call.id, 0, 0, _CONTINUE))

    def answer(self, call: Question, error: int) -> None:
        """The call returns 0, or fails with this errno."""
        self._answer(_ANSWER.pack(call.id, 0, -error, 0))

    def _answer(self, answer: bytes) -> None:
        with suppress(OSError):  # the caller was killed
            fcntl.ioctl(self._fd, _SEND, bytearray(answer), True)

    def close(self) -> None:
        os.close(self._fd)
        os.close(self._stop)


def socket_of(thread: int, process: int, fd: int) -> int:
    """A descriptor of our own for another process's socket. A thread may have descriptors of its
    own, which a kernel before 6.9 does not give. Raises OSError."""
    if HERE is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    try:
        of = os.pidfd_open(thread, _PIDFD_THREAD)
    except OSError as e:
        if e.errno != errno.EINVAL:
            raise
        of = os.pidfd_open(process)
    try:
        found = int(_libc.syscall(HERE.pidfd_getfd, of, fd, 0))
    finally:
        os.close(of)
    if found < 0:
        raise _failed()
    return found
