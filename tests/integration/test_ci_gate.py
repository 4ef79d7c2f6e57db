"""ci/: the script that the GitHub Action and the GitLab template share, run; and the two read."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as etree

import pytest
import yaml

from tests import netns

CI = Path(__file__).parents[2] / "ci"
GATE = CI / "gate.sh"
EVIL = "a \"b\" 'c' $(touch evaluated) `touch evaluated` ; touch evaluated & | > \\ *"
# Each starts an app and a sidecar, beside other tests.
SCRIPT = """
import json, os, subprocess, sys
os.chdir(sys.argv[1])
done = subprocess.run(["bash", sys.argv[2]], env=os.environ | json.loads(sys.argv[3]),
                      capture_output=True, text=True)
print(json.dumps([done.returncode, done.stdout, done.stderr]))
"""
WITH_SOCKETS = """
import json, os, socket, subprocess, sys
os.chdir(sys.argv[1])
ours, theirs = socket.socketpair()
with theirs:
    job = subprocess.Popen(["bash", sys.argv[2]], env=os.environ | json.loads(sys.argv[3]),
                           stdin=theirs, stdout=theirs, stderr=theirs)
said = ours.makefile().read()
print(json.dumps([job.wait(), said, said]))
"""
REPORTS = ["gate.junit.xml", "gate.sarif", "statement.json", "summary.md"]
PROFILE = """
id: acme
title: Acme
hosts: [t.acme.test]
rules:
  - {id: usage, match: {methods: [POST], path: /v1/usage}, action: mock}
  - {id: other, match: {methods: [POST], path: /v1/other}, action: mock}
"""
SENDS = "curl -s -d '{\"a\": 1}' -H 'content-type: application/json' https://t.acme.test/v1/usage"


def gate(folder: Path, script: str = SCRIPT, **given: str) -> tuple[int, str, str]:
    netns.require()
    scripts = folder / ".bin"
    if not scripts.exists():
        scripts.mkdir()
        (scripts / "telemock").write_text(f'#!/bin/sh\nexec {sys.executable} -P -m app.cli "$@"\n')
        (scripts / "telemock").chmod(0o755)
    (folder / "acme.yaml").write_text(PROFILE)
    path = f"{scripts}:{os.environ['PATH']}"
    environ = {"PATH": path, "PYTHONPATH": str(CI.parent), **given}
    code, out, err = json.loads(
        netns.run(script, str(folder), str(GATE), json.dumps(environ), seconds=100)
    )
    assert not list(folder.rglob("evaluated"))
    return code, out, err


@pytest.mark.root
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "there is no command to run"),
        ({"GATE_COMMAND": " \n"}, "there is no command to run"),
        ({"GATE_COMMAND": "true", "GATE_WAIT": EVIL}, "expected a number of seconds"),
        ({"GATE_COMMAND": "true", "GATE_INSTALL": EVIL}, "is no checkout of telemock"),
        (
            {"GATE_COMMAND": "true", "GATE_INSTALL": str(CI.parent), "GATE_PYTHON": "false"},
            "'false' is no Python 3.12 or newer",
        ),
        ({"GATE_COMMAND": "true", "GATE_ALLOW": EVIL}, "--allow a"),
        ({"GATE_COMMAND": "true", "GATE_PROFILES": EVIL}, "a \"b\" 'c' $(touch evaluated)"),
        ({"GATE_COMMAND": "true", "GATE_CONTRACT": EVIL}, "a \"b\" 'c' $(touch evaluated)"),
        ({"GATE_COMMAND": "true", "GATE_KEY": EVIL}, "a \"b\" 'c' $(touch evaluated)"),
        ({"GATE_COMMAND": "true", "GATE_SUBJECTS": EVIL}, "a \"b\" 'c' $(touch evaluated)"),
    ],
    ids=lambda given: "" if isinstance(given, str) else " ".join(given) or "nothing",
)
def test_an_input_is_no_code_and_a_wrong_one_ends_the_job(
    tmp_path: Path, given: dict[str, str], said: str
) -> None:
    code, _, err = gate(tmp_path, **given)
    assert code not in (0, 121, 122), err
    assert said in err.replace("\\\\", "\\") and "hint: " in err


@pytest.mark.root
def test_a_silent_command_passes_and_keeps_its_own_code(tmp_path: Path) -> None:
    reports = "reports of $(touch evaluated) 'us'"
    code, out, err = gate(
        tmp_path, GATE_COMMAND='echo "a  b"; env | grep ^GATE || exit 3', GATE_REPORTS=reports,
        GATE_ALLOW="\n  localhost:8080 \n\n", GATE_SUMMARY="summary of 'us'",
    )  # fmt: skip
    assert (code, out) == (3, "a  b\n"), err
    assert "telemock: gate passed: nothing was sent" in err
    assert sorted(p.name for p in (tmp_path / reports).iterdir()) == REPORTS
    summary = (tmp_path / "summary of 'us'").read_text()
    assert summary == "## telemock: gate passed: nothing was sent, and coverage is complete; the " \
        "command itself ended with 3\n"  # fmt: skip


@pytest.mark.root
def test_a_runner_that_gives_the_job_sockets_is_none_of_the_commands_connections(
    tmp_path: Path,
) -> None:
    code, _, said = gate(tmp_path, WITH_SOCKETS, GATE_COMMAND="echo heard")
    assert code == 0, said
    assert "\nheard\n" in said and "gate passed" in said


@pytest.mark.root
def test_what_is_sent_fails_the_job_and_a_process_that_stays_does_not_hold_it(
    tmp_path: Path,
) -> None:
    code, _, err = gate(
        tmp_path,
        GATE_COMMAND=f"{SENDS}; sleep 90 >/dev/null &",
        GATE_PROFILES="acme.yaml",
        GATE_WAIT="1",
    )
    assert code == 121 and "t.acme.test" in err
    summary = (tmp_path / "telemock-reports/summary.md").read_text()
    assert summary.startswith("## telemock: gate failed: the command sent something, 1 time")
    assert "still running when the command had ended: sleep" in summary
    suite = etree.parse(tmp_path / "telemock-reports/gate.junit.xml").getroot()[0]  # noqa: S314
    assert [one.get("type") for one in suite.iter("failure")] == ["sent", "not_complete"]


@pytest.mark.root
def test_without_a_verdict_no_report_of_an_earlier_gate_is_left(tmp_path: Path) -> None:
    code, _, err = gate(tmp_path, GATE_COMMAND="true")
    assert code == 0, err
    code, _, err = gate(tmp_path, GATE_COMMAND="true", GATE_CONTRACT="none.yaml")
    assert code not in (0, 121, 122), err
    (left,) = (tmp_path / "telemock-reports").iterdir()
    assert (
        left.read_text() == f"## telemock: no verdict: it ended with {code}, and the log says why\n"
    )


@pytest.mark.root
def test_a_contract_is_checked_and_reported_in_each_form(tmp_path: Path) -> None:
    (tmp_path / "the contract.yaml").write_text(CONTRACT)
    given = {
        "GATE_PROFILES": "acme.yaml", "GATE_CONTRACT": "the contract.yaml", "GATE_COMMAND": SENDS,
    }  # fmt: skip
    code, _, err = gate(tmp_path, **given)
    reports = tmp_path / "telemock-reports"
    assert code == 0, err
    assert sorted(p.name for p in reports.iterdir()) == REPORTS
    assert json.loads((reports / "gate.sarif").read_text())["runs"][0]["results"] == []
    assert 'name="t.acme.test POST /v1/usage"' in (reports / "gate.junit.xml").read_text()
    code, _, err = gate(tmp_path, **given | {"GATE_COMMAND": SENDS.replace("usage", "other")})
    assert code == 121, err
    assert "/v1/other" in (reports / "summary.md").read_text()
    (result,) = json.loads((reports / "gate.sarif").read_text())["runs"][0]["results"]
    assert result["ruleId"] == "unplanned_endpoint"


CONTRACT = """
contract: 1
profile: acme
hosts: [t.acme.test]
endpoints:
  - host: t.acme.test
    method: POST
    route: /v1/usage
    events: ['']
"""


def read(name: str) -> Any:
    return yaml.safe_load((CI / name).read_text())


def test_the_action_has_the_keys_of_a_composite_one() -> None:
    action = read("action.yml")
    assert set(action) <= {"name", "author", "description", "inputs", "outputs", "runs", "branding"}
    assert action["name"] and action["description"]
    for given in action["inputs"].values():
        assert set(given) <= {"description", "required", "default", "deprecationMessage"}
        assert given["description"] and isinstance(given.get("default", ""), str)
    assert all(set(one) == {"description", "value"} for one in action["outputs"].values())
    runs = action["runs"]
    assert set(runs) == {"using", "steps"} and runs["using"] == "composite"
    ids = {step.get("id") for step in runs["steps"]}
    for step in runs["steps"]:
        known = {"id", "name", "if", "env", "continue-on-error"}
        known |= {"uses", "with"} if "uses" in step else {"run", "shell", "working-directory"}
        assert set(step) <= known
        assert "uses" in step or (step["shell"] == "bash" and step["run"])
    used = set(re.findall(r"steps\.(\w+)\.", (CI / "action.yml").read_text()))
    assert used <= ids
    assert set(re.findall(r"inputs\.([\w-]+)", (CI / "action.yml").read_text())) == set(
        action["inputs"]
    )


def test_no_input_of_the_action_stands_in_a_script() -> None:
    for step in read("action.yml")["runs"]["steps"]:
        assert "${{" not in step.get("run", "")


def problems(schema: str, file: Path) -> str:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""


@pytest.mark.parametrize(
    ("schema", "name", "part"),
    [
        ("github-actions", "action.yml", "using: composite"),
        ("gitlab-ci", "gitlab.yml", "when: always"),
    ],
)
def test_the_schemas_of_both_take_them(tmp_path: Path, schema: str, name: str, part: str) -> None:
    text = (CI / name).read_text().replace(".telemock-gate:", "gate:")  # what is hidden is not read
    file = tmp_path / name
    file.write_text(text)
    assert problems(f"vendor.{schema}", file) == ""
    file.write_text(text.replace(part, f"{part}s"))
    assert problems(f"vendor.{schema}", file) != ""


def test_what_the_documentation_shows_is_taken_too(tmp_path: Path) -> None:
    page = (CI.parent / "docs/operations/ci.md").read_text()
    blocks = re.findall(r"^```yaml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    steps, pipeline = map(yaml.safe_load, blocks)
    job = {"runs-on": "ubuntu-latest", "steps": steps}
    file = tmp_path / "shown.yml"
    file.write_text(json.dumps({"on": "push", "jobs": {"gate": job}}))
    assert problems("vendor.github-workflows", file) == ""
    given = {name for step in steps for name in step["with"]}
    assert given <= read("action.yml")["inputs"].keys()
    file.write_text(json.dumps(pipeline))
    assert problems("vendor.gitlab-ci", file) == ""
    (taken,) = (one["variables"].keys() for name, one in pipeline.items() if name != "include")
    assert taken <= {*read("gitlab.yml")[".telemock-gate"]["variables"], "GATE_PYTHON"}


def test_the_template_has_keys_that_gitlab_knows() -> None:
    template = read("gitlab.yml")
    assert list(template) == [".telemock-gate"]  # hidden: it runs where a job extends it
    job = template[".telemock-gate"]
    assert set(job) <= {"image", "variables", "before_script", "script", "artifacts"}
    assert all(isinstance(value, str) for value in job["variables"].values())
    assert all(isinstance(line, str) for line in (*job["before_script"], *job["script"]))
    assert set(job["artifacts"]) <= {"when", "paths", "reports", "expire_in", "name"}
    assert set(job["artifacts"]["reports"]) == {"junit"}


def test_action_and_template_give_what_the_script_takes() -> None:
    text = GATE.read_text()
    taken = set(re.findall(r"^#   (GATE_\w+) ", text, re.MULTILINE))
    assert taken == set(re.findall(r"\$\{(GATE_\w+):-", text))
    step = read("action.yml")["runs"]["steps"][1]
    given = {*step["env"], *re.findall(r"(GATE_\w+)=", step["run"])}
    assert given == taken
    job = read("gitlab.yml")[".telemock-gate"]
    assert {name for name in job["variables"] if name.startswith("GATE_")} == taken - {
        "GATE_INSTALL", "GATE_PYTHON", "GATE_SUMMARY",
    }  # fmt: skip
