"""app/run/verdict.py: each reason why a run is not complete is said, with what helps."""

from collections import Counter
from typing import Any

import pytest

from app.contract.record import Program
from app.run import interception, verdict
from app.run.interception import Passed
from app.run.summary import Sent

NODE = Program("node", 12)
ANSWERED = Sent(host="cdn.cribl.io", method="GET", endpoint="/", action="mock", kind="exchange",
                reason="", outcome="answered", count=2)  # fmt: skip


def judged(**given: Any):
    known: dict[str, Any] = {
        "rows": [ANSWERED], "who": "node", "left": 0, "lost": {}, "passed": Counter(),
        "survivors": [], "brought": 2, "refused": "", "sidecar_ended": False,
    }  # fmt: skip
    return verdict.of_run(**known | given)


def test_complete_says_how_it_is_known():
    found = judged()
    assert found.complete
    assert found.verdict == (
        "complete: 2 requests and connections came, 2 records are stored, by the sidecar's own "
        "count; the kernel asked about every connection of the command's processes and led 2 "
        "connections to the sidecar"
    )


WAYS = [
    value for name, value in vars(interception).items() if name.isupper() and isinstance(value, str)
]


def test_every_way_past_the_sidecar_has_its_words():
    assert set(WAYS) == {*verdict.PASSED, interception.SERVICE}


@pytest.mark.parametrize("why", verdict.PASSED)
@pytest.mark.parametrize("number", [1, 3])
def test_a_connection_past_the_sidecar_names_program_address_and_remedy(why, number):
    found = judged(passed=Counter({Passed(why, NODE, "192.0.2.9:8443"): number}))
    kind = verdict.PASSED[why]
    of = kind.one if number == 1 else kind.many
    between = ": " if why == interception.OTHER_SOCKET else " to "
    assert not found.complete
    assert found.verdict == (
        f"not complete: {number} {of} {kind.says}: node (pid 12){between}192.0.2.9:8443 "
        f"[{kind.remedy}]"
    )


def test_the_systems_own_services_are_a_limit():
    passed = Counter({Passed(interception.SERVICE, NODE, "/dev/log"): 2})
    found = judged(passed=passed)
    assert found.complete
    assert found.limits[:1] == verdict.services(passed) == [
        "2 connections to services of this machine, which send for others only what they are for: "
        "node (pid 12) to /dev/log"
    ]  # fmt: skip
    assert verdict.services(Counter()) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"survivors": [NODE]}, "still running when the command had ended: node (pid 12)"),
        ({"brought": None, "refused": "it needs Linux"}, "only what heeds the proxy variables was "
         "seen (it needs Linux)"),
        ({"brought": None}, "leave --no-transparent out"),
        ({"rows": [Sent(host="203.0.114.9", method="", endpoint="", action="pass", kind="spliced",
                        reason="not_http", outcome="relayed", program="sh (pid 1)", count=1)]},
         "1 connection to bare addresses, without a host's name, not looked into: sh (pid 1) to"),
        ({"left": 4}, "4 records are not delivered yet [the next run delivers those"),
        ({"lost": {"disk_full": 1}}, "1 record was lost"),
        ({"sidecar_ended": True}, "the sidecar ended before the command"),
        ({"rows": [Sent(host="a.test", method="", endpoint="", action="", kind="tls_rejected",
                        reason="client_refused_certificate", outcome="certificate_refused",
                        count=1)]}, "1 connection to a.test: the client did not accept"),
    ],
)  # fmt: skip
def test_every_other_gap_is_said(given, said):
    found = judged(**given)
    assert not found.complete
    assert found.verdict.startswith("not complete: ")
    assert said in found.verdict


@pytest.mark.parametrize("rows", [[], [ANSWERED]])
def test_a_connection_that_left_no_record_is_not_complete(rows):
    found = judged(rows=rows, brought=3)
    number = 3 - 2 * len(rows)
    assert not found.complete
    assert [(gap.id, gap.count) for gap in found.gaps] == [(interception.UNRECORDED, number)]
    assert "that the sidecar has no record of" in found.verdict
    assert judged(rows=rows, brought=3, left=number).gaps[0].id == "waiting"
