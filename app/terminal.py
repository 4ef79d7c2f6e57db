"""What people read in a terminal: captured text made harmless, numbers made short.

Used by the commands that print; captured bytes are hostile, and a terminal obeys escapes.
"""

from datetime import UTC, datetime


def plain(text: str) -> str:
    """The text with everything that a terminal would act on, or not show, written out."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def size(count: int) -> str:
    """Bytes in at most six characters or so: `512 B`, `4.0 MiB`."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            break
        value /= 1024
    return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"


def clock(time_ns: int) -> str:
    """The time of day, UTC, to the second."""
    return datetime.fromtimestamp(time_ns // 10**9, UTC).strftime("%H:%M:%SZ")
