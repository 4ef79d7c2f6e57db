"""app/contract/faults.py: rules under a fault, and how it is asked for."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest

from app.contract.faults import FAILURES, FAULTS, HostFault, Rehearsed, asked
from app.contract.rules import Answer, Profile, Rule, RuleSet
from app.profiles.compile import load
from app.profiles.read import built_in

USUAL = (
    Answer(),
    Answer(204),
    Answer(body=b"{}", headers=(("content-type", "application/json"), ("Date", "x"))),
    Answer(template="{{ now }}", body=b"fallback"),
    Answer(sequence=(Answer(500), Answer(body=b"last"))),
    Answer(fault="slow_body", delay_ms=100, body=b"x"),
)


def rules(*given: Rule) -> RuleSet:
    return RuleSet((Profile("a", "A", (), given),))


def under(fault: str, answer: Answer) -> Answer:
    rehearsed = asked(f"{fault} until 1h")
    assert rehearsed is not None
    return rehearsed.of(rules(Rule("r", "mock", answer=answer))).profiles[0].rules[0].answer


@pytest.mark.parametrize("usual", USUAL, ids=repr)
def test_each_fault_of_each_answer_is_one_that_the_sidecar_gives_by_itself(usual):
    for fault in FAULTS:
        found = under(fault, usual)
        assert not (found.template or found.sequence or found.websocket)
        assert found.fault in ("", "reset")
    assert [under(one, usual).status for one in ("403", "429", "500")] == [403, 429, 500]
    hang = under("hang", usual)
    assert (hang.delay_ms, hang.fault) == (30_000, "reset")
    assert under("slow", usual).delay_ms == 10_000


def test_a_wrong_clock_is_a_year_ahead_and_the_only_one():
    found = under("clock", USUAL[2])
    dates = [value for name, value in found.headers if name.lower() == "date"]
    ahead = parsedate_to_datetime(dates[0]) - datetime.now(UTC)
    assert len(dates) == 1 and timedelta(364) < ahead < timedelta(366)
    assert found.body == b"{}"


def test_the_usual_answer_of_a_sequence_is_its_last_one():
    assert under("slow", USUAL[4]).body == b"last"


def test_what_is_not_answered_stays_as_it_is():
    given = [
        Rule("seen", "observe"), Rule("passed", "pass"), Rule("refused", "block"),
        Rule("socket", "mock", answer=Answer(websocket=True)),
    ]  # fmt: skip
    rehearsed = asked("500 until 1h")
    assert rehearsed is not None
    assert rehearsed.of(rules(*given)) == rules(*given)


def test_one_rule_alone():
    rehearsed = asked("500 cribl/telemetry until 1h")
    assert rehearsed is not None
    for profile in load(built_in()).rules.profiles:
        found = rehearsed.of(RuleSet((profile,))).profiles[0]
        changed = {rule.id for rule in found.rules if rule.answer_at == "rehearsal"}
        assert changed <= ({"telemetry"} if profile.id == "cribl" else set())


@pytest.mark.parametrize(
    "text",
    ["500", "500 until", "500 until soon", "418 until 1h", "500 telemetry until 1h",
     "500 a/b/c until 1h", "refused a/b until 1h", "dropped", "refused a,b until 1h",
     "until 1h", "500 until 2026-01-01T00:00:00", "500 a/b c/d until 1h"],
)  # fmt: skip
def test_what_is_wrong_is_refused(text):
    with pytest.raises(ValueError, match="500 until 2h"):
        asked(text)


def test_it_ends():
    born = datetime(2026, 1, 1, tzinfo=UTC)
    assert asked("") is None
    found = asked("500 until 90m")
    assert found is not None and not found.is_over
    assert found.counted_from(born).end == born + timedelta(minutes=90)
    assert found.counted_from(born).is_over
    assert not found.counted_from(datetime.now(UTC)).is_over
    fixed = asked("500 until 2026-01-01T00:00:00Z")
    assert fixed is not None and fixed.counted_from(datetime.now(UTC)) == fixed and fixed.is_over


def in_force(text: str) -> Rehearsed:
    found = asked(text)
    assert found is not None
    return found.counted_from(datetime.now(UTC))


@pytest.mark.parametrize("failure", FAILURES)
def test_connections_fail_until_the_end_and_the_rules_stay(failure: str) -> None:
    found = in_force(f"{failure} until 1h")
    met = found.of_host("cdn.cribl.io")
    assert isinstance(met, HostFault) and met.failure == failure and 3_500 < met.seconds <= 3_600
    assert found.fails and found.of(rules(Rule("r", "mock"))) == rules(Rule("r", "mock"))
    assert in_force(f"{failure} until 2026-01-01T00:00Z").of_host("cdn.cribl.io") is None
    assert in_force("500 until 1h").of_host("cdn.cribl.io") is None


def test_connections_to_one_host_alone() -> None:
    found = in_force("refused CDN.cribl.io. until 1h")
    assert found.of_host("cdn.cribl.io") and not found.of_host("cribl.io")
