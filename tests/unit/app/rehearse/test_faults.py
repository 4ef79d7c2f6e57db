"""app/rehearse/faults.py: an answer under a fault."""

import time
from email.utils import parsedate_to_datetime

import pytest

from app.profiles.schema import Answer
from app.rehearse.faults import FAULTS, YEAR_S, over

USUAL = (
    {},
    {"status": 204},
    {"body": "{}", "headers": {"content-type": "application/json"}},
    {"body": "ok", "at": "sidecar"},
    {"template": "{{ now }}", "fallback": "x"},
    {"sequence": [{"status": 500}, {"body": "{}"}]},
    {"body": "{}", "delay": "1s", "fault": "reset"},
)
REQUESTS = [fault for fault in FAULTS if not fault.failure]


@pytest.mark.parametrize("fault", REQUESTS, ids=lambda fault: fault.id)
@pytest.mark.parametrize("usual", USUAL, ids=str)
def test_each_answer_under_each_fault_is_one_that_a_profile_may_have(usual, fault):
    Answer.model_validate(over(usual, fault))


def test_a_wrong_clock_is_a_year_ahead():
    (clock,) = (fault for fault in FAULTS if fault.id == "clock")
    answer = over({"body": "{}", "headers": {"etag": "a"}}, clock)
    ahead = parsedate_to_datetime(answer["headers"]["date"]).timestamp()

    assert abs(ahead - time.time() - YEAR_S) < 60
    assert (answer["body"], answer["headers"]["etag"]) == ("{}", "a")


def test_a_fault_of_its_own_leaves_nothing_of_the_usual_answer():
    (fault,) = (fault for fault in FAULTS if fault.id == "500")
    assert over({"body": "{}", "headers": {"a": "b"}}, fault) == {"status": 500, "body": ""}


def test_every_reply_of_a_sequence_fails():
    (slow,) = (fault for fault in FAULTS if fault.id == "slow")
    replies = over({"sequence": [{"status": 204}, {"body": "{}"}]}, slow)["sequence"]
    assert [reply["fault"] for reply in replies] == ["slow_body"] * 2
    assert replies[0]["body"].isspace() and replies[1]["body"] == "{}"
