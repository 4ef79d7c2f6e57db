"""No process of ours leaves its memory behind when it crashes: there are keys, tokens and captured
values in it that were not masked yet.

Called first thing by the app, the injector, the sidecar and the redirect.
"""

import contextlib
from pathlib import Path


def no_core_dumps() -> None:
    """For this process and those that it starts."""
    with contextlib.suppress(ImportError, ValueError, OSError):  # Windows has no such limits
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # A core_pattern that is a program gets the dump whatever the limit; nothing is in it then.
    # Not PR_SET_DUMPABLE: /proc/self would belong to root, and TLS keys are read from there.
    with contextlib.suppress(OSError):
        Path("/proc/self/coredump_filter").write_text("0")
