"""app/rehearse/show.py: how a rehearsal is printed."""

from app.rehearse.judge import Judgement, RunEvidence
from app.rehearse.rounds import Rehearsal, RehearsedFault
from app.rehearse.show import markdown, sentence, text

EVIDENCE = RunEvidence(code=0, seconds=1.0, stopped=False, attempts=3, sockets=2)


def row(outcome, **given) -> RehearsedFault:
    judged = Judgement(outcome=outcome, because=["as without the fault"], lines=["a\x1b[31m|<b>"])
    known = {"endpoint": "/v1", "host": "a.test", "fault": "500", "evidence": EVIDENCE}
    return RehearsedFault(judgement=judged, **known | given)


FOUND = Rehearsal(
    profile="a", usual=EVIDENCE, unruled=1,
    rows=[row("tolerated"), row("fatal"), RehearsedFault(endpoint="(all)", host="a.test",
          fault="tls-error", skipped="it is asked without TLS")],
)  # fmt: skip


def test_the_sum_counts_each_outcome_and_what_was_not_tried():
    assert sentence(FOUND) == (
        "2 faults rehearsed: 1 tolerated, 0 degraded, 1 fatal; 1 not tried; 1 request no rule "
        "took, so not rehearsed"
    )


def test_what_the_command_printed_cannot_act_on_the_terminal():
    shown = text(FOUND)
    assert "\x1b" not in shown
    assert "500 of a.test /v1: a" in shown
    assert "it is asked without TLS" in shown


def test_markdown_has_a_row_for_each():
    lines = markdown(FOUND).splitlines()
    assert sum(line.startswith("| a.test") for line in lines) == 3
    assert lines[-1] == sentence(FOUND)
