"""app/run/command.py: what it refuses, and how it waits for a command. Whole runs are in
tests/integration/test_run.py."""

import os
import signal
import subprocess
import sys
from collections import Counter

import pytest

from app.contract.record import Program
from app.run import command as run
from app.run import verdict
from app.run.interception import Passed
from app.run.summary import Sent
from app.settings import load


@pytest.fixture
def settings(tmp_path):
    return load({"TELEMOCK_DATA": str(tmp_path / "data"), "TELEMOCK_LOGS": str(tmp_path / "logs")})


def test_hold_is_refused_with_a_sentence(settings):
    with pytest.raises(run.RunError, match="cannot seal what it keeps\n\nhint: observe"):
        run.run(["true"], settings, mode="hold")
    assert not settings.data.exists()


def test_without_a_command_it_says_how(settings):
    with pytest.raises(run.RunError, match="hint: telemock run -- COMMAND"):
        run.run([], settings)


def test_what_cannot_be_run_has_the_exit_code_of_a_shell(settings, tmp_path, monkeypatch):
    plain = tmp_path / "plain"
    plain.write_text("x")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for name, code, said in (
        ("no-such-command-here", 127, "command not found"),
        ("", 127, "command not found"),
        ("/no/such/file", 127, "command not found"),
        (str(plain), 126, "not executable"),
        ("plain", 126, "not executable"),
        (str(tmp_path), 126, "not executable"),
        (f"{plain}/below", 127, "command not found"),
    ):
        with pytest.raises(run.RunError, match=rf"{name}: {said}\n\nhint: ") as error:
            run.run([name], settings)
        assert error.value.code == code
    assert not settings.data.exists()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/bin")
    with pytest.raises(run.RunError, match="plain: command not found"):
        run.run(["plain"], settings)


# The rest needs the main thread of a process of its own: it blocks signals. The tests may run where
# hang-ups are ignored (nohup), which a shell cannot trap then: so that is set back first.
IN_A_PROCESS = """
import os, signal, sys
from app.run.command import RunError, _wait_for

def main(wait):
    try:
        code = wait()
    except RunError as e:
        code = e.code
    sys.exit(code)
"""


def waiting(command: list[str], **popen) -> subprocess.Popen:
    call = f"main(lambda: _wait_for({command!r}, os.environ))"
    default = (
        "signal.signal(signal.SIGHUP, signal.SIG_DFL);"  # a background job begins without both
        "signal.signal(signal.SIGINT, signal.default_int_handler)"
    )
    script = f"{IN_A_PROCESS}\n{default}; {call}"
    return subprocess.Popen([sys.executable, "-c", script], **popen)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 7"], 7),
        (["sh", "-c", "kill -TERM $$"], 128 + signal.SIGTERM),
        (["sh", "-c", "kill -KILL $$"], 128 + signal.SIGKILL),
        (["/no/such/file"], 127),
        (["/etc"], 126),
    ],
)
def test_the_exit_code_is_the_commands(command, code):
    assert waiting(command, stderr=subprocess.DEVNULL).wait(20) == code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_to_us_reaches_the_command(number):
    script = f"trap 'echo got; exit 5' {number.name[3:]}; echo ready; while :; do sleep 0.05; done"
    one = waiting(["sh", "-c", script], stdout=subprocess.PIPE, text=True)
    assert one.stdout.readline() == "ready\n"
    os.kill(one.pid, number)
    assert one.stdout.read() == "got\n"
    assert one.wait(20) == 5
    one.stdout.close()


def test_the_commands_own_streams_are_ours():
    one = waiting(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert one.communicate("through\n", 20)[0] == "through\n"


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
        survivors=[survivor] if survivor else [], brought=1, refused="", sidecar_ended=False,
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
        rows=[], who="x", left=0, lost={}, passed=passed, survivors=[], brought=1, refused="",
        sidecar_ended=True,
    )  # fmt: skip
    run._report([], {}, coverage, 0, as_json=False, discover=False)
    said = capsys.readouterr().err
    assert f"; and {len(coverage.gaps) - 3} more" in said
    assert said.count("telemock: besides, not complete: ") == len(coverage.gaps) - 3
    assert [gap.id for gap in coverage.gaps if f"{gap.says} [{gap.remedy}]" not in said] == []
