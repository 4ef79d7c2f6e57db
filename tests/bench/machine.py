"""Where a run took place, and with what: a figure without that says nothing."""

import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path

from tests.bench.lab import ROOT, tool

_PACKAGES = ("mitmproxy", "uvloop", "httptools", "msgspec", "fastapi", "uvicorn")
_TOOLS = {"wrk": "-v", "nginx": "-v", "haproxy": "-v"}


def machine() -> dict[str, object]:
    """Processors, kernel and memory; no name of the machine."""
    cpu = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    return {
        "cpu": cpu[1] if cpu else platform.machine(),
        "processors": len(os.sched_getaffinity(0)),
        "memory_gb": round(int(memory[1]) / 1e6, 1) if memory else None,
        "kernel": platform.release(),
    }


def versions() -> dict[str, str]:
    """Versions of the measured and the measuring; `telemock` is the commit, with + when changed."""
    found = {"telemock": _commit(), "python": platform.python_version()}
    for name in _PACKAGES:
        found[name] = metadata.version(name)
    for name, option in _TOOLS.items():
        if path := tool(name):
            done = subprocess.run([path, option], capture_output=True, text=True, check=False)
            number = re.search(r"\d+\.\d+(\.\d+)?", done.stdout + done.stderr)
            found[name] = number[0] if number else "?"
    return found


def _commit() -> str:
    def git(*words: str) -> str:
        command = ["git", "-c", f"safe.directory={ROOT}", *words]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    number = git("rev-parse", "--short=10", "HEAD") or "unknown"
    return number + ("+" if git("status", "--porcelain", "--", "addon", "app") else "")
