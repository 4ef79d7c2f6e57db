"""The command line: `telemock …`. `root` has the commands, `ending` turns errors into sentences and
exit codes; the other modules hold one command's work each, or serve several.
"""

from typing import NoReturn

from app.cli.interrupt import Interrupt


def main() -> NoReturn:
    """Runs the command of `sys.argv`, and exits with its code. Imports nothing before it, so that
    Ctrl-C has its handler while modules load."""
    with Interrupt() as interrupt:
        from app.cli.ending import run

        interrupt.run(run)
