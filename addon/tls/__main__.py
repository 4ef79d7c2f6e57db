"""Makes the authority of a sidecar that starts later: `python -m addon.tls DIRECTORY`, with the
hosts that it may sign for on standard input. `telemock run` calls it for a command that may need
no sidecar.
"""

import sys
from pathlib import Path

from addon.tls import ca
from addon.tls.constraints import constraints


def main() -> None:
    ca.ensure(Path(sys.argv[1]), wanted=constraints(sys.stdin.read().split()))


if __name__ == "__main__":
    main()
