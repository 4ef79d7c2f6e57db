"""The command line: `telemock …`. `root` has the commands and the one place where errors become
sentences and exit codes; the other modules hold what their command does.
"""

from app.cli.root import main

__all__ = ["main"]
