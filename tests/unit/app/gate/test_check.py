"""app/gate/check.py: each kind of violation is found where it is planted, and nothing otherwise."""

from collections.abc import Callable
from typing import Any, get_args

import pytest

from app.contract.record import Body, CaptureRecord
from app.gate.behaviour import of_records
from app.gate.check import check, kept, left_open, unchecked
from app.gate.contract_file import Contract, ContractEndpoint, ContractField
from app.gate.result import KINDS, Kind, Violation
from tests.records import SECOND, T0, exchange, spliced

ROUTE = "/telemetry/index.html"
GUID = "0f8fad5b-d9cb-469f-a165-70867728950e"


def field(*types: str, **given: Any) -> ContractField:
    return ContractField(types=list(types), **({"presence": "always"} | given))


FIELDS = {
    "query.v": field("string", shapes=["version"]),
    "query.os": field("string"),
    "query.ib": field("integer"),
    "query.rate": field("number", presence="sometimes", rate=0.5),
    "query.guid": field("string", classes=["identifier"], presence="few"),
    "header.host": field("string"),
    "header.user-agent": field("string"),
}


def contract(**given: Any) -> Contract:
    endpoint = ContractEndpoint(
        **({"host": "cdn.cribl.io", "method": "GET", "route": ROUTE, "fields": FIELDS} | given)
    )
    return Contract(contract=1, profile="cribl", hosts=[endpoint.host], endpoints=[endpoint])


def sent(*more: CaptureRecord) -> list[CaptureRecord]:
    return [*(exchange(n, time_ns=T0 + n * 60 * SECOND) for n in range(1, 8)), *more]


def found(records: list[CaptureRecord], against: Contract | None = None) -> list[Violation]:
    return check(against or contract(), of_records(records, lambda profile, rule: ()))


def query(*more: tuple[str, str], without: str = "") -> list[tuple[str, str]]:
    pairs = [("v", "4.16.1"), ("os", "linux"), ("ib", "12"), *more]
    return [(name, value) for name, value in pairs if name != without]


BATCH = '{"events":[{"event":"quit","properties":{}}]}'

# Kind -> the record that breaks the contract, and the field that is named.
PLANTED: dict[str, tuple[Callable[[], CaptureRecord], str]] = {
    "unplanned_host": (lambda: spliced(99, "evil.example"), ""),
    "unplanned_endpoint": (lambda: exchange(99, method="POST"), ""),
    "unplanned_field": (lambda: exchange(99, query=query(("user", "me"))), "query.user"),
    "unplanned_event": (
        lambda: exchange(
            99,
            headers=[("Host", "a"), ("User-Agent", "n"), ("Content-Type", "application/json")],
            body=Body(text=BATCH, size=len(BATCH)),
        ),
        "quit",
    ),
    "missing_field": (lambda: exchange(99, query=query(without="os")), "query.os"),
    "type": (lambda: exchange(99, query=[*query(without="ib"), ("ib", "many")]), "query.ib"),
    "class": (lambda: exchange(99, query=[*query(without="os"), ("os", GUID)]), "query.os"),
    "cadence": (lambda: exchange(99, time_ns=T0), ""),
}


def test_every_kind_is_planted_and_explained() -> None:
    assert PLANTED.keys() == set(get_args(Kind)) == KINDS.keys()


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_violation_is_found(kind: str) -> None:
    make, name = PLANTED[kind]
    against = contract(every="10m") if kind == "cadence" else contract()
    records = sent(*(make() for _ in range(60 if kind == "cadence" else 1)))
    violation = next(one for one in found(records, against) if one.kind == kind)
    assert violation.field == name
    assert violation.count == (67 if kind == "cadence" else 1)
    assert violation.example
    assert violation.first_seen <= violation.last_seen
    if kind not in ("cadence", "unplanned_host"):
        assert violation.example == f"{'ab' * 4}-99"
    assert GUID not in str(violation)


def test_what_is_planned_is_no_violation() -> None:
    more = [("rate", "1"), ("guid", GUID)]
    fine = [exchange(50, query=query(*more)), exchange(51, query=query(("rate", "")))]
    assert found(sent(*fine)) == []
    assert found([]) == []
    assert found(sent(), contract(every="60s")) == []
    assert found(sent(), contract(every="2m")) == []  # twice as often is not more than twice


@pytest.mark.parametrize(
    ("field", "more"),
    [
        ("query.", {"query": [*query(), ("", "me")]}),
        ("query.me", {"query": query(("me", ""))}),
        ("query.os›json.user", {"query": [*query(without="os"), ("os", '{"user":"me"}')]}),
        ("path.;user", {"path": f"{ROUTE};user=me"}),
        ("path.;user", {"path": "/telemetry;user=me/index.html", "rule": "", "route": ""}),
        (
            "path.(another reading)",
            {"path": "/telemetry/me/../index.html", "judged_by": "method path"},
        ),
        ("body", {"body": Body(text="me", size=2)}),
        ("header.x-user", {"headers": [("Host", "a"), ("User-Agent", "n"), ("X-User", "me")]}),
    ],
)
def test_no_part_of_a_request_hides_a_field(field: str, more: dict[str, Any]) -> None:
    kinds = {(one.kind, one.field) for one in found(sent(exchange(99, **more)))}
    assert ("unplanned_field", field) in kinds


def test_a_pace_needs_time_to_be_told() -> None:
    burst = [exchange(n, time_ns=T0 + n) for n in range(1, 7)]
    assert found(burst, contract(every="4h")) == []
    hours = [exchange(n, time_ns=T0 + n * 3_600 * SECOND) for n in range(1, 10)]
    assert [v.kind for v in found(hours, contract(every="4h"))] == ["cadence"]
    pods = [exchange(n, pod=f"pod-{n}", time_ns=T0 + n) for n in range(1, 100)]
    assert found(pods, contract(every="4h")) == []


def test_absence_is_no_proof_where_not_all_was_kept() -> None:
    cut = exchange(9, query=query(without="os"), body=Body(text="x", size=9, truncated=True))
    against = contract(fields=FIELDS | {"body": field("opaque", presence="few")})
    assert [v.kind for v in found(sent(cut), against)] == []
    both = sent(cut, exchange(10, query=query(without="os")))
    assert [(v.kind, v.count, v.of) for v in found(both, against)] == [("missing_field", 1, 9)]


def test_too_few_captures_never_make_a_field_required() -> None:
    against = contract(fields=FIELDS | {"query.x": field("string", presence="few")})
    assert found(sent(), against) == []


def test_a_suffix_allows_every_host_below_it() -> None:
    records = [exchange(1, host="a.cribl.io"), exchange(2, host="b.cribl.io")]
    assert found(records, contract(host=".cribl.io")) == []
    evil = [exchange(1, host="evilcribl.io")]
    assert [v.kind for v in found(evil, contract(host=".cribl.io"))] == ["unplanned_host"]


def test_fields_that_nobody_planned_are_not_judged() -> None:
    assert found(sent(exchange(9, query=[("x", "y")])), contract(fields=None)) == []


def test_events_that_are_open() -> None:
    make, _ = PLANTED["unplanned_event"]
    kinds = {v.kind for v in found(sent(make()), contract(events=["(other)"]))}
    assert "unplanned_event" not in kinds


def test_requests_without_an_events_name_need_none() -> None:
    """Contracts frozen before had one for them, ""."""
    assert found(sent(), contract(events=[])) == []
    make, _ = PLANTED["unplanned_event"]
    for older in ([], [""]):
        kinds = [v.kind for v in found(sent(make()), contract(events=older))]
        assert "unplanned_event" in kinds


def test_what_could_not_be_checked_is_said() -> None:
    def said(*records: CaptureRecord) -> str:
        seen = of_records(records, lambda p, r: ())
        return "; ".join([*unchecked(contract(), seen), *left_open(contract(), seen)])

    assert said(*sent()) == (
        "1 field was in all requests of too few to be required (presence: few)"
    )
    assert "1 request was not kept whole" in said(
        exchange(1, body=Body(size=9, withheld="unmaskable"))
    )
    assert "1 planned endpoint was not seen" in said(spliced(1))
    assert "1 connection was not opened" in said(spliced(1, "cdn.cribl.io"))
    assert "1 request was not looked into" in said(exchange(1, action="pass"))


def test_what_is_passed_unread_is_checked_by_no_field() -> None:
    passed = of_records([exchange(1, action="pass")], lambda p, r: ())
    assert check(contract(), passed) == [] and unchecked(contract(), passed)
    assert unchecked(contract(fields=None), passed) == []
    assert unchecked(contract(), of_records(sent(), lambda p, r: ())) == []


def test_a_host_is_known_in_any_spelling() -> None:
    assert found([exchange(1, host="CDN.Cribl.io.", query=query())], contract()) == []


def test_the_narrowest_name_plans_an_endpoint() -> None:
    wide, narrow, exact = ".io", ".cribl.io", "cdn.cribl.io"
    plans = [contract(host=host, fields=of).endpoints[0]
             for host, of in ((wide, None), (narrow, FIELDS), (exact, {}))]  # fmt: skip
    for order in (plans, plans[::-1]):
        both = Contract(
            contract=1, profile="cribl", hosts=[one.host for one in order], endpoints=order
        )
        assert {v.host for v in found(sent(), both)} == {exact}
        assert found(sent(exchange(50, host="a.cribl.io")), both)[-1].host == exact
        planted = exchange(50, host="a.cribl.io", query=query(("user", "me")))
        assert "a.cribl.io" in {v.host for v in found([planted], both)}
        assert found([exchange(50, host="b.io", query=query(("user", "me")))], both) == []


def test_only_what_was_called_is_kept() -> None:
    against = Contract(contract=1, profile="cribl", hosts=[".cribl.io"], endpoints=[
        contract(host=".cribl.io", route=route).endpoints[0] for route in (ROUTE, "/never")
    ])  # fmt: skip
    for more, expected in (([], [(".cribl.io", "GET", ROUTE)]), ([exchange(9, query=[])], [])):
        seen = of_records(sent(*more), lambda p, r: ())
        assert kept(against, seen, check(against, seen)) == expected


def test_what_is_planned_openly_is_said() -> None:
    told = "; ".join(
        left_open(contract(fields=None, events=["(other)"]), of_records((), lambda p, r: ()))
    )
    assert "1 endpoint was planned without `fields`, which are not judged" in told
    assert "1 endpoint was planned with any events: (other)" in told
