"""app/run/command.py: what it prints. Whole runs are in tests/integration/test_run.py."""

from collections import Counter

import pytest

from app.contract.record import Program
from app.run import command as run
from app.run import verdict
from app.run.interception import Passed
from app.run.summary import Sent


@pytest.mark.parametrize("as_json", [False, True])
def test_hosts_of_connections_cannot_act_on_the_terminal(capsys, as_json):
    host = "\x1b]0;owned\x07\x9b31m\x7f\u202e"
    row = Sent(
        host=host, method="", endpoint="", action="", kind="tls_rejected", reason=host,
        outcome="tls_failed", program=host, count=1,
    )  # fmt: skip
    report([row], {host: 1}, Program(host, 1), as_json=as_json)
    printed = "".join(capsys.readouterr())
    assert "owned" in printed
    assert all(c.isprintable() or c == "\n" for c in printed)


def report(rows, lost=None, survivor=None, **given):
    coverage = verdict.of_run(
        rows=rows, who="x", left=0, lost=lost or {}, passed=Counter(),
        survivors=[survivor] if survivor else [], brought=0, refused="", sidecar_ended=False,
    )  # fmt: skip
    run._report(rows, lost or {}, coverage, 0, **{"as_json": False, "discover": False} | given)


def other(host: str, **given) -> Sent:
    known = {"method": "", "endpoint": "", "action": "pass", "kind": "spliced", "count": 2,
             "reason": "not_named", "outcome": "relayed"}  # fmt: skip
    return Sent(host=host, **known | given)


def test_other_hosts_are_counted_and_listed_on_request(capsys):
    rows = [other("a.test"), other("b.test")]
    report(rows)
    said = capsys.readouterr().err
    assert "4 connections to 2 other hosts relayed unread; --discover lists them" in said
    assert "a.test" not in said
    report(rows, discover=True)
    said = capsys.readouterr().err
    assert "a.test" in said and "b.test" in said and "--discover" not in said


def test_without_a_request_it_says_so_only_where_it_is_known(capsys):
    report([])
    assert "no request to a host of a profile was seen" in capsys.readouterr().err
    report([], survivor=Program("node", 3))
    said = capsys.readouterr().err
    assert "no request" not in said
    assert "telemock: not complete: still running when the command had ended: node (pid 3)" in said


def test_every_gap_is_printed_also_those_that_the_verdict_only_counts(capsys):
    passed = Counter(
        Passed(why, Program("node", n), f"192.0.2.{n}") for n, why in enumerate(verdict.PASSED)
    )
    coverage = verdict.of_run(
        rows=[], who="x", left=0, lost={}, passed=passed, survivors=[], brought=0, refused="",
        sidecar_ended=True,
    )  # fmt: skip
    run._report([], {}, coverage, 0, as_json=False, discover=False)
    said = capsys.readouterr().err
    assert f"; and {len(coverage.gaps) - 3} more" in said
    assert said.count("telemock: besides, not complete: ") == len(coverage.gaps) - 3
    assert [gap.id for gap in coverage.gaps if f"{gap.says} [{gap.remedy}]" not in said] == []
