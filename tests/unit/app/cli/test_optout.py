"""app/cli/optout.py: the command's arguments, its forms and its exit codes."""

import json
import signal

import pytest

from app.run import optout
from app.run.optout import AuditOptions
from app.run.stopping import Stop
from tests.unit.app.cli.conftest import Telemock
from tests.unit.app.run.test_optout import COMPLETE, USUAL, ran

COMMAND = ["--", "true", "-x"]


@pytest.fixture
def heeded(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """A product that heeds its own switch, and no other."""
    seen: list[dict[str, object]] = []

    def tried(command, settings, environ, **given):
        seen.append({"command": command, **given})
        return ran() if "QDRANT__TELEMETRY_DISABLED" in environ else USUAL

    monkeypatch.setattr(optout, "tried", tried)
    return seen


def test_exit_code_0_says_that_each_switch_is_silent(telemock: Telemock, heeded) -> None:
    done = telemock("optout", "qdrant", "--wait", "3", "--no-transparent", "-v", *COMMAND)
    assert (done.code, done.err) == (0, "")
    assert done.out.endswith("silent with each of 1 switch, and coverage was complete\n")
    assert all(one["command"] == ["true", "-x"] for one in heeded) and len(heeded) == 3
    given = {name: heeded[0][name] for name in ("wait", "redirect", "verbose")}
    assert given == {"wait": 3, "redirect": False, "verbose": True}


def test_exit_code_1_says_that_one_is_not(telemock: Telemock, heeded) -> None:
    arguments = ["optout", "qdrant", "--also", "DO_NOT_TRACK=1", "--also", "EMPTY="]
    done = telemock(*arguments, "--json", *COMMAND)
    assert (done.code, done.err) == (1, "")
    told = json.loads(done.out)
    assert [(one["switch"], one["result"]) for one in told["switches"]] == [
        ("QDRANT__TELEMETRY_DISABLED=true", "silent"), ("DO_NOT_TRACK=1", "sends"),
        ("EMPTY=", "sends"),
    ]  # fmt: skip
    assert told["proves"] and not told["holds"]
    assert told["without"]["runs"][0]["coverage"]["verdict"] == COMPLETE.verdict
    assert telemock(*arguments, "--markdown", *COMMAND).out.startswith("## Qdrant: ")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_prints_what_is_known(
    telemock: Telemock, heeded, monkeypatch, number: signal.Signals
) -> None:
    going = optout.tried

    def tried(*given, stop: Stop, **more):
        if len(heeded) == 2:
            stop.number = number
        return going(*given, **more)

    monkeypatch.setattr(optout, "tried", tried)
    arguments = ["optout", "qdrant", "--also", "DO_NOT_TRACK=1"]
    done = telemock(*arguments, *COMMAND)
    assert (done.code, done.err) == (128 + number, "")
    assert "interrupted in run 3 of 4, so no `silent` here proves anything" in done.out
    assert done.out.endswith(f": incomplete ({number.name})\n")
    results = [line.split()[-2:] for line in done.out.splitlines()]
    assert ["not", "run"] in results
    heeded.clear()
    found = json.loads(telemock(*arguments, "--json", *COMMAND).out)
    assert [one["result"] for one in found["switches"]] == ["silent", "not run"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["qdrant", "--also", "CI"], "'CI' is not NAME=VALUE of a variable"),
        (["qdrant", "--also", "A B=1"], "'A B=1' is not NAME=VALUE"),
        (["qdrant", "--home", ".", "--no-fresh"], "give one of them"),
        (["qdrant", "--repeat", "0"], "--repeat"),
        (["qdrant", "--home", "/no/such"], "/no/such"),
    ],
)
def test_wrong_usage_is_told(telemock: Telemock, arguments: list[str], said: str) -> None:
    done = telemock("optout", *arguments, *COMMAND)
    assert (done.code, done.out) == (2, "")
    assert said in done.err and "hint: " in done.err


def test_what_cannot_be_audited_is_told(telemock: Telemock) -> None:
    for arguments, said in (
        (["no-such-product", *COMMAND], "no built-in profile, file or folder of this name"),
        (["ga4", *COMMAND], "ga4 names no way to switch telemetry off"),
        (["qdrant", "--", "no-such-command"], "no-such-command: command not found"),
    ):
        done = telemock("optout", *arguments)
        assert (done.code, done.out) == (1, "")
        assert said in done.err and "hint: " in done.err


def test_the_plan_is_as_documented() -> None:
    assert AuditOptions() == AuditOptions(
        fresh=True, like=None, repeat=1, wait=10, redirect=None, verbose=False
    )
