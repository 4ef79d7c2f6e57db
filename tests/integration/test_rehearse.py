"""`telemock rehearse` with real processes: each fault is what it says, each judgement is right."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from app.rehearse.faults import IDS
from app.run import transparent

PROFILE = """
id: planted
title: Planted
licence: {class: none, note: none}
evidence: [{claim: it asks, source: here, verified: 2026-01}]
hosts: [vendor.test]
rules:
  - {id: send, match: {path: /send}, action: mock, answer: {body: "{}"}}
  - {id: fine, match: {path: /fine}, action: mock, answer: {body: fine}}
"""
# Says what it met, so that the fault itself is tested; `careful` survives all of it.
CLIENT = """
import sys, time, urllib.request
from email.utils import parsedate_to_datetime
assert urllib.request.urlopen("https://vendor.test/fine", timeout=9).read() == b"fine"
try:
    with urllib.request.urlopen("https://vendor.test/send", b"{}", timeout=2) as answer:
        answer.read()
        if parsedate_to_datetime(answer.headers["date"]).timestamp() > time.time() + 9e6:
            print("met clock")
except OSError as e:
    print("met", type(e).__name__, e)
    sys.exit(0 if "careful" in sys.argv else 7)
"""
MET = {
    "403": "403", "429": "429", "500": "500", "hang": "timed out", "slow": "timed out",
    "clock": "met clock",
}  # fmt: skip
AT_HOST = {"refused": "refused", "dropped": "timed out", "tls-error": "HANDSHAKE_FAILURE"}
ASKS_BOTH = CLIENT.replace(
    'assert urllib.request.urlopen("https://vendor.test/fine", timeout=9).read() == b"fine"\n', ""
)


def rehearse(folder: Path, script: str, *more: str, code: int | None = None) -> dict:
    (folder / "profile.yaml").write_text(PROFILE)
    (folder / "client.py").write_text(script)
    command = [
        sys.executable, "-m", "app.cli", "rehearse", "--profile", str(folder / "profile.yaml"),
        "--json", *more,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if code is not None:
        assert done.returncode == code, done.stderr
    return json.loads(done.stdout) if done.stdout else {"said": done.stderr}


def client(folder: Path, *arguments: str) -> list[str]:
    return ["--", sys.executable, str(folder / "client.py"), *arguments]


def test_each_fault_of_an_endpoint_is_met_and_no_other_endpoint_meets_it(tmp_path):
    faults = [word for fault in MET for word in ("--fault", fault)]
    found = rehearse(
        tmp_path, CLIENT, "--endpoint", "send", *faults, *client(tmp_path, "careful"), code=0
    )
    rows = {row["fault"]: row for row in found["rows"]}
    assert set(rows) == set(MET)
    for fault, says in MET.items():
        evidence = rows[fault]["evidence"]
        assert any(says in line for line in evidence["lines"]), (fault, evidence)
        assert evidence["attempts"] == 1
        assert rows[fault]["endpoint"] == "/send"


@pytest.mark.skipif(bool(transparent.refused()), reason="the kernel refuses transparent runs")
@pytest.mark.skipif(not transparent.may_name_hosts(), reason="no /etc/hosts of its own")
def test_each_fault_of_a_host_is_met(tmp_path):
    faults = [word for fault in AT_HOST for word in ("--fault", fault)]
    found = rehearse(tmp_path, ASKS_BOTH, *faults, *client(tmp_path), code=1)
    rows = {row["fault"]: row for row in found["rows"]}
    assert set(rows) == set(AT_HOST)
    for fault, says in AT_HOST.items():
        row = rows[fault]
        assert any(says in line for line in row["evidence"]["lines"]), (fault, row)
        assert row["evidence"]["attempts"] >= 1
        assert (row["endpoint"], row["judgement"]["outcome"]) == ("(all)", "fatal")
        assert row["judgement"]["because"][0] == "exit code 7 instead of 0"


def test_a_service_that_survives_and_one_that_does_not(tmp_path):
    service = CLIENT + "\nprint('up', flush=True)\nwhile True: time.sleep(1)\n"
    only = ["--for", "4", "--fault", "500"]
    found = rehearse(tmp_path, service, *only, *client(tmp_path, "careful"), code=1)
    found = {row["endpoint"]: row["judgement"] for row in found["rows"]}
    assert found["/send"]["outcome"] == "fatal"  # it exits with 0 where it should go on
    assert "ended by itself" in found["/send"]["because"][0]
    survives = service.replace('sys.exit(0 if "careful" in sys.argv else 7)', "pass")
    only += ["--endpoint", "send"]
    found = rehearse(tmp_path, survives, *only, *client(tmp_path), code=0)
    (row,) = found["rows"]
    assert row["judgement"]["outcome"] == "degraded"
    assert row["judgement"]["lines"] == ["met HTTPError HTTP Error 500: Internal Server Error"]
    assert row["evidence"]["stopped"] and 4 <= row["evidence"]["seconds"] < 12


@pytest.mark.parametrize(
    ("script", "more", "says"),
    [
        ("raise SystemExit('boom')", [], "fails without any fault, with exit code 1: boom"),
        ("pass", [], "asked no endpoint of the profile: nothing to rehearse"),
        (CLIENT, ["--endpoint", "gone"], "--endpoint gone: the command did not ask it"),
        (CLIENT, ["--fault", "gone"], f"'gone' is none of {', '.join(IDS)}"),
        ("import time; time.sleep(60)", ["--limit", "1"], "had not ended after 1 s"),
    ],
)
def test_what_cannot_be_rehearsed_is_told(tmp_path, script, more, says):
    said = rehearse(tmp_path, script, *more, *client(tmp_path))
    text = said.get("said", "") + json.dumps(said, ensure_ascii=False)
    assert says in " ".join(text.split())


ONCE = """
import pathlib, sys, urllib.request
asked = pathlib.Path(sys.argv[1])
if not asked.exists():
    asked.touch()
    urllib.request.urlopen("https://vendor.test/send", b"{}", timeout=9).read()
"""


def test_a_command_that_asks_once_only_is_not_judged_by_runs_in_which_it_does_not(tmp_path):
    told = str(tmp_path / "asked")
    found = rehearse(tmp_path, ONCE, "--fault", "500", *client(tmp_path, told), code=0)
    (row,) = found["rows"]
    assert row["judgement"] is None
    assert row["skipped"] == "the command did not ask it in this run"


def test_nothing_of_the_command_runs_on(tmp_path):
    leaves = CLIENT + (
        "\nimport subprocess\n"
        "subprocess.Popen(['sleep', '4711'], start_new_session=True)\n"
    )  # fmt: skip
    rehearse(tmp_path, leaves, "--endpoint", "fine", "--fault", "clock", *client(tmp_path), code=0)
    left = subprocess.run(["pgrep", "-f", "^sleep 4711$"], capture_output=True, check=False)
    assert left.stdout == b""
