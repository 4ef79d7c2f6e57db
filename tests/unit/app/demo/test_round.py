"""app/demo/round.py: an outcome that differs from the plan is a failure. The whole demo is in
tests/integration/test_demo.py."""

import pytest

from app.contract.record import CaptureRecord, Request, Response
from app.demo import plan, round
from app.demo.host import CDN

BOOT = "0123456789abcdef"


def records() -> list[CaptureRecord]:
    """As many as the plan makes, of both versions."""
    found = []
    for seq in range(1, plan.CAPTURES + 1):
        version = plan.VERSIONS[seq % 2]
        query = [*plan.parameters(version, 0).items()]
        masked = [(name, "***" if name == "lic" else value) for name, value in query]
        mocked = seq <= plan.MOCKED
        found.append(
            CaptureRecord(
                boot=BOOT,
                seq=seq,
                kind="exchange",
                time_ns=seq,
                action="mock" if mocked else "pass",
                answered_by="app" if mocked else "upstream",
                product_version=version,
                request=Request(method="GET", host=CDN, query=masked),
                response=Response(status=200),
            )
        )
    return found


def outcome(found: list[CaptureRecord], passed: list[str] | None = None) -> round.DemoOutcome:
    return round.DemoOutcome(
        client="x", sent=[], added_fields=round._added(found),
        passed=["GET cdn.cribl.io/dl/x"] * plan.PASSED if passed is None else passed,
        captures=len(found), seconds=0, logs="", data="", api="", running=False,
    )  # fmt: skip


def test_as_planned_nothing_is_wrong():
    assert list(round._wrong(outcome(records()), records())) == []


def test_the_added_fields_are_those_of_the_newer_version():
    assert round._added(records()) == sorted(plan.ADDED)


def lost(found):
    found.pop()


def from_sidecar(found):
    found[0].answered_by = "sidecar"


def unmasked(found):
    found[0].request.query = [*found[0].request.query, ("x", plan.LICENCE)]


def not_mocked(found):
    found[0].action = "pass"


@pytest.mark.parametrize("spoil", [lost, from_sidecar, unmasked, not_mocked])
def test_what_differs_is_said(spoil):
    found = records()
    spoil(found)
    assert list(round._wrong(outcome(found), found))


def test_telemetry_that_reached_the_real_host_is_said():
    passed = ["GET cdn.cribl.io/telemetry/index.html"] * plan.PASSED
    assert any("reached the real host" in s for s in round._wrong(outcome([], passed), []))


def test_the_error_has_every_sentence_and_a_hint():
    with pytest.raises(round.DemoError, match="one\n  two\n\nhint: "):
        round._raise(["one", "two"])
    round._raise([])
