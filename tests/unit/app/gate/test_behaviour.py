"""app/gate/behaviour.py: records become sights of hosts, endpoints and fields."""

from app.contract.record import Body
from app.gate.behaviour import FieldKind, of_records
from tests.records import BOOT, SECOND, T0, exchange, log, spliced

KEY = ("cdn.cribl.io", "GET", "/telemetry/index.html")


def test_records_are_counted_and_values_are_not_kept() -> None:
    seen = of_records(
        [
            exchange(1, query=[("os", "linux"), ("id", "7")]),
            exchange(2, query=[("id", "seven")], time_ns=T0 + 60 * SECOND),
            spliced(3),
            log(4, "started"),
        ],
        lambda profile, rule: (),
    )
    assert seen.captures == 3
    assert {host: s.count for host, s in seen.hosts.items()} == {
        "cdn.cribl.io": 2, "other.example": 1,
    }  # fmt: skip
    endpoint = seen.endpoints[KEY]
    assert (endpoint.read, endpoint.partly, endpoint.pace) == (2, 0, (1, 60.0))
    assert endpoint.fields["query.os"].requests == 1
    assert set(endpoint.fields["query.id"].kinds) == {
        FieldKind("integer", "", "usage"), FieldKind("string", "", "opaque"),
    }  # fmt: skip
    assert seen.hosts["other.example"].example == f"{BOOT[:8]}-3"
    assert "seven" not in str(seen)


def test_gaps_are_those_of_one_sender() -> None:
    seen = of_records([exchange(n, pod=f"p-{n}") for n in range(5)], lambda p, r: ())
    assert seen.endpoints[KEY].pace == (0, 0.0)


def test_requests_that_were_not_kept_whole_are_counted() -> None:
    body = Body(text="{", size=10, truncated=True)
    seen = of_records([exchange(1, body=body), exchange(2)], lambda p, r: ())
    assert (seen.endpoints[KEY].read, seen.endpoints[KEY].partly) == (2, 1)
    assert sum(s.count for s in seen.endpoints[KEY].alike.values()) == 1
