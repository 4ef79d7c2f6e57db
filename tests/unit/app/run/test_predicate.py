"""app/run/predicate.py: a statement's facts are whole, and hold no secret of the command line."""

from app.contract import rules
from app.run import predicate
from app.run.gate import GateOutcome, GateVerdict

OUTCOME = GateOutcome(verdict=GateVerdict.PASSED, code=0, says="gate passed", sent=[], allowed=[],
                      gaps=[], limits=["a limit"])  # fmt: skip


def facts(*command):
    profile = rules.Profile(id="a", title="a", hosts=(), rules=())
    return predicate.of(
        command, OUTCOME, code=0, mode=None, profiles=[profile], policy={"allow": ["a.test"]},
        began_ns=10**18, ended_ns=2 * 10**18, transparent=True,
    )  # fmt: skip


def test_it_says_what_a_reader_needs():
    found = facts("make", "test")
    assert found["command"] == "make test"
    assert found["verdict"] == "passed"
    assert found["exitCode"] == {"command": 0, "gate": 0}
    assert found["startedOn"] == "2001-09-09T01:46:40Z"
    assert found["policy"] == {"allow": ["a.test"]}
    assert found["coverage"] == {"complete": True, "gaps": [], "limits": ["a limit"]}
    assert found["kernel"]["asked"] is True
    (profile,) = found["profiles"]
    assert profile["name"] == "a"
    assert len(profile["digest"]["sha256"]) == 64
    assert facts("x")["profiles"] == found["profiles"]


def test_the_command_is_masked():
    said = facts("curl", "-H", "Authorization: Bearer s3cret-value", "--password", "hunter22")
    assert "s3cret" not in str(said)
    assert "hunter22" not in str(said)
