"""Reads what a system call asks for: of which socket, and to which address, out of the caller's
memory. `app.run.interception` decides on it.
"""

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from app.contract import processes
from app.contract.processes import Address
from app.run import seccomp
from app.run.seccomp import Question

_LONGEST = 128  # of an address
_INT = 0xFFFFFFFF
_CONTROLS = 65_536  # bytes of control messages that are looked into
_MESSAGES = 1024  # that the kernel takes of one sendmmsg
# Where port and address are, and the size of the latter.
_INTERNET = {socket.AF_INET: (2, 4, 4), socket.AF_INET6: (2, 8, 16)}


class Wanted(NamedTuple):
    """`name` is the call's, in seccomp.Calls; `addresses` are as the caller wrote them, none where
    it names none; `flags` are a send's."""

    name: str
    fd: int
    addresses: list[bytes]
    flags: int = 0
    steered: bool = False  # a send takes a way of its own; see seccomp.message_steers
    # Of a new socket: family, type, protocol; of an option: level and option.
    kind: tuple[int, int, int] = (0, 0, 0)


def read(call: Question) -> Wanted:
    """Raises OSError."""
    given, name, word = list(call.arguments), call.name, "=Q"
    memory = os.open(f"/proc/{call.thread}/mem", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if seccomp.is_32_bit(call.arch):
            word = "=I"
        if name == "multiplexed":
            name = seccomp.MULTIPLEXED[given[0]]
            given = [*struct.unpack("=6I", os.pread(memory, 24, given[1]).ljust(24, b"\0"))]
        fd = given[0] & 0x7FFFFFFF

        def name_at(at: int) -> bytes:
            """Of a struct msghdr, which begins with address and size."""
            size = struct.calcsize(word)
            head = os.pread(memory, size + 4, at).ljust(size + 4, b"\0")
            return address(*struct.unpack(f"{word}I", head))

        def address(at: int, size: int) -> bytes:
            size = min(size & 0xFFFFFFFF, _LONGEST)
            return os.pread(memory, size, at) if at and size else b""

        def steered_at(at: int) -> bool:
            """Of a struct msghdr's control messages."""
            size = struct.calcsize(word)
            found = os.pread(memory, 2 * size, at + 4 * size).ljust(2 * size, b"\0")
            controls, length = struct.unpack(f"=2{word[1]}", found)
            if not controls or not length:
                return False
            return length > _CONTROLS or _steered(os.pread(memory, length, controls), word)

        steered = False
        match name:
            case "socket":
                return Wanted(name, -1, [], kind=(given[0], given[1], given[2]))
            case "listen":
                return Wanted(name, fd, [])
            case "setsockopt":
                return Wanted(name, fd, [], kind=(given[1] & _INT, given[2] & _INT, 0))
            case "connect":
                return Wanted(name, fd, [address(given[1], given[2])])
            case "sendto":
                found, flags = [address(given[4], given[5])], given[3]
            case "sendmsg":
                found, flags = [name_at(given[1])], given[2]
                steered = steered_at(given[1])
            case _:
                step = 32 if word == "=I" else 64
                count = min(given[2] & 0xFFFFFFFF, _MESSAGES)
                heads = [given[1] + n * step for n in range(count)]
                found, flags = [name_at(head) for head in heads], given[3]
                steered = any(map(steered_at, heads))
    finally:
        os.close(memory)
    return Wanted(name, fd, [one for one in dict.fromkeys(found) if one], flags, steered)


def _steered(controls: bytes, word: str) -> bool:
    """`controls` are of struct cmsghdr: size, level, type, then data to the next word."""
    head = struct.Struct(f"{word}ii")
    at = 0
    while at + head.size <= len(controls):
        size, level, kind = head.unpack_from(controls, at)
        if size < head.size:
            break
        if seccomp.message_steers(level, kind, controls[at + head.size : at + size]):
            return True
        at += -(-size // struct.calcsize(word)) * struct.calcsize(word)
    return False


def internet(raw: bytes, family: int = 0) -> tuple[bytes, Address] | None:
    """The address's bytes, and it as text with its port; None for another family. A send takes an
    address without a family as one of the socket's (`family`)."""
    named = int.from_bytes(raw[:2], "little") or family
    if named not in _INTERNET:
        return None
    port, start, size = _INTERNET[socket.AddressFamily(named)]
    if len(raw) < start + size:
        return None
    packed = raw[start : start + size]
    return packed, (processes.plain_address(packed), int.from_bytes(raw[port : port + 2]))


def named(family: int, kind: int, protocol: int) -> str:
    """A socket's kind as text."""
    try:
        names = socket.AddressFamily(family).name, socket.SocketKind(kind & 0xF).name
    except ValueError:
        names = f"family {family}", f"type {kind & 0xF}"
    return f"{names[0]}, {names[1]}, protocol {protocol}"


def unix(raw: bytes) -> str:
    """The name of a Unix socket, `@` before one that is no path; "" for another family."""
    if int.from_bytes(raw[:2], "little") != socket.AF_UNIX or len(raw) < 3:
        return ""
    if raw[2] == 0:
        return "@" + raw[3:].decode("utf-8", "replace").replace("\0", "@")
    return raw[2:].partition(b"\0")[0].decode("utf-8", "surrogateescape")


@contextmanager
def copy_of(call: Question, process: int, fd: int) -> Iterator[socket.socket]:
    """The caller's socket, shared with it. Raises OSError."""
    with socket.socket(fileno=seccomp.socket_of(call.thread, process, fd)) as sock:
        yield sock
