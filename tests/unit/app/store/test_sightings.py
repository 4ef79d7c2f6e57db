"""What a batch shows is named once for each sum, and a workload as its controller is."""

import pytest

from app.contract.record import CaptureRecord
from app.store.changes import Thing
from app.store.facts import Sender, Sums, facts
from app.store.sightings import Batch, refusal, sightings, workload
from tests.records import exchange, log, spliced


def batch(*records: CaptureRecord) -> Batch:
    sums = Sums()
    for n, record in enumerate(records):
        sums.add(record, facts(record), n)
    return Batch(sums.traffic(), sums.senders(), sums.observed())


def test_everything_that_a_request_shows() -> None:
    record = exchange(1, query=[("user", "ann@example.test")], headers=[])
    of = ("cribl", "cdn.cribl.io", "GET", "/telemetry/index.html")
    assert {(seen.thing, seen.what) for seen in sightings(batch(record))} == {
        (Thing("host", "cribl", "cdn.cribl.io"), ""),
        (Thing("endpoint", *of), ""),
        (Thing("version", "cribl", name="4.16.1-20904e45"), ""),
        (Thing("field", *of, "query.user"), "string email"),
        (Thing("class", *of, "query.user", "email"), "email"),
    }


def test_sums_are_those_of_the_thing() -> None:
    records = [exchange(n, time_ns=n, query=[("a", "1")] if n % 2 else []) for n in range(1, 8)]
    found: dict[Thing, int] = {}
    for thing, _, sum, _ in sightings(batch(*records)):
        found[thing] = found.get(thing, 0) + sum.count
    assert found[Thing("host", "cribl", "cdn.cribl.io")] == 7
    assert [n for thing, n in found.items() if thing.name == "query.a"] == [4]


def test_log_lines_and_unopened_connections() -> None:
    assert list(sightings(batch(log(1, "a line")))) == []
    (seen,) = sightings(batch(spliced(2)))
    assert seen.thing == Thing("host", "", "other.example")


@pytest.mark.parametrize(
    ("namespace", "pod", "outcome", "name"),
    [
        ("logs", "web-5d9c7b6f4-x2x4z", "certificate_refused", "logs/web"),
        ("", "curl", "certificate_old", "curl"),
        ("logs", "leader-0", "answered", None),
        ("logs", "leader-0", "tls_failed", None),
    ],
)
def test_refusal(namespace: str, pod: str, outcome: str, name: str | None) -> None:
    found = refusal(Sender(0, ("p", "h.test", "", ""), "", namespace, pod, outcome))
    assert found == (name and Thing("certificate", "p", "h.test", name=name))


@pytest.mark.parametrize(
    ("pod", "name"),
    [
        ("cribl-worker-6f7c9d5b8-x2v4k", "cribl-worker"),
        ("leader-5d9c8b7f4f-2xk7q", "leader"),
        ("cribl-0", "cribl"),
        ("cribl-edge-12", "cribl-edge"),
        ("edge-x2v4k", "edge"),  # a DaemonSet's or a Job's
        ("report-29384756-x2v4k", "report"),  # a CronJob's
        ("my-app-worker", "my-app-worker"),  # no controller's ending
        ("x2v4k", "x2v4k"),
        ("", ""),
    ],
)
def test_workload(pod: str, name: str) -> None:
    assert workload(pod) == name
