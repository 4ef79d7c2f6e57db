"""Asks the kernel for our process: no memory left behind by a crash, for there are keys,
tokens and captured values in it that were not masked yet; and enough open files.

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


def allow_files() -> None:
    """As many open files as may be: each sidecar keeps a connection to the app open, a connection
    that is relayed takes two, and the limit that container runtimes start with is often 1,024."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS: more than its kernel allows
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
