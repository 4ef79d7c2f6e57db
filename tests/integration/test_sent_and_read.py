"""A client that sends requests as fast as it reads answers, through every entrance.

It has a sidecar of its own: so many records at once may be more than can wait, and the others are
counted as lost, which tests that count records do not expect.
"""

import contextlib
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterator

import pytest

from tests import netns
from tests.entrances import REQUEST, Lab, answers, connect_plain, connect_tls, direct, plain
from tests.sidecar import LINE

Entrance = Callable[[Lab], socket.socket]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    netns.require()
    lab = Lab(tmp_path_factory.mktemp("sent-and-read"))
    yield lab
    lab.close()


def answered(client: socket.socket, data: bytes, count: int, seconds: float) -> int:
    """Sends and reads in one thread, as TLS wants it; how many answers came."""
    client.setblocking(False)
    left, tail, found = memoryview(data), b"", 0
    until = time.monotonic() + seconds
    blocked = (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError)
    while found < count and time.monotonic() < until:
        select.select([client], [client] if left else [], [], 1)
        with contextlib.suppress(*blocked):
            while left:
                left = left[client.send(left[:65536]) :]
        with contextlib.suppress(*blocked):
            while part := client.recv(65536):
                tail += part
                found += tail.count(LINE)
                tail = tail[tail.rfind(LINE) + len(LINE) :] if LINE in tail else tail
    return found


@pytest.mark.root
@pytest.mark.parametrize("entrance", [direct, plain, connect_tls, connect_plain])
def test_who_sends_and_reads_at_once_is_not_read_further_than_answered(
    lab: Lab, entrance: Entrance
) -> None:
    """What lies there unanswered would be copied for each answer: it took minutes."""
    count = 6000
    request = (REQUEST % "/telemetry/index.html").encode()
    with entrance(lab) as client:
        assert answered(client, request * count, count, 20) == count


@pytest.mark.root
@pytest.mark.parametrize("entrance", [direct, plain, connect_tls])
def test_many_requests_sent_ahead_while_the_app_is_away_are_all_answered(
    lab: Lab, entrance: Entrance
) -> None:
    """More than Python's stack is deep: none is answered from within the one before."""
    lab.away()
    with entrance(lab) as client:
        client.settimeout(20)
        assert answers(client, "/at-the-app", 3000, pipelined=True) == [(200, LINE)] * 3000
    lab.back()
