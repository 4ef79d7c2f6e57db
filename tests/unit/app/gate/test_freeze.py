"""app/gate/freeze.py: what was seen becomes a contract, which says no more than was seen."""

from typing import Any

import pytest

from app.contract.record import Body, CaptureRecord
from app.gate.behaviour import of_records
from app.gate.check import check, declared
from app.gate.contract_file import ContractEndpoint, written
from app.gate.freeze import Frozen, freeze
from app.profiles.compile import load
from app.report.papers import Claim, papers_of
from tests.records import SECOND, T0, exchange, spliced


def frozen(*records: CaptureRecord, required_from: int = 30) -> Frozen:
    return freeze("cribl", None, of_records(records, lambda p, r: ()), required_from)


def endpoint(*records: CaptureRecord, **given: Any) -> ContractEndpoint:
    return frozen(*records, **given).contract.endpoints[0]


def many(number: int, step_s: float = 60) -> list[CaptureRecord]:
    return [exchange(n, time_ns=T0 + int(n * step_s * SECOND)) for n in range(number)]


@pytest.mark.parametrize(
    ("number", "required_from", "presence"), [(29, 30, "few"), (30, 30, "always"), (3, 3, "always")]
)
def test_required_is_what_enough_requests_carried(
    number: int, required_from: int, presence: str
) -> None:
    found = endpoint(*many(number), required_from=required_from)
    assert found.fields and {f.presence for f in found.fields.values()} == {presence}


@pytest.mark.parametrize(("without", "rate"), [(1, 0.99), (100, 0.5), (199, 0.01)])
def test_a_field_that_some_carry_has_its_rate(without: int, rate: float) -> None:
    rare = [exchange(n + 200, query=[]) for n in range(without)]
    found = endpoint(*many(200 - without, 0), *rare)
    assert found.fields and found.fields["query.v"].presence == "sometimes"
    assert found.fields["query.v"].rate == rate


@pytest.mark.parametrize(
    ("step_s", "every"),
    [(0.1, None), (1.4, "1s"), (60, "60s"), (600, "10m"), (14_400, "4h"), (86_400 * 7, "7d")],
)
def test_the_pace_of_one_sender(step_s: float, every: str | None) -> None:
    assert endpoint(*many(10, step_s)).every == every
    assert endpoint(*many(5, step_s)).every is None


def test_what_no_contract_can_hold_is_said_and_is_a_violation() -> None:
    records = [
        exchange(1),
        exchange(2, host="E e"),
        exchange(3, method="get\n|x"),
        spliced(4),
    ]
    found = frozen(*records)
    assert found.contract.hosts == ["cdn.cribl.io", "other.example"]
    assert [said.partition(":")[0] for said in found.left_out] == [
        "host e e", "endpoint cdn.cribl.io get\\n|x /telemetry/index.html",
    ]  # fmt: skip
    kinds = [v.kind for v in check(found.contract, of_records(records, lambda p, r: ()))]
    assert kinds == ["unplanned_host", "unplanned_endpoint"]


def test_the_vendors_words_stand_beside_the_fields() -> None:
    (paper,) = papers_of(load(["cribl"]).written)
    seen = of_records(many(3), lambda p, r: ())
    found = freeze("cribl", None, seen, paper=paper).contract
    (endpoint,) = found.endpoints
    assert endpoint.fields
    assert {path: field.documented for path, field in endpoint.fields.items()} == {
        "query.v": True, "query.os": True, "query.ib": True, "header.user-agent": False,
        "header.host": None,
    }  # fmt: skip
    assert "Instance GUID" in found.documented_unseen
    assert "Number of Routes (which field carries it is not known)" in found.documented_unseen
    assert declared(found, seen).startswith(
        "3 fields documented and seen, 1 seen but not documented: header.user-agent; 9 documented"
    )
    assert declared(freeze("cribl", None, seen).contract, seen) == ""


def test_events_are_those_that_have_a_name() -> None:
    assert endpoint(*many(3)).events == []
    text = '{"events":[{"event":"quit","properties":{}},{"event":"","properties":{}}]}'
    headers = [("Host", "a"), ("Content-Type", "application/json")]
    batch = exchange(9, headers=headers, body=Body(text=text, size=len(text)))
    assert endpoint(*many(3), batch).events == ["quit"]


def test_a_vendor_without_a_list_is_told_in_the_contract() -> None:
    (paper,) = papers_of(load(["cribl"]).written)
    paper.documented = []
    paper.no_list = [Claim(claim="Some data.", source="docs.acme", verified="2026-11")]
    seen = of_records(many(3), lambda p, r: ())
    found = freeze("cribl", None, seen, paper=paper).contract
    said = "the vendor publishes no list of what is sent (docs.acme, 2026-11)"
    assert found.documented_none == declared(found, seen) == said
    assert f"documented_none: {said}\n" in written(found)
    fields = [field for one in found.endpoints for field in (one.fields or {}).values()]
    assert fields and {field.documented for field in fields} == {None}


@pytest.mark.parametrize(
    ("whole", "cut", "presence"),
    [
        ([("v", "1")], [("v", "1"), ("x", "1")], "sometimes"),  # whole ones lack it
        ([("x", "1")], [], "always"),  # the cut ones may have carried it
        ([("x", "1")], [("x", "1")], "always"),
        (None, [("x", "1")], "always"),
        (None, [], None),
    ],
)
def test_a_request_that_was_cut_makes_nothing_required(
    whole: list[tuple[str, str]] | None, cut: list[tuple[str, str]], presence: str | None
) -> None:
    body = Body(text="x", size=9, truncated=True)
    records = [exchange(n, query=cut, body=body) for n in range(6)]
    records += [exchange(n, query=whole) for n in range(10, 14) if whole is not None]
    found = frozen(*records, required_from=3)
    fields = found.contract.endpoints[0].fields or {}
    assert (fields["query.x"].presence if "query.x" in fields else None) == presence
    assert check(found.contract, of_records(records, lambda p, r: ())) == []


def test_what_no_list_holds_is_said_on_top() -> None:
    assert frozen(exchange(1, query=[("x" * 300, "1")])).left_out == [
        "1 field over the limits of what is listed"
    ]


def test_what_is_passed_unread_has_no_fields() -> None:
    assert endpoint(exchange(1, action="pass")).fields is None


def test_what_is_frozen_is_kept() -> None:
    records = [*many(40), exchange(99, query=[("x", "")])]
    found = frozen(*records)
    assert check(found.contract, of_records(records, lambda p, r: ())) == []
