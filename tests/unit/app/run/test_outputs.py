"""app/run/outputs.py: each reason for which a gate does not pass is a failure in every form."""

import json
import os
import shutil
import subprocess
from xml.etree import ElementTree as etree

import pytest

from app.gate.result import GATE_KINDS, KINDS
from app.report.coverage import Gap
from app.run import outputs
from app.run.gate import GateOutcome, GateVerdict, Sending
from app.run.outputs import Outputs, Run
from tests.unit.app.gate.violating import EVIL, violation

RUN = Run("p.yaml", [], 10**18, 2 * 10**18)
GAP = Gap(id="descendants", count=2, says="still running: x", remedy="--wait")
SENT = [
    Sending(how="tls", to="evil.example (203.0.113.1)", by="curl (pid 1)", count=2),
    Sending(how="tls", to="evil.example (203.0.113.2)", by="curl (pid 2)", count=1),
    Sending(
        how="datagrams", to="203.0.113.9:4433", by="x (pid 3)", count=1, says="not looked into"
    ),
]


def outcome(**given):
    known = {"verdict": GateVerdict.PASSED, "code": 0, "says": "gate passed", "sent": [],
             "allowed": [], "gaps": [], "limits": []}  # fmt: skip
    return GateOutcome(**(known | given))


@pytest.fixture
def written(tmp_path):
    def write(judged, run=RUN):
        """The results of SARIF, the suite of JUnit, and the text of Markdown."""
        to = Outputs(*(tmp_path / form for form in Outputs._fields))
        outputs.write(to, judged, run)
        (log,) = json.loads(to.sarif.read_text())["runs"]
        assert [one["id"] for one in log["tool"]["driver"]["rules"]] == [*KINDS, *GATE_KINDS]
        (suite,) = etree.fromstring(to.junit.read_text())  # noqa: S314 - ours
        return log["results"], suite, to.markdown.read_text()

    return write


def test_a_gate_that_passed_has_cases_and_no_failure(written):
    results, suite, text = written(outcome())
    assert results == []
    assert [(case.get("name"), len(case)) for case in suite.iter("testcase")] == [
        ("nothing was seen to be sent but what is allowed", 0), ("coverage is complete", 0),
    ]  # fmt: skip
    assert text == "## telemock: gate passed\n"


@pytest.mark.parametrize(
    ("given", "kinds"),
    [
        ({"gaps": [GAP]}, ["not_complete"]),
        ({"sent": SENT}, ["sent", "sent"]),
        ({"violations": [violation()]}, ["unplanned_field"]),
        ({"sent": SENT[:1], "violations": [violation()], "gaps": [GAP, GAP]},
         ["sent", "unplanned_field", "not_complete", "not_complete"]),
    ],
)  # fmt: skip
def test_every_reason_is_a_result_a_failure_and_a_row(written, given, kinds):
    results, suite, text = written(outcome(says="gate failed: x", **given))
    assert [one["ruleId"] for one in results] == kinds
    assert {one["level"] for one in results} == {"error"}
    failures = list(suite.iter("failure"))
    assert [one.get("type") for one in failures] == kinds
    assert suite.get("failures") == str(len(kinds))
    held = {case.get("classname") for case in suite.iter("testcase") if not len(case)}
    assert held == {f"telemock.gate.{kind}" for kind in GATE_KINDS if kind not in kinds}
    assert text.startswith("## telemock: gate failed: x\n")
    for kind in kinds:
        assert f"| {kind} |".replace("_", r"\_") in text or f"| {kind} |" in text


def test_what_is_planned_and_kept_is_a_case_and_what_is_doubted_is_skipped(written):
    planned = [("a.test", "GET", "/x"), ("a.test", "GET", "/y")]
    broken = violation(host="a.test", endpoint="/y")
    judged = outcome(violations=[broken], doubts=["1 planned endpoint was not seen"])
    _, suite, text = written(judged, RUN._replace(planned=planned))
    names = [case.get("name") for case in suite.iter("testcase") if not len(case)]
    assert names[0] == "a.test GET /x"
    assert "a.test GET /y" not in names
    assert suite.get("skipped") == "1"
    assert "1 planned endpoint was not seen" in text


def test_a_sending_is_the_same_alert_from_run_to_run(written):
    def prints(*sent):
        results, _, _ = written(outcome(sent=list(sent)))
        return {one["partialFingerprints"]["violation/v1"] for one in results}

    assert prints(SENT[0]) == prints(SENT[1]) == prints(*SENT[:2])
    assert len(prints(*SENT)) == 2
    (one, other), _, _ = written(outcome(sent=SENT))
    assert "by curl (pid 1) to evil.example (203.0.113.1), 2 times" in one["message"]["text"]
    assert "(3 times)" in one["message"]["text"]
    assert other["properties"]["count"] == 1


def test_names_stay_text(written):
    gap = Gap(id="x", count=1, says=EVIL, remedy=EVIL)
    sent = Sending(how=EVIL, to=EVIL, by=EVIL, count=1)
    _, suite, text = written(outcome(says=EVIL, sent=[sent], gaps=[gap]), RUN._replace(file=EVIL))
    assert len(list(suite.iter("failure"))) == 2
    assert not [c for c in text if not c.isprintable() and c != "\n"]
    assert "<b>" not in text


def test_only_what_is_wanted_is_written_and_a_place_that_is_none_is_an_error(tmp_path):
    outputs.write(Outputs(junit=tmp_path / "j.xml"), outcome(), RUN)
    assert [path.name for path in tmp_path.iterdir()] == ["j.xml"]
    with pytest.raises(OSError, match="none"):
        outputs.write(Outputs(sarif=tmp_path / "none" / "s"), outcome(), RUN)


def test_microsofts_validator_and_githubs_rules_take_the_sarif(tmp_path):
    if shutil.which("Sarif.Multitool") is None:
        pytest.skip("needs Sarif.Multitool in PATH: make ci-runners installs it, and runs this")
    judged = outcome(
        says=EVIL, sent=SENT, violations=[violation(), violation(host=EVIL)], gaps=[GAP]
    )
    file, log = tmp_path / "x.sarif", tmp_path / "log.sarif"
    outputs.write(Outputs(sarif=file), judged, RUN)
    done = subprocess.run(
        ["Sarif.Multitool", "validate", str(file), "--rule-kind", "Sarif;Ghas", "-o", str(log)],
        env={**os.environ, "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    (run,) = json.loads(log.read_text(encoding="utf-8-sig"))["runs"]
    assert [one for one in run["results"] if one.get("level") == "error"] == [], done.stdout
