"""Kubernetes' schemas find what is wrong with a manifest."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from charts.conform import CASES, OLDEST, TOO_NEW, conform, unpack

FOLDER = "kubernetes_validate/kubernetes-json-schema/v1.30.0-local"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A small one, made as the real one is."""
    definition = {"type": "object", "properties": {"replicas": {"type": "integer"}}}
    schema = {
        "$id": "/api/thing-v1.json",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "spec": {"$ref": "/api/_definitions.json#/definitions/spec"},
        },
    }
    file = tmp_path / "schemas.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{FOLDER}-strict/thing-v1.json", json.dumps(schema))
        archive.writestr(
            f"{FOLDER}-strict/_definitions.json",
            json.dumps({"$id": "/api/_definitions.json", "definitions": {"spec": definition}}),
        )
        archive.writestr(f"{FOLDER}/other.json", "{}")
    return file


def test_the_strict_schemas_of_one_version_refer_to_files(wheel: Path, tmp_path: Path) -> None:
    folder = tmp_path / "schemas"
    folder.mkdir()
    unpack(wheel, "1.30", folder)
    assert {f.name for f in folder.iterdir()} == {"thing-v1.json", "_definitions.json"}
    schema = json.loads((folder / "thing-v1.json").read_text())
    assert schema["properties"]["spec"] == {"$ref": "_definitions.json#/definitions/spec"}
    assert "$id" not in schema


@pytest.mark.skipif(not shutil.which("kubeconform"), reason="needs kubeconform in PATH")
@pytest.mark.parametrize(
    ("spec", "well"), [("replicas: 2", True), ("replicas: two", False), ("replica: 2", True)]
)
def test_a_wrong_type_fails(
    spec: str, well: bool, wheel: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    case = tmp_path / "case"
    (case / "rendered").mkdir(parents=True)
    text = f"apiVersion: v1\nkind: Thing\nspec: {{{spec}}}\n"
    (case / "rendered/thing.yaml").write_text(text)
    assert (conform(wheel, "1.30", [case]) == 0) is well
    assert ("Invalid: 0" in capfd.readouterr().out) is well


def test_what_needs_a_newer_kubernetes_is_a_case() -> None:
    assert all((CASES / name).is_dir() for name in TOO_NEW)
    assert OLDEST in (CASES.parents[2] / "charts/telemock/Chart.yaml").read_text()
