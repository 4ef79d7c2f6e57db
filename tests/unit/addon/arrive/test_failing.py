"""addon/arrive/failing.py: which connections fail, and how many are held for how long.

On real sockets: tests/integration/test_failed_connections.py.
"""

from typing import Any, cast

import pytest

from addon.arrive import failing
from addon.arrive.endings import CROWDED, OVER, RESET
from addon.arrive.failing import MOST, Failing
from app.contract.faults import ALERT, HostFailure, HostFault
from tests.sidecar import HOST
from tests.waiting import until

HELLO = b"\x16\x03\x01"


class One:
    """In the place of a connection: keeps what it is told."""

    def __init__(self, of: Failing, host: str = HOST) -> None:
        self._of, self.host = of, host
        self.failing: HostFault | None = None
        self.told: list[str | bytes] = []

    def close(self, how: str) -> None:
        self.told.append(how)
        self._of.leave(cast(Any, self))

    def fail(self, alert: bytes) -> None:
        self.told.append(alert)


def under(failure: HostFailure, seconds: float = 3600) -> Failing:
    return Failing(lambda host: HostFault(failure, seconds) if host == HOST else None)


def meets(of: Failing, one: One, begun: bytes = HELLO) -> bool:
    of.accepted(cast(Any, one))
    return of.meets(cast(Any, one), begun)


@pytest.mark.parametrize(
    ("failure", "told", "held"),
    [("refused", [RESET], 0), ("dropped", [b""], 1), ("tls-error", [ALERT], 1)],
)
async def test_each_failure(failure: HostFailure, told: list[str | bytes], held: int) -> None:
    of = under(failure)
    one, other = One(of), One(of, "other.example")
    assert meets(of, one) and not meets(of, other)
    assert (one.told, other.told, len(of)) == (told, [], held)
    assert one.failing is not None and other.failing is None


async def test_without_tls_there_is_no_handshake_to_fail() -> None:
    of = under("tls-error")
    one = One(of)
    assert not meets(of, one, b"GET / HTTP/1.1\r\n") and (one.told, one.failing) == ([], None)


async def test_a_silent_client_is_refused_and_a_dropped_one_has_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("SILENT_S", "LONGEST_S"):
        monkeypatch.setattr(failing, name, 0.01)
    expected: dict[HostFailure, str] = {"refused": RESET, "dropped": OVER}
    for failure, how in expected.items():
        of = under(failure)
        one = One(of)
        of.accepted(cast(Any, one))
        await until(lambda one=one: one.told)
        assert one.told == [how]


async def test_nothing_is_held_beyond_the_rehearsals_end() -> None:
    of = under("dropped", 0.01)
    one = One(of)
    assert meets(of, one)
    await until(lambda: len(one.told) > 1)
    assert one.told == [b"", OVER] and not len(of)


async def test_the_oldest_of_too_many_makes_room() -> None:
    of = under("dropped")
    all_ = [One(of) for _ in range(MOST + 2)]
    assert all(meets(of, one) for one in all_)
    assert len(of) == MOST
    assert [one.told for one in all_[:3]] == [[b"", CROWDED]] * 2 + [[b""]]


async def test_one_whose_host_fails_no_more_is_let_go() -> None:
    found: list[HostFault | None] = [HostFault("dropped", 3600), None]
    of = Failing(lambda host: found.pop(0))
    one = One(of)
    assert not meets(of, one) and (one.told, one.failing, len(of)) == ([], None, 0)
