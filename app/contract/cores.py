"""Prevents core dumps of our processes: their memory holds keys, tokens and captured values that
are not masked yet.

Called first thing by the app, the injector, the sidecar and the redirect.
"""

import contextlib
from pathlib import Path


def no_core_dumps() -> None:
    """Holds for this process and its children."""
    with contextlib.suppress(ImportError, ValueError, OSError):  # Windows has no such limits
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # A core_pattern that pipes to a program ignores the limit; this leaves its dump empty. Not
    # PR_SET_DUMPABLE: /proc/self would then belong to root, and TLS keys are read from there.
    with contextlib.suppress(OSError):
        Path("/proc/self/coredump_filter").write_text("0")
