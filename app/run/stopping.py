"""Ends all runs of a command that makes several, at Ctrl-C, SIGTERM or a hangup.

No exception comes out of the blue: the run is ended in its order, what it made is removed, and who
makes the runs asks between them. Called by `optout` and `app.rehearse`.
"""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(KeyboardInterrupt):
    """`code` is the exit code, as a shell has it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.code = 128 + number


class Stop:
    """The first signal of `signals` that came; the later ones change nothing, since all that is
    done then has an end."""

    def __init__(self, *signals: signal.Signals) -> None:
        self.signals, self.number = signals, 0

    def came(self, number: int, frame: FrameType | None = None) -> None:
        if number in self.signals:
            self.number = self.number or number

    def check(self) -> None:
        """Raises Stopped once one came."""
        if self.number:
            raise Stopped(self.number)


@contextlib.contextmanager
def stopping() -> Iterator[Stop]:
    """Meanwhile signals only tell the Stop; those that are ignored (by nohup) stay so. Needs the
    main thread."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    stop = Stop(*(number for number, did in before.items() if did is not signal.SIG_IGN))
    for number in stop.signals:
        signal.signal(number, stop.came)
    try:
        yield stop
    finally:
        for number in stop.signals:
            signal.signal(number, before[number])
