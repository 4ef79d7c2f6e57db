"""The sidecar's own log: masked, one line a message, on standard error and as records for the app.

`addon.process` installs the handler for every logger, also mitmproxy's, which log the heads of
requests. The app writes the records to its log file of sidecar lines.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import BinaryIO

from addon.record.printer import Printer
from addon.record.ship import Shipper
from app.contract.instant import iso
from app.contract.masking.masker import Masker
from app.contract.printable import one_line
from app.contract.record import CaptureRecord, Log, Workload, short, text
from app.otel.lines import current, json_line
from app.otel.metrics import Metrics

RATE = 50  # lines a second; those over it are counted and dropped
MESSAGE_SIZE = 64 * 1024  # characters of a message that are read
LINE_SIZE = 8 * 1024  # characters of a line that are kept

OURS = ("addon", "app")
# Their lines go to standard error only: a record about a record that cannot be delivered would be
# one more of the kind.
NOT_SHIPPED = (
    "addon.record.ship",
    "addon.record.deliver",
    "addon.record.spool",
    "addon.record.segment",
)


class LogHandler(logging.Handler):
    """Any logger's lines, from any thread. Never waits for `stream`, never raises."""

    def __init__(
        self,
        shipper: Shipper,
        masker: Callable[[], Masker],
        workload: Workload,
        metrics: Metrics,
        stream: BinaryIO | None,
        as_json: bool = False,
    ) -> None:
        super().__init__()
        self._as_json = as_json
        self._shipper = shipper
        self._masker = masker
        self._workload = workload
        self._metrics = metrics
        self._printer = None if stream is None else Printer(stream, self._not_printed)
        if self._printer is not None:
            self._printer.start()
        self._second = 0
        self._in_second = 0
        self._left_out = 0
        self._busy = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(self._busy, "now", False):  # the line was logged by masking another one
            return
        self._busy.now = True
        try:
            if self._fits(record.created):
                self._say(record.levelname, record.levelno, record.name, self._text(record))
        except Exception:
            self._not_printed(1)
        finally:
            self._busy.now = False

    def close(self) -> None:
        """Prints the queued lines. Closed after the shipper, whose last lines it prints."""
        self._report_left_out()
        if self._printer is not None:
            self._printer.close(1)
        super().close()

    def _text(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if record.exc_info:
            message += "\n" + logging.Formatter().formatException(record.exc_info)
        # Masked before it is truncated: half a value is not recognised.
        return self._masker().line(text(message[:MESSAGE_SIZE]))[:LINE_SIZE]

    def _fits(self, now: float) -> bool:
        if int(now) != self._second:
            self._report_left_out()
            self._second, self._in_second = int(now), 0
        self._in_second += 1
        if self._in_second <= RATE:
            return True
        self._left_out += 1
        return False

    def _report_left_out(self) -> None:
        if self._left_out:
            number, self._left_out = self._left_out, 0
            self._say("WARNING", logging.WARNING, __name__, f"{number} lines left out")
            self._not_printed(number)

    def _say(self, level: str, number: int, name: str, message: str) -> None:
        now = time.time_ns()
        if self._printer is not None:
            self._printer.put([self._line(now, level, name, message)])
        least = logging.INFO if name.partition(".")[0] in OURS else logging.WARNING
        if number < least or name in NOT_SHIPPED or self._shipper.closing:
            return
        boot, seq = self._shipper.reserve()
        self._shipper.submit(
            CaptureRecord(
                boot=boot,
                seq=seq,
                kind="log",
                time_ns=now,
                workload=self._workload,
                trace_id=current.get()[0],
                span_id=current.get()[1],
                log=Log(level=level, message=message, logger=short(name)),
            )
        )

    def _line(self, now: int, level: str, name: str, message: str) -> bytes:
        if self._as_json:
            pod = self._workload
            return json_line(
                now, level, name, message, current.get(), namespace=pod.namespace, pod=pod.pod
            )
        return one_line(f"{iso(now, 3)} {level} {name}: {message}").encode(
            "utf-8", "backslashreplace"
        )

    def _not_printed(self, number: int) -> None:
        self._metrics.add("telemock.output.dropped", ("stderr",), number)


def install(handler: LogHandler, level: str) -> None:
    """Makes it the only handler of this process. `level` is for our loggers; libraries log from
    WARNING on, and at DEBUG from INFO."""
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.INFO if level == "DEBUG" else logging.WARNING)
    for name in OURS:
        logging.getLogger(name).setLevel(level)
