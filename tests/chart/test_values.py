"""values.yaml documents itself, and every value does something."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.profiles.read import built_in
from charts.generate import CHART, HelmError, render
from charts.values import Value, ValuesError, markdown, read, schema
from tests.chart.helm import Object, case, needs_helm

VALUES = read(CHART / "values.yaml")
LEAVES = [leaf for v in VALUES for leaf in v.leaves()]
# What cannot stand beside the rest, and the case that sets it.
ELSEWHERE = {
    "persistence.existingClaim": "minimal",
    "tls.existingSecret": "minimal",
    "rbac.create": "minimal",
    "podDisruptionBudget.enabled": "minimal",
    "admissionPolicy.enabled": "strict",
}


def write(folder: Path, text: str) -> Path:
    file = folder / "values.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_comment_default_and_type_become_a_value(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        '# Not of a value.\n\n# What it\n# does.\n# @schema {"enum": ["x"]}\na: x\n'
        "b:\n  # Count.\n  c: 2\n  # A whole.\n  d:\n    e: 1\n",
    )
    a, b = read(file)
    assert (a.name, a.default, a.help) == ("a", "x", "What it does.")
    assert a.schema == {"type": "string", "enum": ["x"]}
    assert [(v.name, v.default) for v in b.leaves()] == [("b.c", 2), ("b.d", {"e": 1})]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# Here.\na: 1\n\nb: 2\n", "b has no comment"),
        ('# Here.\n# @schema {"a\na: 1\n', "a: its @schema is no JSON"),
        ("- a\n", "is no mapping"),
    ],
)
def test_what_is_not_documented_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ValuesError, match=said):
        read(write(tmp_path, text))


def test_the_schema_knows_no_other_names(tmp_path: Path) -> None:
    made = schema(read(write(tmp_path, "a:\n  # Count.\n  b: 2\n")), {"$defs": {"X": {}}})
    assert made["additionalProperties"] is False
    assert made["properties"]["a"]["additionalProperties"] is False
    assert made["properties"]["a"]["properties"]["b"] == {
        "description": "Count.", "default": 2, "type": "integer",
    }  # fmt: skip
    assert set(made["$defs"]) == {"X", "ProfileFile"}


def test_the_built_in_profiles_are_the_code_s() -> None:
    (builtin,) = [leaf for leaf in LEAVES if leaf.name == "profiles.builtin"]
    assert builtin.schema["items"]["enum"] == built_in()


def test_the_table_has_every_value() -> None:
    table = markdown(VALUES)
    assert all(f"\n| `{leaf.name}` | " in table for leaf in LEAVES)
    assert table.count("\n") == len(LEAVES) + 2


def given(values: Object, path: tuple[str, ...]) -> Any:
    found: Any = values
    for part in path:
        if not isinstance(found, dict) or part not in found:
            return None
        found = found[part]
    return found


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda v: v.name)
def test_one_case_sets_every_value_to_something_else(leaf: Value) -> None:
    values = yaml.safe_load(case(ELSEWHERE.get(leaf.name, "everything")).read_text("utf-8"))
    value = given(values, leaf.path)
    if leaf.path[0] == "profiles" and leaf.path[1] == "builtin":
        assert value is not None  # there is one built-in profile
    else:
        assert value is not None and value != leaf.default


@needs_helm
@pytest.mark.parametrize("leaf", LEAVES, ids=lambda v: v.name)
def test_every_value_is_used(leaf: Value, tmp_path: Path) -> None:
    """Back at its default, the rest of its case renders to something else."""
    name = ELSEWHERE.get(leaf.name, "everything")
    values = yaml.safe_load(case(name).read_text("utf-8"))
    with_it = render(case(name))
    without = deepcopy(values)
    holder = without
    for part in leaf.path[:-1]:
        holder = holder[part]
    holder[leaf.path[-1]] = [] if leaf.name == "profiles.builtin" else leaf.default
    try:
        assert render(write(tmp_path, yaml.safe_dump(without))) != with_it
    except HelmError as e:  # what it is needed for
        assert leaf.path[-1] in str(e)


@needs_helm
@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"moed": "observe"}, "additional properties 'moed' not allowed"),
        ({"mode": "hold"}, "/mode"),
        ({"profiles": {"builtin": ["cribbl"]}}, "/profiles/builtin/0"),
        ({"sidecar": {"redirectResources": {"limit": {}}}}, "'limit' not allowed"),
        ({"injector": {"replicas": "two"}}, "got string, want integer"),
        ({"injector": {"replicas": 0}}, "/injector/replicas"),
        ({"dummyRanges": ["192.0.2.0"]}, "/dummyRanges/0"),
        ({"egressProxy": "proxy:3128"}, "/egressProxy"),
        ({"profiles": {"extra": {"acme": {"id": "acme"}}}}, "missing properties 'title'"),
        (
            {"profiles": {"extra": {"../acme": "id: acme"}}},
            "additional properties '../acme' not allowed",
        ),
        ({"injector": {"podSelector": {"app": "x"}}}, "additional properties 'app' not allowed"),
    ],
)
def test_wrong_values_are_refused(values: Object, said: str, tmp_path: Path) -> None:
    with pytest.raises(HelmError) as refused:
        render(write(tmp_path, yaml.safe_dump(values)))
    assert said in str(refused.value)
