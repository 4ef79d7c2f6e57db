"""Fails connections for a rehearsal (`app.contract.faults`): resets them, or holds them without an
answer, within bounds of number and time. Used by `addon.arrive.direct`.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from addon.arrive.endings import CROWDED, OVER, RESET
from app.contract.faults import ALERT, HostFault

if TYPE_CHECKING:
    from addon.arrive.direct import DirectConnection

MOST = 128  # connections held: some 1 MB, and a third of those that the sidecar allows
LONGEST_S = 127.0  # after which Linux gives up to connect where nobody answers
SILENT_S = 5.0  # for the first byte of a client that is refused
_HANDSHAKE = b"\x16"  # begins a TLS record


class Failing:
    """Runs in the event loop. `failure` tells what connections to a host meet now."""

    def __init__(self, failure: Callable[[str], HostFault | None]) -> None:
        self._failure = failure
        self._held: dict[DirectConnection, asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        return len(self._held)

    def accepted(self, one: "DirectConnection") -> None:
        """Begins with a connection whose address may tell the host; nothing is read of it. One to
        be refused has a moment for its first byte: the redirect's proof is no client."""
        found = self._failure(one.host)
        if found is None or found.failure == "tls-error":
            return
        one.failing = found
        if found.failure == "refused":
            self._hold(one, SILENT_S, RESET)
        else:
            self._hold(one, found.seconds, OVER)

    def meets(self, one: "DirectConnection", begun: bytes) -> bool:
        """Fails a connection that began with these bytes; False if its host is not failing now."""
        found = self._failure(one.host)
        if found is None or (found.failure == "tls-error" and begun[:1] != _HANDSHAKE):
            one.failing = None
            self.leave(one)
            return False
        one.failing = found
        if found.failure == "refused":
            one.close(RESET)
        else:
            one.fail(ALERT if found.failure == "tls-error" else b"")
            self._hold(one, found.seconds, OVER)
        return True

    def leave(self, one: "DirectConnection") -> None:
        """Told of every connection that is closed or handed on."""
        if (timer := self._held.pop(one, None)) is not None:
            timer.cancel()

    def _hold(self, one: "DirectConnection", seconds: float, how: str) -> None:
        """Ends it so after this time, or earlier, as the oldest of too many."""
        self.leave(one)
        if len(self._held) >= MOST:
            next(iter(self._held)).close(CROWDED)
        later = asyncio.get_running_loop().call_later
        self._held[one] = later(min(LONGEST_S, seconds), one.close, how)
