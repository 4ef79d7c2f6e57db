"""app/run/asked.py: what a real process's calls ask for, and addresses as they are written."""

import errno
import socket
import struct

import pytest

from app.run import asked, seccomp
from tests.filtered import Filtered

TO = ("192.0.2.9", 4433)


def raw(family: int, port: int, address: str, *more: int) -> bytes:
    packed = socket.inet_pton(family or socket.AF_INET, address)
    flow = bytes(4) if family == socket.AF_INET6 else b""
    return struct.pack("=H", family) + port.to_bytes(2) + flow + packed + bytes(8)


@pytest.mark.parametrize(
    ("given", "family", "to"),
    [
        (raw(socket.AF_INET, 443, "192.0.2.9"), 0, ("192.0.2.9", 443)),
        (raw(socket.AF_INET6, 443, "2001:db8::1"), 0, ("2001:db8::1", 443)),
        (raw(socket.AF_INET6, 80, "::ffff:192.0.2.9"), 0, ("192.0.2.9", 80)),
        (raw(0, 443, "192.0.2.9"), socket.AF_INET, ("192.0.2.9", 443)),
        (raw(0, 443, "192.0.2.9"), 0, None),
        (raw(socket.AF_INET6, 443, "2001:db8::1")[:23], 0, None),
        (b"\x02", 0, None), (b"", 0, None), (b"\x28\0" + bytes(30), 0, None),
    ],
)  # fmt: skip
def test_an_internet_address(given, family, to):
    found = asked.internet(given, family)
    assert (found and found[1]) == to


@pytest.mark.parametrize(
    ("given", "name"),
    [(b"/run/x\0rest", "/run/x"), (b"x", "x"), (b"\0name\0more", "@name@more"), (b"", "")],
)
def test_a_unix_address(given, name):
    assert asked.unix(b"\x01\0" + given) == name
    assert asked.unix(b"\x02\0" + given) == ""


@pytest.mark.skipif(seccomp.HERE is None, reason="no filter for this machine")
def test_each_call_is_read_as_it_was_meant():
    script = f"""
import ctypes
u = socket.socket(type=socket.SOCK_DGRAM)
def tried(f, *given):
    try: f(*given)
    except OSError: pass
tried(u.connect, {TO})
tried(u.sendto, b"x", 0x40, {TO})
tried(u.sendmsg, [b"x"], [], 0x40, {TO})
tried(u.sendmsg, [b"x"])
class Head(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("size", ctypes.c_uint), ("rest", ctypes.c_uint64 * 5),
                ("sent", ctypes.c_uint)]
address = bytes.fromhex("02001151c0000209") + bytes(8)
heads = (Head * 3)(Head(address, 16), Head(None, 0), Head(address, 16))
ctypes.CDLL(None).sendmmsg(u.fileno(), heads, 3, 0x40)
tried(socket.socket, socket.AF_INET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 1)
print(u.fileno())
"""
    one, found = Filtered(script), []
    for call in one.calls:
        found.append(asked.read(call))
        one.calls.answer(call, errno.ENETUNREACH)
    fd = int(one.said())
    one.calls.close()
    assert [(a.name, a.flags) for a in found] == [
        ("connect", 0), ("sendto", 0x40), ("sendmsg", 0x40), ("sendmsg", 0), ("sendmmsg", 0x40),
        ("socket", 0),
    ]  # fmt: skip
    assert [a.fd for a in found[:5]] == [fd] * 5
    expected = [[TO], [TO], [TO], [], [TO], []]
    read = [[(asked.internet(r) or (b"", None))[1] for r in a.addresses] for a in found]
    assert read == expected
    assert found[5].kind == (socket.AF_INET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 1)
