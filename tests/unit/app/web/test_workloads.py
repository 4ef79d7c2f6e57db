import re
import time
from html import unescape

import httpx
import pytest

from app.contract.account import Account
from app.contract.instant import iso
from app.contract.presence import Presence
from app.report.build import WorkloadLine
from app.store import Heard, Store, Told
from app.web.workloads import Pace, cadence
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


BEGIN = 10**18


def line(seconds: int, count: int) -> WorkloadLine:
    return WorkloadLine(
        namespace="", pod="", node="", image="", profile="p", hosts=[], versions=[], count=count,
        bytes_out=0, first_seen=iso(BEGIN), last_seen=iso(BEGIN + seconds * 10**9),
    )  # fmt: skip


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
    found = cadence(line(seconds, count), 0, BEGIN + seconds * 10**9)
    assert found == Pace(says)


@pytest.mark.parametrize(
    ("count", "since", "expected", "slow", "silent"),
    [
        (61, 0, 60, False, ""),
        (61, 299, 60, False, ""),
        (61, 301, 60, False, "5 min"),
        (20, 0, 60, True, ""),
        (2, 86_400 * 3, 60, False, "3 days"),
        (20, 10_000, 0, False, ""),
    ],
)
def test_seen_against_expected(
    count: int, since: int, expected: int, slow: bool, silent: str
) -> None:
    found = cadence(line(3600, count), expected, BEGIN + (3600 + since) * 10**9)
    assert (found.slow, found.silent) == (slow, silent)
    assert found.expected == ("every 60 s" if expected else "")


def heard(store: Store, boot: str, pod: str, ago_s: int, *, left: bool = False) -> None:
    said = Presence(form="hosts", mode="observe", began_ns=1)
    at = time.time_ns() - ago_s * 10**9
    store.heard([Heard(boot, "logs", pod, at, left, said)])


def test_how_each_sidecar_is(filled: Served) -> None:
    store = filled.runtime.store
    heard(store, "ab" * 16, "leader-0", 1)
    heard(store, "cd" * 16, "worker-1", 3600)
    heard(store, "ef" * 16, "quiet-0", 9, left=True)
    with sign_in(filled) as client:
        text = unescape(client.get("/workloads").text)
        amiss = unescape(client.get("/workloads?state=amiss").text)
    for part in ("heard of lately", "silent for", "took leave", "redirect hosts, mode observe"):
        assert part in text
    assert "logs/quiet-0" in text.partition("and no record of a host")[2]
    assert "every 60 s" in text  # the profile says so
    assert "logs/worker-1" in amiss


def test_a_silent_sidecar_needs_a_look_though_no_record_of_its_pod_is_stored(
    served: Served,
) -> None:
    store = served.runtime.store
    heard(store, "ef" * 16, "quiet-0", 3600)
    store.write(incoming(exchange(1, time_ns=time.time_ns())))
    with sign_in(served) as client:
        text = unescape(client.get("/workloads").text)
    assert "logs/quiet-0" in text.partition("no record of a host")[2]
    assert "1 needs a look" in text and "Nothing is known to be amiss" not in text


def test_refused_certificates_lead_to_their_captures(visitor: httpx.Client) -> None:
    text = visitor.get("/workloads").text
    found = re.search(r'class="gone" href="([^"]+)">1 certificate refused<', text)
    assert found
    assert visitor.get(unescape(found[1])).text.count("<tr data-id=") == 1


def test_who_may_read_a_namespace_sees_its_pods(filled: Served) -> None:
    bounded(filled, "edge")
    record = exchange(40, namespace="edge", pod="mine-0", time_ns=time.time_ns())
    filled.runtime.store.write(incoming(record))
    with sign_in(filled) as client:
        text = client.get("/workloads").text
    assert "edge/mine-0" in text and "logs/" not in text


def test_nothing_in_this_period(newcomer: httpx.Client) -> None:
    assert "telemock status" in newcomer.get("/workloads").text
