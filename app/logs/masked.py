"""The app's operational log: stderr and `mock_server.log`, every line masked and safe to show.

`app.runtime` sets it up for all loggers of the process while the app runs, uvicorn's too. Its
access log is off: it would print queries, which are the product's telemetry. With LOG_FORMAT=json
each line is one JSON object, traceback included.
"""

import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from app.contract.masking.masker import Masker
from app.contract.printable import one_line
from app.otel.lines import current, json_line

_TAKEN_OVER = ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi", "fastapi")


class MaskedFormatter(logging.Formatter):
    """Formats a record as one line, with its traceback indented below. Masks sensitive fields,
    escapes terminal controls and line breaks."""

    def __init__(self, masker: Callable[[], Masker], as_json: bool = False) -> None:
        super().__init__("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s")
        self.converter = time.gmtime
        self.datefmt = "%Y-%m-%dT%H:%M:%S"
        self._masker = masker
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        stack = ""
        if record.exc_info:
            stack = self.formatException(record.exc_info)
        elif record.stack_info:
            stack = record.stack_info
        masked = self._masker()
        if self._as_json:
            return json_line(
                int(record.created * 1e9), record.levelname, record.name,
                masked.line(record.getMessage()), current.get(), exception=masked.line(stack),
            ).decode()  # fmt: skip
        # Other handlers cache a formatted traceback on the record: do not reuse that.
        plain = logging.makeLogRecord(
            {**record.__dict__, "exc_info": None, "exc_text": None, "stack_info": None}
        )
        lines = [one_line(masked.line(super().format(plain)))]
        lines += ["    " + one_line(line) for line in masked.line(stack).splitlines()]
        return "\n".join(lines)


class _StandardError(logging.StreamHandler[TextIO]):
    """Counts lines that cannot be printed, because the reader is gone or a disk is full."""

    def __init__(self, lost: Callable[[str], None]) -> None:
        super().__init__(sys.stderr)
        self._lost = lost

    def handleError(self, record: logging.LogRecord) -> None:
        self._lost("stderr")


def _no_access(record: logging.LogRecord) -> bool:
    """Hides uvicorn's lines on WebSockets in its error log, which hold the whole query."""
    return '"WebSocket %s"' not in str(record.msg)


@contextmanager
def masked_logging(
    level: str,
    masker: Callable[[], Masker],
    handlers: Sequence[logging.Handler] = (),
    *,
    as_json: bool = False,
    lost: Callable[[str], None] = lambda stream: None,
) -> Iterator[None]:
    """Makes every logger of the process write masked lines to stderr and to `handlers`. `lost` is
    called with "stderr" for each line that could not be written."""
    root = logging.getLogger()
    ours = [_StandardError(lost), *handlers]
    before = (root.level, {n: _state(logging.getLogger(n)) for n in _TAKEN_OVER})
    for handler in ours:
        handler.setFormatter(MaskedFormatter(masker, as_json))
        root.addHandler(handler)
    root.setLevel(level)
    errors = logging.getLogger("uvicorn.error")
    errors.addFilter(_no_access)
    # A broken log call would print its unmasked arguments to stderr.
    loud, logging.raiseExceptions = logging.raiseExceptions, False
    for name in _TAKEN_OVER:
        logger = logging.getLogger(name)
        # uvicorn writes its access log only if that logger has a handler.
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
