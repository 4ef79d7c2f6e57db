"""The masking's tables without a process: no secret of them is left, and what is like one stays."""

import json
from urllib.parse import quote

import pytest

from tests import at_large, unusual
from tests.planted import CARRIERS, Sent, cases, posted, readable
from tests.unit.app.contract.places import answered, found
from tests.unit.app.contract.records import ORACLE, received

RULE_IDS = ["", "plain", "packed"]


def test_no_planted_secret_is_left_and_each_is_found_where_nothing_is_masked() -> None:
    planted = list(cases())
    assert len(planted) > 2000 and len({case.what for case in planted}) > 1500
    unseen = [case.what for case in planted if not found(received(case.sent), case.value)]
    assert unseen == []
    for rule in RULE_IDS:  # of which one has decoders
        masked = ((c, ORACLE.record(received(c.sent, rule))) for c in planted)
        assert [case.what for case, record in masked if found(record, case.value)] == []


def test_what_is_like_a_secret_stays_readable() -> None:
    planted = list(readable())
    assert len(planted) > 800
    lost = [
        case.what for case in planted if not found(ORACLE.record(received(case.sent)), case.value)
    ]
    assert lost == []


def test_a_secret_in_an_unusual_place_is_masked_in_requests_and_answers() -> None:
    planted = [*unusual.cases(), *at_large.cases()]
    assert len(planted) > 1200
    assert [c.what for c in planted if not found(received(c.sent), c.value)] == []
    asked = ((c, ORACLE.record(received(c.sent))) for c in planted)
    assert [c.what for c, record in asked if found(record, c.value)] == []
    given = ((c, ORACLE.record(answered(received(c.sent)))) for c in planted)
    assert [c.what for c, record in given if found(record, c.value)] == []


@pytest.mark.parametrize("carrier", ["query", "header", "json", "text", "form", "xml"])
def test_a_name_with_another_meaning_stays_readable(carrier: str) -> None:
    make, value = CARRIERS[carrier][0], "4.10-readable"
    lost = [
        name for name in unusual.READABLE
        if not found(ORACLE.record(received(make(name, value))), value)
    ]  # fmt: skip
    assert lost == []


def test_ids_times_and_talk_of_secrets_stay_readable() -> None:
    assert len(at_large.harmless()) > 250
    for value in (*unusual.TEXTS, *at_large.harmless()):
        for one in (
            Sent("x=" + quote(value)), Sent(headers=(("x-a", value),)),
            posted(json.dumps({"a": {"x": value}, "n": 1})),
            posted(f"seen {value} here"), posted(json.dumps({"a": f"seen {value} here"})),
        ):  # fmt: skip
            assert ORACLE.record(received(one)) == received(one), value
