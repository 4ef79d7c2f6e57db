"""The app's operational log: stderr and `mock_server.log`, every line masked and made harmless.

Set up by `app.runtime` for as long as the app runs, for all loggers of the process, uvicorn's too.
Its access log is switched off: it would print queries, which are what the product sends home.
"""

import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from app.contract.mask import Masker

_TAKEN_OVER = ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi", "fastapi")


class MaskedFormatter(logging.Formatter):
    """One line a record, tracebacks indented below it; no value of a sensitive field, no terminal
    escape and no forged line passes."""

    def __init__(self, masker: Callable[[], Masker]) -> None:
        super().__init__("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s")
        self.converter = time.gmtime
        self.datefmt = "%Y-%m-%dT%H:%M:%S"
        self._masker = masker

    def format(self, record: logging.LogRecord) -> str:
        stack = ""
        if record.exc_info:
            stack = self.formatException(record.exc_info)
        elif record.stack_info:
            stack = record.stack_info
        # Other handlers keep a formatted traceback on the record: never reuse that.
        plain = logging.makeLogRecord(
            {**record.__dict__, "exc_info": None, "exc_text": None, "stack_info": None}
        )
        masked = self._masker()
        lines = [harmless(masked.line(super().format(plain)))]
        lines += ["    " + harmless(line) for line in masked.line(stack).splitlines()]
        return "\n".join(lines)


def harmless(text: str) -> str:
    """`text` on one line, with control and direction characters as their escapes."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _no_access(record: logging.LogRecord) -> bool:
    """uvicorn tells of WebSockets in its error log, with the whole query."""
    return '"WebSocket %s"' not in str(record.msg)


def place(error: BaseException) -> str:
    """What failed and where, without the exception's text: that may quote what a client sent."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    kind = type(error).__name__
    return f"{kind} at {at.tb_frame.f_code.co_filename}:{at.tb_lineno}" if at else kind


@contextmanager
def masked_logging(
    level: str, masker: Callable[[], Masker], handlers: Sequence[logging.Handler] = ()
) -> Iterator[None]:
    """Every logger of the process writes masked lines to stderr and to `handlers`."""
    root = logging.getLogger()
    ours = [logging.StreamHandler(sys.stderr), *handlers]
    before = (root.level, {n: _state(logging.getLogger(n)) for n in _TAKEN_OVER})
    for handler in ours:
        handler.setFormatter(MaskedFormatter(masker))
        root.addHandler(handler)
    root.setLevel(level)
    errors = logging.getLogger("uvicorn.error")
    errors.addFilter(_no_access)
    # A broken log call would print its arguments to stderr as they are.
    loud, logging.raiseExceptions = logging.raiseExceptions, False
    for name in _TAKEN_OVER:
        logger = logging.getLogger(name)
        # uvicorn writes its access log only while that logger has a handler to reach.
        logger.handlers, logger.propagate = [], name != "uvicorn.access"
    try:
        yield
    finally:
        root.setLevel(before[0])
        errors.removeFilter(_no_access)
        logging.raiseExceptions = loud
        for handler in ours:
            root.removeHandler(handler)
        for handler in handlers:
            handler.close()
        for name, (kept, propagate) in before[1].items():
            logger = logging.getLogger(name)
            logger.handlers, logger.propagate = kept, propagate


def _state(logger: logging.Logger) -> tuple[list[logging.Handler], bool]:
    return logger.handlers, logger.propagate
