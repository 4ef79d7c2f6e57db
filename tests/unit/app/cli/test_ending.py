"""app/cli/ending.py: what is asked for, and how errors end. Over all commands:
tests/integration/test_command_line.py."""

import json
import sys

import pytest

from app.cli import ending
from app.cli.ending import Failure, Invocation
from app.contract.settings import SettingError
from app.profiles import ProfileError
from app.run.child import RunError
from app.run.processes import LocalError
from app.store import StoreError


@pytest.mark.parametrize(
    ("line", "path", "as_json"),
    [
        ("", (), False),
        ("report --json", ("report",), True),
        ("report --since --json", ("report",), False),  # it is the option's value
        ("report --nosuch --json", ("report",), True),
        ("--json report", ("report",), True),
        ("captures list --limit x --json", ("captures", "list"), True),
        ("captures show x --json", ("captures", "show"), False),  # has no such option
        ("captures --json", ("captures",), False),
        ("run --json -- curl", ("run",), True),
        ("run curl --json", ("run",), False),
        ("run -- curl --json", ("run",), False),
        ("run --mode block curl --json", ("run",), False),
        ("run --mode block --json curl", ("run",), True),
        ("rules explain - --json", ("rules", "explain"), True),
        ("report -- --json", ("report",), False),
    ],
)
def test_what_is_asked_for(line: str, path: tuple[str, ...], as_json: bool) -> None:
    assert Invocation.by(line.split()) == (path, as_json)


@pytest.mark.parametrize(
    ("error", "code", "of_run"),
    [
        (Failure("a\n\nhint: b", 1), 1, 1),
        (SettingError("a\n\nhint: b"), 2, 125),
        (StoreError("a\n\nhint: b"), 3, 125),
        (LocalError("a\n\nhint: b"), 1, 125),
        (ProfileError([]), 1, 125),
        (RunError("a\n\nhint: b", 127), 1, 127),
        (PermissionError(13, "Permission denied", "/x"), 1, 125),
        (KeyError("x"), 1, 125),
    ],
)
def test_an_error_has_a_sentence_and_a_code(
    error: Exception, code: int, of_run: int, capsys: pytest.CaptureFixture[str]
) -> None:
    for path, expected in (("report",), code), (("run",), of_run):
        assert ending._failed(error, Invocation(path, True)) == expected
        out, err = capsys.readouterr()
        assert set(json.loads(out)) == {"error", "hint"}
        assert "error: " in err


def test_a_fault_of_ours_is_told_with_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ZeroDivisionError("x\x1b")
    except ZeroDivisionError as e:
        ending._failed(e, Invocation(("report",), False))
    out, err = capsys.readouterr()
    assert out == "" and "test_ending.py" in err
    assert "error: telemock has a fault: ZeroDivisionError: x\\x1b\n\nhint: please report" in err


def test_the_documented_codes_are_those_that_are_used(monkeypatch, capsys) -> None:
    codes = [code for code, _ in (*ending.EXIT_CODES, *ending.RUN_CODES)]
    assert codes == [0, 1, 2, 3, 122, 130, 121, 122, 125, 126, 127]
    monkeypatch.setattr(sys, "argv", ["telemock", "-h"])
    assert ending.run() == 0
    told = " ".join(capsys.readouterr().out.split())
    for code, what in (*ending.EXIT_CODES, *ending.RUN_CODES):
        assert f"{code} {what}" in told or f"{code} ({what})" in told
