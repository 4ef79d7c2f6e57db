"""The command line: `telemock …`. `root` has the commands, `ending` turns errors into sentences and
exit codes; the other modules hold one command's work each, or serve several.

Imports nothing by itself: Ctrl-C must have its handler before anything is loaded.
"""


def main() -> None:
    """Runs the command of `sys.argv`, and exits with its code."""
    import _signal as signal  # type: ignore[import-not-found]  # built in; `signal` loads others
    import os

    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # by nohup, or a shell's `&`
        signal.signal(signal.SIGINT, lambda *_: os._exit(128 + signal.SIGINT))
    from app.cli.interrupt import Interrupt

    with Interrupt() as interrupt:
        from app.cli.ending import run

        interrupt.run(run)
