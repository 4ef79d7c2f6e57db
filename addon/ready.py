"""Waits until the sidecar is ready, so that the rest of a pod does not start before it.

`addon.redirect --wait` calls it in the init container that follows the sidecar; without that one it
is the sidecar's postStart hook, as `python -m addon.ready`. Both learn of it at once, where a probe
of Kubernetes would ask only every second.
"""

import os
import socket
import sys
import time

from app.contract import names

WAIT_SECONDS = 60.0  # for a busy node to start a process that takes half a second
_PAUSE_SECONDS = 0.02
_ANSWER_SECONDS = 5.0
_ANSWER_CAP = 4096


class NotReady(Exception):
    """Its text is a whole message for people."""


def wait(seconds: float) -> None:
    """Waits until /ready at TELEMOCK_HEALTH_HOST says so. Raises NotReady."""
    deadline = time.monotonic() + seconds
    while said := _missing():
        if time.monotonic() >= deadline:
            raise NotReady(
                f"the sidecar is not ready after {seconds:g} s: {said}\n\n"
                f"hint: the log of the container {names.CONTAINER_SIDECAR} says why"
            )
        time.sleep(_PAUSE_SECONDS)


def address() -> tuple[str, int]:
    """The address of the sidecar's health server."""
    host = os.environ.get("TELEMOCK_HEALTH_HOST") or "127.0.0.1"
    return host, int(os.environ.get("TELEMOCK_HEALTH_PORT") or names.PORT_SIDECAR_HEALTH)


def alive() -> bool:
    """True if the health server's event loop runs: it answers, or closes an excess connection."""
    try:
        with socket.create_connection(address(), _ANSWER_SECONDS) as s:
            s.sendall(_request("/health"))
            s.recv(1)
    except (ConnectionResetError, BrokenPipeError):
        return True
    except OSError:
        return False
    return True


def _request(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\n\r\n".encode()


def _missing() -> str:
    """The reason why it is not ready, "" once it is. A plain socket is imported anyway, while
    `http.client` takes as long to import as the rest of a start."""
    host, port = address()
    try:
        with socket.create_connection((host, port), _ANSWER_SECONDS) as s:
            s.sendall(_request("/ready"))
            answer = b""
            while len(answer) < _ANSWER_CAP and (part := s.recv(_ANSWER_CAP)):
                answer += part
    except OSError as e:
        return f"{host} port {port}: {e.strerror or e}"
    head, _, body = answer.partition(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 200 "):
        return ""
    return " ".join(body.decode("utf-8", "replace").split()) or "no answer"


def main() -> int:
    try:
        wait(WAIT_SECONDS)
    except NotReady as e:
        print(f"error: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
