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
    assert set(WAYS) == set(verdict.PASSED)


@pytest.mark.parametrize("why", WAYS)
def test_a_connection_past_the_sidecar_names_program_address_and_remedy(why):
    found = judged(passed=Counter({Passed(why, NODE, "192.0.2.9:8443"): 3}))
    says, remedy = verdict.PASSED[why]
    assert not found.complete
    assert found.verdict == (
        f"not complete: 3 connections {says}: node (pid 12) to 192.0.2.9:8443 [{remedy}]"
    )


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
        ({"left": 4}, "4 records are not delivered yet"),
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
