"""Ctrl-C at any instant: the exit code is 130, and no traceback is printed.

The first one raises KeyboardInterrupt where there may be something to tidy up. Before that, after
it, and while it is under way, the process ends at once; its children end with it.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn, Self

INTERRUPTED = 128 + signal.SIGINT


class Interrupt:
    _raises = _came = False

    def __enter__(self) -> Self:
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, self._handle)
        # Raised in a finalizer it would be printed there, and forgotten.
        self._hook, sys.unraisablehook = sys.unraisablehook, self._unraisable
        return self

    def __exit__(self, *_: object) -> None:
        sys.unraisablehook = self._hook

    def run(self, command: Callable[[], int]) -> NoReturn:
        """Exits with the code that `command` returns."""
        try:
            self._raises = True
            code = command()
            self._raises = False
            if self._came:  # a library made another error of it
                code = INTERRUPTED
        except KeyboardInterrupt as e:
            code = getattr(e, "code", INTERRUPTED)
        sys.exit(code)

    def _handle(self, number: int, frame: object) -> None:
        if not self._raises:
            os._exit(INTERRUPTED)
        self._raises, self._came = False, True
        raise KeyboardInterrupt

    def _unraisable(self, what: Any) -> None:
        if issubclass(what.exc_type, KeyboardInterrupt):
            os._exit(INTERRUPTED)
        self._hook(what)
