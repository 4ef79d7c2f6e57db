"""A gate on a kernel without Landlock: never green where other programs' memory is open."""

import sys
from pathlib import Path

import pytest

from app.run import confine
from tests import gates

pytestmark = pytest.mark.root
# Makes the kernel one without Landlock, for what follows it.
WITHOUT = """
import ctypes, errno, os, struct, sys
op = lambda code, value, then=0, otherwise=0: struct.pack("=HBBI", code, then, otherwise, value)
code = b"".join((op(0x20, 0), op(0x35, 444, 0, 2), op(0x25, 446, 1, 0),
                 op(0x06, 0x50000 | errno.EOPNOTSUPP), op(0x06, 0x7FFF0000)))
class Code(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))
kept = ctypes.create_string_buffer(code, len(code))
libc = ctypes.CDLL(None, use_errno=True)
given = Code(len(code) // 8, ctypes.addressof(kept))
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(given), 0, 0):
    sys.exit("no filter")
os.execvp(sys.argv[1], sys.argv[1:])
"""
OLDER = (sys.executable, "-P", "-c", WITHOUT)


def test_without_landlock_a_gate_of_roots_is_not_passed(tmp_path: Path) -> None:
    gate = gates.alone(tmp_path, {"nothing": ("", [])}, *OLDER)["nothing"]
    assert gate.code == 122, gate.said
    assert gate.reasons() == {"reach"}
    (gap,) = gate.found["gate"]["gaps"]
    assert "other programs' memory" in gap["says"] and "Landlock" in gap["remedy"]
    assert any("signals" in limit for limit in gate.found["gate"]["limits"])


@pytest.mark.skipif(confine.version() < 6, reason="needs Linux 6.12")
def test_with_all_of_landlock_a_gate_passes_and_has_no_limit_by_the_kernel(tmp_path: Path) -> None:
    gate = gates.alone(tmp_path, {"nothing": ("", [])})["nothing"]
    assert gate.code == 0, gate.said
    assert not any("signals" in limit for limit in gate.found["gate"]["limits"])
