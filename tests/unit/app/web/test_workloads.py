import time
from html import unescape

import httpx
import pytest

from app.contract.account import Account
from app.contract.instant import iso
from app.report.build import WorkloadLine
from app.store import Told
from app.web.workloads import _cadence
from tests.records import BOOT, exchange, incoming
from tests.serving import Served
from tests.unit.app.web.conftest import bounded, sign_in


def test_who_sends_what(visitor: httpx.Client) -> None:
    text = visitor.get("/workloads").text
    for part in ("logs/leader-0", "logs/worker-1", "telemetry.cribl.cloud", "this machine"):
        assert part in text
    found = visitor.get("/workloads?text=WORKER").text
    assert "logs/worker-1" in found and "logs/leader-0" not in found
    assert "No workload fits" in visitor.get("/workloads?text=zzz").text


def test_what_was_lost_and_what_waits(filled: Served) -> None:
    account = Account(boot=BOOT, numbered=60, lost={"spool_full": 3}, ended=True)
    told = Told(account, "logs", "leader-0")
    filled.runtime.store.write(incoming(exchange(60, time_ns=time.time_ns())), [told])
    with sign_in(filled) as client:
        text = unescape(client.get("/workloads").text)
    assert "records lost" in text
    assert "the spool reached its size limit" in text


@pytest.mark.parametrize(
    ("seconds", "count", "says"),
    [
        (60, 2, ""),
        (120, 3, "every 60 s"),
        (3600, 13, "every 5 min"),
        (86400, 9, "every 3 h"),
        (0, 9, ""),
    ],
)
def test_cadence(seconds: int, count: int, says: str) -> None:
    line = WorkloadLine(
        namespace="", pod="", node="", image="", profile="p", hosts=[], versions=[], count=count,
        bytes_out=0, first_seen=iso(10**18), last_seen=iso(10**18 + seconds * 10**9),
    )  # fmt: skip
    assert _cadence(line) == says


def test_who_may_read_a_namespace_sees_its_pods(filled: Served) -> None:
    bounded(filled, "edge")
    record = exchange(40, namespace="edge", pod="mine-0", time_ns=time.time_ns())
    filled.runtime.store.write(incoming(record))
    with sign_in(filled) as client:
        text = client.get("/workloads").text
    assert "edge/mine-0" in text and "logs/" not in text


def test_nothing_in_this_period(newcomer: httpx.Client) -> None:
    assert "telemock status" in newcomer.get("/workloads").text
