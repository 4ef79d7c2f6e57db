"""app/run/confine.py: what a confined process may do no more. As root too, other programs' memory
and the kernel's settings are closed: tests/integration/test_gate.py."""

import os
import subprocess
import sys

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
