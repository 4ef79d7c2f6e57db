"""app/gate/sarif.py: the shape that SARIF 2.1.0 requires, and nothing in it that acts."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from app.gate.contract_file import Contract, ContractEndpoint, ContractField, written
from app.gate.result import KINDS, Checked
from app.gate.sarif import sarif
from tests.unit.app.gate.violating import HOST, checked, evil, violation

CONTRACT = Contract(
    contract=1,
    profile="cribl",
    hosts=[HOST],
    endpoints=[
        ContractEndpoint(
            host=HOST,
            method="GET",
            route="/a",
            fields={"query.x": ContractField(types=["string"], presence="few")},
        )
    ],
)


def run(found: Checked, contract: str = "") -> dict[str, Any]:
    """What the schema requires of a log, a run, a driver, a rule, a result and a location."""
    log = json.loads(sarif(found, contract))
    assert set(log) == {"$schema", "version", "runs"} and log["version"] == "2.1.0"
    (one,) = log["runs"]
    driver = one["tool"]["driver"]
    assert driver["name"] == "telemock"
    assert [rule["id"] for rule in driver["rules"]] == [*KINDS]
    for text in ("shortDescription", "fullDescription", "help"):  # GitHub wants all three
        assert all(rule[text]["text"] for rule in driver["rules"])
    for invocation in one["invocations"]:
        assert invocation["executionSuccessful"] is True
        for told in invocation["toolExecutionNotifications"]:
            assert told["message"]["text"] and told["level"] in ("note", "warning")
    for result in one["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["message"]["text"] and result["level"] == "error"
        (location,) = result["locations"]
        place = location["physicalLocation"]
        assert place["region"]["startLine"] >= 1
        assert place["artifactLocation"]["uri"].isascii()
        assert all(isinstance(v, str) for v in result["partialFingerprints"].values())
    return one  # type: ignore[no-any-return]


def line(found: dict[str, Any]) -> int:
    return found["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"]  # type: ignore[no-any-return]


def test_a_violation_stands_at_its_line() -> None:
    text = written(CONTRACT, ["head"])
    lines = text.splitlines()
    assert "query.x" in lines[line(run(checked(violation(kind="type")), text)) - 1]
    assert "- host" in lines[line(run(checked(violation(field="query.y")), text)) - 1]
    assert lines[line(run(checked(violation(endpoint="/z")), text)) - 1].endswith(f"- {HOST}")
    assert line(run(checked(violation(host="evil.example")), text)) == 1


def test_a_violation_below_a_suffix_stands_at_the_line_of_the_suffix() -> None:
    wide = CONTRACT.endpoints[0].model_copy(update={"host": ".cribl.io"})
    text = written(CONTRACT.model_copy(update={"hosts": [".cribl.io"], "endpoints": [wide]}))
    lines = text.splitlines()
    assert "query.x" in lines[line(run(checked(violation(kind="type")), text)) - 1]
    assert lines[line(run(checked(violation(endpoint="/z")), text)) - 1] == "  - .cribl.io"


def test_a_check_that_is_kept_has_no_result() -> None:
    assert run(checked())["results"] == []


def test_fingerprints_tell_violations_apart_and_last() -> None:
    def print_(**given: object) -> str:
        (result,) = run(checked(violation(**given)))["results"]
        return str(result["partialFingerprints"])

    assert print_() == print_(count=9, says="else", last_seen="2027-01-01T00:00:00Z")
    assert len({print_(), print_(kind="type"), print_(field="query.y"), print_(host="h")}) == 4


def test_names_stay_text() -> None:
    shown = sarif(evil())
    assert not [c for c in shown if not c.isprintable() and c != "\n"]
    (result,) = run(evil())["results"]
    assert "](" not in result["message"]["text"]  # an embedded link


def test_a_file_is_named_from_the_repositorys_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def uri(file: str) -> str:
        (result,) = run(checked(violation(), file=file))["results"]
        return str(result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"])

    part = tmp_path / "a b" / "part"
    part.mkdir(parents=True)
    monkeypatch.chdir(part)
    assert uri("p.yaml") == f"file://{quote(str(part))}/p.yaml"
    (tmp_path / "a b" / ".git").mkdir()
    assert uri("p.yaml") == uri(str(part / "p.yaml")) == "part/p.yaml"
    assert uri("../../p.yaml") == f"file://{quote(str(tmp_path))}/p.yaml"
