"""app/run/confine.py: what a confined process may do no more. As root too, other programs' memory
and the kernel's settings are closed: tests/integration/test_gate.py."""

import ctypes
import errno
import os
import re
import resource
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from app.run import confine

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")
NEEDS_LANDLOCK = pytest.mark.skipif(confine.version() < 2, reason="no Landlock here")
_CHILD = """
import os, sys
from app.run import confine
if os.geteuid(): import ctypes; ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)
confine.confine(privileged=False)
exec(sys.argv[1])
"""


def confined(script: str) -> str:
    command = [sys.executable, "-c", _CHILD, script]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@NEEDS_LANDLOCK
def test_another_programs_memory_is_closed_and_its_own_childrens_is_not():
    outside = subprocess.Popen(["sleep", "60"])
    try:
        script = f"""
def tried(pid):
    try: open(f'/proc/{{pid}}/mem', 'r+b').close(); return 'open'
    except OSError as e: return type(e).__name__
import subprocess
own = subprocess.Popen(['sleep', '60'])
print(tried({outside.pid}), tried(own.pid), tried('self')); own.kill(); own.wait()"""
        assert confined(script) == "PermissionError open open"
    finally:
        outside.kill()
        outside.wait()


def test_files_are_moved_and_linked_as_before(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "x").write_text("x")
    script = (
        f"os.rename('{tmp_path}/a/x', '{tmp_path}/b/y'); os.link('{tmp_path}/b/y', '{tmp_path}/z')"
    )
    assert confined(f"{script}; print('done')") == "done"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")
def test_root_keeps_what_a_container_engine_leaves():
    script = """
rows = [line.split() for line in open('/proc/self/status')]
print(*[row[1] for row in rows if row[0] in ('CapEff:', 'CapBnd:')])"""
    kept = sum(1 << number for number in confine.KEPT)
    effective, bounding = (int(word, 16) for word in confined(script).split())
    assert effective & ~kept == 0
    assert bounding & ~kept == 0


def test_a_kernel_that_closes_nothing_is_said(monkeypatch, tmp_path):
    scope = tmp_path / "ptrace_scope"
    monkeypatch.setattr(confine, "_YAMA", scope)
    monkeypatch.setattr(confine, "version", lambda: 1)
    assert "other programs' memory" in confine.lacking(privileged=False)
    scope.write_text("1\n")
    assert confine.lacking(privileged=False) == ""
    assert "other programs' memory" in confine.lacking(privileged=True)
    monkeypatch.setattr(confine, "version", lambda: 2)
    assert confine.lacking(privileged=True) == ""


class OldKernel:
    """The C library of a kernel with this ABI of Landlock, 0 or less for none: its rules as in
    landlock(7). What it was asked last is in `signals`, and `confined` once a ruleset is in force.
    """

    def __init__(self, abi: int) -> None:
        self.abi, self.confined, self.signals = abi, False, False

    def syscall(self, number, *given):
        error = self._error(number, *given)
        if error:
            ctypes.set_errno(error)
            return -1
        if number == 444:
            return self.abi if given[2] == 1 else os.open(os.devnull, os.O_RDONLY)
        self.confined |= number == 446
        return 0

    def _error(self, number, *given):
        if self.abi < 1:
            return errno.EOPNOTSUPP
        if number != 444 or given[2] == 1:
            return 0
        known = 8 if self.abi < 4 else 16 if self.abi < 6 else 24
        files, net, scoped = struct.unpack("=3Q", given[0].ljust(24, b"\0"))
        if any(given[0][known:]):
            return errno.E2BIG
        rights = {1: 13, 2: 14}.get(self.abi, 15 if self.abi < 5 else 16)
        if files >> rights or net >> 2 or scoped >> 2:
            return errno.EINVAL
        self.signals = bool(scoped & 2)
        return 0 if files or net or scoped else errno.ENOMSG


@pytest.mark.parametrize("privileged", [True, False], ids=["root", "a user"])
@pytest.mark.parametrize("abi", range(-1, 9))
def test_each_kernel_is_complete_only_where_it_confines(abi, privileged, monkeypatch, tmp_path):
    kernel = OldKernel(abi)
    monkeypatch.setattr(confine, "_libc", kernel)
    monkeypatch.setattr(confine, "_YAMA", tmp_path / "none")
    for name in ("_close_settings", "_give_up"):
        monkeypatch.setattr(confine, name, lambda: None)
    confine.confine(privileged=privileged)
    assert kernel.confined is (abi >= 2)
    assert (confine.lacking(privileged=privileged) == "") is kernel.confined
    assert (confine.limits() == []) is kernel.signals is (abi >= 6)


def test_a_kernel_that_refuses_what_it_said_it_has_starts_nothing(monkeypatch):
    kernel = OldKernel(7)
    monkeypatch.setattr(confine, "_libc", kernel)
    monkeypatch.setattr(kernel, "_error", lambda _, *given: 0 if given[2:] == (1,) else 1)
    with pytest.raises(OSError, match="not permitted"):
        confine.confine(privileged=False)


HEADERS = {"aarch64": "asm-generic/unistd.h", "x86_64": "x86_64-linux-gnu/asm/unistd_64.h"}


@pytest.mark.parametrize("machine", HEADERS)
def test_the_numbers_are_those_of_the_kernels_headers(machine):
    header = Path("/usr/include") / HEADERS[machine]
    if not header.exists():
        pytest.skip(f"needs {header}: apt-get install linux-libc-dev")
    known = dict(re.findall(r"^#define __NR_(\w+)\s+(\d+)", header.read_text(), re.MULTILINE))
    calls = {
        "landlock_create_ruleset": confine._CREATE, "landlock_add_rule": confine._ADD_RULE,
        "landlock_restrict_self": confine._RESTRICT, "capset": confine._CAPSET[machine],
        "mount_setattr": confine._MOUNT_SETATTR,
    }  # fmt: skip
    assert {name: int(known[name]) for name in calls} == calls


@pytest.mark.parametrize(
    ("pattern", "hard", "said"),
    [("|/usr/bin/handler %p", 0, True), ("|/x", 1, False), ("core", 0, False)],
)
def test_a_crash_that_another_program_gets_is_said(pattern, hard, said, monkeypatch, tmp_path):
    (tmp_path / "core_pattern").write_text(pattern)
    monkeypatch.setattr(confine, "_CRASHES", tmp_path / "core_pattern")
    monkeypatch.setattr(confine.resource, "getrlimit", lambda _: (0, hard))
    assert any("core_pattern" in limit for limit in confine.limits()) is said


def test_a_crash_starts_no_program(tmp_path):
    (tmp_path / "core_pattern").write_text("|/usr/bin/handler")
    script = (
        "import resource\nfrom pathlib import Path\n"
        f"confine._CRASHES = Path({str(tmp_path / 'core_pattern')!r})\n"
        "confine.confine(privileged=False)\n"
        "try: resource.setrlimit(resource.RLIMIT_CORE, (2, 2))\n"
        "except (OSError, ValueError): print(resource.getrlimit(resource.RLIMIT_CORE))"
    )
    code = f"from app.run import confine\n{script}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # Nobody without that right raises a limit of 0; `limits` says then what it leaves open.
    allowed = (1, 1) if resource.getrlimit(resource.RLIMIT_CORE)[1] else (0, 0)
    assert done.stdout == f"{allowed}\n"
