"""Shows on standard error that something takes its time, where that is a terminal.

Used by `app.cli.lines` for exports, and by the reports.
"""

import contextlib
import sys
import threading
from collections.abc import Iterable, Iterator

_PATIENCE_S = 0.7  # what takes less needs no words


def counted(lines: Iterable[bytes], doing: str) -> Iterator[bytes]:
    """The same lines; says how many there were so far."""
    if not sys.stderr.isatty():
        yield from lines
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        yield from progress.track(lines, description=doing)


@contextlib.contextmanager
def waiting(doing: str) -> Iterator[None]:
    """Says what is being done, while inside, if that takes long."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    status = Console(stderr=True).status(doing)
    soon = threading.Timer(_PATIENCE_S, status.start)
    soon.daemon = True
    soon.start()
    try:
        yield
    finally:
        soon.cancel()
        soon.join()
        status.stop()
