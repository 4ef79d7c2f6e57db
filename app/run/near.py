"""Lets a server's socket hear this machine alone, by a socket filter (socket(7), SO_ATTACH_FILTER),
which needs no right. Put on by `app.run.strict` before the server listens.

What this machine sends to itself comes from a loopback address, or from the address that it goes
to; no packet of another machine's does.
"""

import ctypes
import socket
import struct

_ATTACH, _LOCK = 26, 44  # SO_ATTACH_FILTER, SO_LOCK_FILTER
_NET = 0xFFF00000  # SKF_NET_OFF: from here on, offsets in the packet's IP header
_LOAD, _LOAD_BYTE, _TO_X, _AND = 0x20, 0x30, 0x07, 0x54
_EQUAL, _EQUAL_X, _RETURN = 0x15, 0x1D, 0x06
_ALL, _NONE = 0xFFFFFFFF, 0


def _op(code: int, value: int = 0, then: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("=HBBI", code, then, otherwise, value)


def _same(source: int, destination: int, otherwise: int) -> list[bytes]:
    """Goes on if the two words are alike, else skips `otherwise` more."""
    return [
        _op(_LOAD, _NET + destination),
        _op(_TO_X),
        _op(_LOAD, _NET + source),
        _op(_EQUAL_X, 0, 0, otherwise),
    ]


def _code() -> bytes:
    take, drop = _op(_RETURN, _ALL), _op(_RETURN, _NONE)
    four = [
        _op(_LOAD, _NET + 12),
        _op(_AND, 0xFF000000),
        _op(_EQUAL, 0x7F000000, 4, 0),
        *_same(12, 16, 1),
        take,
        drop,
    ]
    words = [(8 + 4 * n, 24 + 4 * n) for n in range(4)]
    # Each pair skips what is left of the pairs, and the return that takes it.
    six = [op for n, pair in enumerate(words) for op in _same(*pair, 4 * (3 - n) + 1)]
    return b"".join(
        [
            _op(_LOAD_BYTE, _NET),
            _op(_AND, 0xF0),
            _op(_EQUAL, 0x40, 0, len(four)),
            *four,
            *six,
            take,
            drop,
        ]
    )


CODE = _code()


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))


def put_on(sock: socket.socket) -> None:
    """For good: connections that it accepts have it too. Raises OSError."""
    kept = ctypes.create_string_buffer(CODE, len(CODE))
    given = _Program(len(CODE) // 8, ctypes.addressof(kept))
    sock.setsockopt(socket.SOL_SOCKET, _ATTACH, bytes(given))
    sock.setsockopt(socket.SOL_SOCKET, _LOCK, 1)


def is_on(sock: socket.socket) -> bool:
    """True if this very filter is on it already: a server may listen again."""
    try:
        got = sock.getsockopt(socket.SOL_SOCKET, _ATTACH, len(CODE))  # SO_GET_FILTER
    except OSError:
        return False
    return len(got) == len(CODE) // 8 and CODE.startswith(got)  # the kernel counts instructions
