"""app/run/led.py: which connections no record tells of, where ports serve several."""

import pytest

from app.contract.record import CaptureRecord, Endpoint, Program
from app.run.interception import UNRECORDED, Passed
from app.run.led import Led, Unrecorded

CLIENT, HERE, THERE = ("127.0.0.1", 40001), ("127.116.0.1", 443), ("203.0.114.9", 443)


def led(to, since=0, client=CLIENT):
    return Led(client, to, since, Passed(UNRECORDED, Program("node", 12), f"{to} since {since}"))


def record(to, at=0, client=CLIENT):
    return CaptureRecord(
        boot="b" * 8, seq=1, kind="exchange", time_ns=at,
        client=client and Endpoint(*client), destination=to and Endpoint(*to),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("made", "records", "left"),
    [
        ([led(HERE)], [], [0]),
        ([led(HERE)], [record(HERE)], []),
        ([led(HERE)], [record(HERE), record(HERE)], []),  # requests on one connection
        ([led(HERE), led(THERE)], [record(HERE)], [1]),
        ([led(HERE), led(None)], [record(HERE)], [1]),
        ([led(HERE), led(None)], [record(("cdn.cribl.io", 443))], [0]),
        ([led(HERE), led(None)], [record(None)], [0]),  # the proxy was not told where to
        ([led(HERE), led(HERE, client=("127.0.0.9", 40001))], [record(HERE)], [1]),
        # The port was used again, and again.
        ([led(HERE, 9), led(HERE, 5), led(HERE, 1)], [record(HERE, 6)], [0, 2]),
        ([led(HERE, 9), led(HERE, 5)], [record(HERE, 9), record(HERE, 5)], []),
        ([led(HERE, 9)], [record(HERE, 1)], []),  # the clock was set back
        ([led(HERE)], [record(HERE, client=None)], [0]),
    ],
)
def test_a_record_tells_of_one_connection(made, records, left):
    unrecorded = Unrecorded(made)
    for one in records:
        unrecorded.found(one)
    assert sorted(unrecorded.rest().elements()) == sorted(made[n].passed for n in left)
