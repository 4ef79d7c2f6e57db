"""`python -m addon`: the sidecar, configured by its environment."""

import os
import sys

import addon.mitm.imports  # noqa: F401 - before msgspec

# isort: split
from addon import options
from addon.supervisor import CANNOT_START
from app.contract.settings import SettingError

_USAGE = """usage: python -m addon [--help]

The sidecar: a proxy that answers, records or forwards the telemetry of the programs that use it.
It has no arguments; these environment variables configure it, and OpenTelemetry's own (OTEL_*) say
where its spans and metrics go:

"""


def main(arguments: list[str]) -> int:
    if arguments in (["--help"], ["-h"]):
        print(_USAGE + options.table())
        return 0
    if arguments:
        print(
            f"error: unknown argument {arguments[0]!r}\n\nhint: python -m addon --help",
            file=sys.stderr,
        )
        return 2
    try:
        chosen = options.load(os.environ)
    except SettingError as e:
        print(f"error: {e}", file=sys.stderr)
        return CANNOT_START
    # Not before the settings are known to be good: mitmproxy takes half a second to import.
    from addon.proxy import run

    return run(chosen)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
