"""Copies certificate files of applications, with the sidecar's certificate added.

Run as `python -m addon.tls.append` by an init container, once the sidecar is ready. It never fails:
a file that it cannot read becomes a link to the application's own, which is then as it would be
without us, and what its clients refuse is seen.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from app.contract import names
from app.contract.files import write_whole

_LARGEST = 2 << 20  # bytes of a list of certificates


def copy(source: Path, original: str, target: Path, ours: bytes) -> None:
    """Raises OSError."""
    target.parent.mkdir(exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        with source.open("rb") as file:
            theirs = file.read(_LARGEST + 1)
        if len(theirs) > _LARGEST:
            raise OSError(f"it is larger than {_LARGEST >> 20} MiB")
    except OSError as e:
        target.symlink_to(original)
        print(f"{original!a} stays as it is: {e.strerror or e}", file=sys.stderr)
        return
    write_whole(target, [theirs.rstrip(), b"\n", ours])
    target.chmod(0o644)  # for whomever the application runs as


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m addon.tls.append", description=__doc__)
    parser.add_argument(
        "--copy", nargs=3, action="append", default=[], metavar=("SOURCE", "ORIGINAL", "TARGET")
    )
    given = parser.parse_args(arguments)
    ours = Path(names.MOUNT_TRUST, names.FILE_CA_CERT).read_bytes()
    for source, original, target in given.copy:
        copy(Path(source), original, Path(target), ours)


if __name__ == "__main__":
    main()
