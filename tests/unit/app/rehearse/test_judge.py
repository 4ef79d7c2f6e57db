"""app/rehearse/judge.py: tolerated, degraded, fatal."""

import pytest

from app.rehearse.judge import RunEvidence, judge, new_lines

USUAL = {"code": 0, "seconds": 2.0, "stopped": False, "attempts": 2, "sockets": 3,
         "lines": ["started at 12:00:01", "error: no cache, which is usual", "done"]}  # fmt: skip
SERVICE = USUAL | {"code": 143, "seconds": 60.0, "stopped": True}


@pytest.mark.parametrize(
    ("change", "outcome", "says"),
    [
        ({}, "tolerated", "as without the fault"),
        ({"attempts": 5}, "tolerated", "5 attempts instead of 2"),
        ({"attempts": 12, "seconds": 2.5}, "tolerated", "12 attempts instead of 2"),
        ({"lines": ["started at 12:01:07", "done"]}, "tolerated", "as without"),
        ({"lines": ["started at 1:2:3", "skipped telemetry", "done"]}, "tolerated", "as without"),
        ({"lines": ["WARN telemetry is down"]}, "degraded", "prints trouble"),
        ({"lines": ["connect ETIMEDOUT: timed out"]}, "degraded", "prints trouble"),
        ({"seconds": 3.9}, "tolerated", "as without"),
        ({"seconds": 4.1}, "degraded", "took 4.1 s instead of 2.0"),
        ({"attempts": 600}, "degraded", "18000 attempts a minute instead of 60"),
        ({"sockets": 14}, "degraded", "14 sockets open instead of 3"),
        ({"code": 1}, "fatal", "exit code 1 instead of 0"),
        ({"code": 139}, "fatal", "exit code 139 instead of 0"),
        ({"stopped": True, "seconds": 122.0, "code": 143}, "fatal", "had not ended after 122 s"),
    ],
)  # fmt: skip
def test_a_command_that_ends(change, outcome, says):
    found = judge(RunEvidence(**USUAL), RunEvidence(**USUAL | change), lasts=False)
    assert found.outcome == outcome
    assert says in "; ".join(found.because)


@pytest.mark.parametrize(
    ("change", "outcome", "says"),
    [
        ({}, "tolerated", "as without the fault"),
        ({"code": 1}, "tolerated", "as without"),  # how it takes a SIGTERM
        ({"stopped": False, "seconds": 7.0, "code": 0}, "fatal", "ended by itself after 7.0 s"),
        ({"attempts": 40}, "degraded", "40 attempts a minute instead of 2"),
    ],
)
def test_a_service(change, outcome, says):
    found = judge(RunEvidence(**SERVICE), RunEvidence(**SERVICE | change), lasts=True)
    assert found.outcome == outcome
    assert says in "; ".join(found.because)


def test_lines_that_tell_of_trouble_come_first_and_each_once():
    found = new_lines(["at 1 ok"], ["at 2 ok", "hm 3", "hm 3", "request failed 0xdeadbeef", ""])
    assert found == ["request failed 0xdeadbeef", "hm 3"]
