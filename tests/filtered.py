"""A process of ours whose connections the kernel asks about."""

import socket
import subprocess
import sys

from app.run.seccomp import Notifications

_CHILD = """
import os, socket, sys
from app.run import transparent
with socket.socket(fileno=int(sys.argv[1])) as to:
    transparent._send_listener(to, strict=sys.argv[3:] == ['strict'])
exec(sys.argv[2])
"""


class Filtered:
    """It runs a script, which may wait for a line."""

    def __init__(self, script: str, *, strict: bool = False) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _CHILD, str(theirs.fileno()), script, *("strict",) * strict],
                pass_fds=[theirs.fileno()], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                text=True,
            )  # fmt: skip
            theirs.close()
            self.calls = Notifications(socket.recv_fds(ours, 1, 1)[1][0])

    def said(self) -> str:
        """All that it writes, once it has a line and has ended."""
        return self.process.communicate("go on\n", timeout=20)[0].strip()

    def end(self) -> None:
        self.process.kill()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()
        self.process.wait(20)
