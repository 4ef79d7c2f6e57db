"""ci/: the action on a real runner of GitHub's workflows (act), the template on one of GitLab's
pipelines (gitlab-ci-local). `make ci-runners` installs both; each job installs telemock.

Actions of others are stand-ins: the one gives a Python, and the others keep what they are given.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as etree

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from app.gate import statement
from tests import netns
from tests.integration.test_ci_gate import CONTRACT, PROFILE, REPORTS, SENDS

pytestmark = [pytest.mark.root, pytest.mark.timeout(3600)]
ROOT = Path(__file__).parents[2]
OTHER = SENDS.replace("usage", "other")
# Each with what of it is to come: the outcome, and the kinds of failures.
GATES: Mapping[str, tuple[dict[str, str], str, list[str]]] = {
    "silent": (
        {"command": 'echo "a  b" > said\ntest -z "$GATE_COMMAND"\n', "allow": "localhost:8080\n",
         "subjects": "said\n", "key": "key.pem", "wait": "5"},
        "success", [],
    ),
    "leaking": ({"command": SENDS, "profiles": "acme.yaml\n"}, "failure", ["sent"]),
    "unplanned": ({"command": OTHER, "profiles": "acme.yaml", "contract": "the contract.yaml"},
                  "failure", ["unplanned_endpoint"]),
    "misspelt": ({"command": "true", "contract": "none.yaml"}, "failure", []),
}  # fmt: skip


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of telemock, as it is here."""
    netns.require()
    folder = tmp_path_factory.mktemp("telemock")
    listed = [
        "git",
        "-C",
        str(ROOT),
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]
    done = subprocess.run(listed, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("needs a clone of telemock")
    for name in filter(None, done.stdout.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    commit(folder)
    return folder


def commit(folder: Path) -> str:
    for command in (
        ["init", "--quiet"], ["add", "--all"],
        ["-c", "user.name=x", "-c", "user.email=x", "commit", "--quiet", "-m", "x"],
        ["remote", "add", "origin", "https://git.example/group/product.git"],
    ):  # fmt: skip
        subprocess.run(["git", "-C", str(folder), *command], check=True)
    head = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    return subprocess.run(head, capture_output=True, text=True, check=True).stdout.strip()


def product(folder: Path) -> Path:
    """A repository of somebody who uses it, with what the gates need in `part`."""
    (folder / "part").mkdir(parents=True)
    (folder / "part/acme.yaml").write_text(PROFILE)
    (folder / "part/the contract.yaml").write_text(CONTRACT)
    key = ed25519.Ed25519PrivateKey.generate()
    (folder / "part/key.pem").write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ))  # fmt: skip
    (folder / "part/key.pub").write_bytes(key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ))  # fmt: skip
    return folder


def require(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"needs {program} in PATH: make ci-runners installs it, and runs this")


def failures(reports: Path) -> list[str | None]:
    root = etree.parse(reports / "gate.junit.xml").getroot()  # noqa: S314 - ours
    return [one.get("type") for one in root.iter("failure")]


def test_the_action_runs_each_gate_in_a_workflow(checkout: Path, tmp_path: Path) -> None:
    require("act")
    kept, mine = tmp_path / "kept", product(tmp_path / "product")
    kept.mkdir()
    steps: list[dict[str, Any]] = [{"uses": "actions/checkout@v4"}]
    for number, (name, (given, _, _)) in enumerate(GATES.items()):
        steps.append({
            "id": f"gate{number}", "uses": "OWNER/telemock/ci@COMMIT", "continue-on-error": True,
            "with": {**given, "working-directory": "part", "artifact": name, "sarif": "true"},
        })  # fmt: skip
    outcomes = {name: f"${{{{ steps.gate{number}.outcome }}}}" for number, name in enumerate(GATES)}
    steps.append({"shell": "bash", "env": {"OUTCOMES": json.dumps(outcomes)},
                  "run": f'printf %s "$OUTCOMES" > "{kept}/outcomes.json"'})  # fmt: skip
    job = {"runs-on": "ubuntu-latest", "steps": steps}
    workflow = mine / ".github/workflows/gate.yml"
    workflow.parent.mkdir(parents=True)
    workflow.write_text(json.dumps({"on": "push", "jobs": {"gates": job}}))
    commit(mine)
    others = {
        "actions/setup-python": ("", f'echo "python-path={sys.executable}" >> "$GITHUB_OUTPUT"'),
        "actions/upload-artifact": ("", f'cp -r "$path" "{kept}/$name"'),
        "github/codeql-action": (
            "upload-sarif", f'cp "$sarif_file" "{kept}/${{category#*/}}.sarif"'
        ),
    }  # fmt: skip
    action = yaml.safe_load((ROOT / "ci/action.yml").read_text())
    used = [step["uses"] for step in action["runs"]["steps"] if "uses" in step]
    local = ["--local-repository", f"OWNER/telemock@COMMIT={checkout}"]
    for whose, (part, does) in others.items():
        (use,) = (one for one in used if one.startswith(whose))
        local += ["--local-repository", f"{whose}@{use.partition('@')[2]}={tmp_path / whose}"]
        names = ("name", "path", "if-no-files-found", "sarif_file", "category", "python-version",
                 "update-environment")  # fmt: skip
        inputs = {name: {"description": name, "required": False} for name in names}
        environ = {name: f"${{{{ inputs.{name} }}}}" for name in names}
        step = {"id": "it", "shell": "bash", "env": environ, "run": does}
        out = {"python-path": {"description": "x", "value": "${{ steps.it.outputs.python-path }}"}}
        place = tmp_path / whose / part
        place.mkdir(parents=True)
        (place / "action.yml").write_text(json.dumps({
            "name": whose, "description": "stands in", "inputs": inputs, "outputs": out,
            "runs": {"using": "composite", "steps": [step]},
        }))  # fmt: skip
    command = ["act", "push", "--platform", "ubuntu-latest=-self-hosted", *local,
               "--action-cache-path", str(tmp_path / "cache")]  # fmt: skip
    done = subprocess.run(command, cwd=mine, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert json.loads((kept / "outcomes.json").read_text()) == {
        name: outcome for name, (_, outcome, _) in GATES.items()
    }, said
    for name, (_, _, kinds) in GATES.items():
        if name == "misspelt":
            assert [path.name for path in (kept / name).iterdir()] == ["summary.md"]
            assert not (kept / f"{name}.sarif").exists()
            continue
        assert sorted(path.name for path in (kept / name).iterdir()) == REPORTS
        assert failures(kept / name) == kinds, said
        (run,) = json.loads((kept / f"{name}.sarif").read_text())["runs"]
        assert [result["ruleId"] for result in run["results"]] == kinds
        assert (kept / name / "summary.md").read_text().splitlines()[0] in said
    (place,) = run_places(kept / "unplanned.sarif")
    assert place == "part/the%20contract.yaml"
    signed = statement.read(kept / "silent/statement.json", mine / "part/key.pub")
    assert signed.statement.predicate["verdict"] == "passed"
    assert signed.statement.subject[0].name == "said"


def run_places(file: Path) -> set[str]:
    (run,) = json.loads(file.read_text())["runs"]
    return {
        place["physicalLocation"]["artifactLocation"]["uri"]
        for result in run["results"]
        for place in result["locations"]
    }


def test_the_template_runs_each_gate_in_a_pipeline(checkout: Path, tmp_path: Path) -> None:
    require("gitlab-ci-local")
    require("rsync")
    mine = product(tmp_path / "product")
    shutil.copy(checkout / "ci/gitlab.yml", mine / "telemock.yml")
    pipeline: dict[str, Any] = {"include": [{"local": "telemock.yml"}]}
    for name, (given, _, _) in GATES.items():
        variables = {f"GATE_{key.upper()}": value for key, value in given.items()}
        pipeline[name.replace(" ", "-")] = {
            "extends": ".telemock-gate",
            "allow_failure": True,
            "variables": {
                "TELEMOCK_REPOSITORY": str(checkout), "TELEMOCK_COMMIT": "HEAD",
                "GATE_PYTHON": sys.executable, **variables,
            },
        }  # fmt: skip
    (mine / ".gitlab-ci.yml").write_text(json.dumps(pipeline))
    for file in (mine / "part").iterdir():
        file.rename(mine / file.name)
    commit(mine)
    command = ["gitlab-ci-local", "--force-shell-executor", "--shell-isolation",
               "--concurrency", "1", "--home", str(tmp_path / "home")]  # fmt: skip
    done = subprocess.run(command, cwd=mine, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    for name, (_, outcome, kinds) in GATES.items():
        job = name.replace(" ", "-")
        assert (f"PASS  {job}" in said) is (outcome == "success"), said
        reports = mine / ".gitlab-ci-local/artifacts" / job / "telemock-reports"
        assert (reports / "summary.md").read_text().startswith("## telemock: ")
        if name != "misspelt":
            assert sorted(path.name for path in reports.iterdir()) == REPORTS
            assert failures(reports) == kinds, said
