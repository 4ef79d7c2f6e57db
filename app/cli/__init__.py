"""The command line: `telemock …`. `root` has the commands and turns errors into sentences and exit
codes; the other modules hold one command's work each, or serve several.
"""

from app.cli.root import main

__all__ = ["main"]
