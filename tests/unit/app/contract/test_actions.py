"""An action is declared in one table: types, choices, schemas and documents have it from there."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import yaml

from app.contract import actions
from app.contract.actions import ACTIONS

ROOT = Path(__file__).parents[4]
TABLE = ROOT / "app/contract/actions.py"

# Who may mean one certain action: decide() what no rule takes, the app what it does itself.
CERTAIN = {
    "app/api/openapi.py", "app/cli/rules.py", "app/contract/matching.py", "app/contract/rules.py",
    "app/demo/round.py", "app/learn/fields.py", "app/learn/opened.py", "app/learn/yaml_text.py",
    "app/mock/mock.py", "app/profiles/explain.py", "app/profiles/schema.py",
    "app/rehearse/draft.py", "app/run/trial.py",
    "addon/app_client/profiles.py",
    "addon/record/capture.py",
}  # fmt: skip


def test_types_name_what_the_table_has() -> None:
    assert get_args(actions.Action) == tuple(ACTIONS)
    assert get_args(actions.Mode) == tuple(id for id, row in ACTIONS.items() if row.mode)
    assert get_args(actions.ReadyMode) == actions.MODES
    assert get_args(actions.HostAction) == tuple(id for id, row in ACTIONS.items() if row.of_hosts)


def test_an_action_has_one_fate() -> None:
    fates = actions.ANSWERED, actions.REFUSED, actions.FORWARDED
    assert sorted(id for fate in fates for id in fate) == sorted(ACTIONS)
    assert frozenset(ACTIONS) - actions.FORWARDED == actions.KEPT_HERE
    assert all(bool(row.lacking) == bool(row.instead) for row in ACTIONS.values())


def test_no_other_file_names_an_action() -> None:
    found, certain = [], set()
    for path in [p for room in ("app", "addon") for p in (ROOT / room).rglob("*.py") if p != TABLE]:
        name = path.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and node.value in ACTIONS:
                found.append(f"{name}:{node.lineno} {node.value}")
            if isinstance(node, ast.Name) and node.id in ("MOCK", "OBSERVE", "UNTAKEN", "DENIED"):
                certain.add(name)
    assert found == []
    assert certain == CERTAIN


def test_the_chart_takes_the_modes_that_are_ready() -> None:
    schema = json.loads((ROOT / "charts/telemock/values.schema.json").read_text())
    assert schema["properties"]["mode"]["enum"] == ["", *actions.MODES]


def test_documents_show_what_each_ready_action_does() -> None:
    assert all(f"{id}: {row.help}" in actions.sentences() for id, row in ACTIONS.items())
    shown = re.findall(r"^\| `(\w+)` \| .+ \| .+ \|$", actions.markdown(), re.MULTILINE)
    assert shown == [id for id, row in ACTIONS.items() if not row.lacking]


# Everything that reads the table, with a row more in it.
ADDED = """
import sys, types
import app.contract

table = types.ModuleType("app.contract.actions")
exec(sys.stdin.read(), table.__dict__)
sys.modules[table.__name__] = app.contract.actions = table

import msgspec
from typer.main import get_command
import addon.options
from addon.exchange.routing import ANSWERED
from app import settings
from app.cli.root import cli
from app.contract import record
from app.contract.rules import KEPT_HERE
from app.inject.annotations import wishes
from app.inject.settings import InjectSettings
from app.profiles import explain, load_profiles, seen_from_url
from app.profiles.schema import ProfileFile

rules = load_profiles([sys.argv[1]])
def of(path, mode=None):
    return explain(rules, seen_from_url("https://acme.example" + path), mode).action

environ = {"TELEMOCK_MODE": "rehearse"}
line = b'{"boot": "%s", "seq": 1, "kind": "exchange", "time_ns": 1, "action": "rehearse"}'
command = get_command(cli).commands
pod = InjectSettings(image="", app_url="", rules=rules)
print(msgspec.json.encode({
    "rule": of("/rehearsed"), "kept": of("//rehearsed"), "mode": of("/mocked", "rehearse"),
    "handled": "rehearse" in ANSWERED and "rehearse" in KEPT_HERE,
    "record": record.decode(line % (b"0" * 32)).action,
    "app": settings.load(environ).mode,
    "sidecar": addon.options.load(environ).mode,
    "pod": wishes({"telemock.io/mode": "rehearse"}, pod).mode,
    "schema": ProfileFile.model_json_schema()["$defs"]["Rule"]["properties"]["action"]["enum"],
    "choices": [
        p.type_descriptor.choices for name in ("run", "inject") for p in command[name].params
        if p.name == "mode"
    ],
}).decode())
"""


def test_a_new_action_is_a_row_and_its_names(tmp_path: Path) -> None:
    profile = yaml.safe_load((ROOT / "tests/profile.yaml").read_text())
    profile["hosts"] = ["acme.example"]
    profile["rules"] = [
        {"id": id, "match": {"path": f"/{id}"}, "action": action}
        for id, action in (("rehearsed", "rehearse"), ("mocked", "mock"))
    ]
    (tmp_path / "acme.yaml").write_text(yaml.safe_dump(profile))
    source = re.sub(r'= Literal\["mock"', r'\g<0>, "rehearse"', TABLE.read_text())
    row = '    "rehearse": Row("answered", "made up", mode=True),\n'
    source = re.sub(r"^ACTIONS: .*\n", lambda found: found[0] + row, source, flags=re.MULTILINE)
    done = subprocess.run(
        [sys.executable, "-c", ADDED, tmp_path / "acme.yaml"],
        input=source, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert "rehearse" in found.pop("schema")
    assert [("rehearse" in choices) for choices in found.pop("choices")] == [True, True]
    assert found.pop("handled") is True
    assert set(found.values()) == {"rehearse"}
