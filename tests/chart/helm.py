"""The chart as tests look at it: rendered by the real helm, parsed."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from charts.generate import AS_DEFAULT, CASES, CHART, NAMESPACE, RELEASE, render

needs_helm = pytest.mark.skipif(not shutil.which("helm"), reason="needs helm in PATH")

Object = dict[str, Any]


def case(name: str) -> Path:
    return CASES / name / "values.yaml"


def objects(text: str) -> list[Object]:
    return [d for d in yaml.safe_load_all(text) if d]


def rendered(values: Object, folder: Path, *more: str) -> list[Object]:
    """The objects that these values give. Raises HelmError."""
    file = folder / "values.yaml"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    return objects(render(file, *more))


def of_case(name: str) -> list[Object]:
    """From the files, without helm: a test holds them against the templates."""
    folder = CASES / name / "rendered"
    files = {file.name: file for file in folder.glob("*.yaml")}
    if (alike := folder / AS_DEFAULT).exists():
        files |= {n: CASES / "default/rendered" / n for n in alike.read_text("utf-8").split()}
    return [d for _, file in sorted(files.items()) for d in objects(file.read_text("utf-8"))]


def one(found: list[Object], kind: str, name: str = "") -> Object:
    matching = [
        o for o in found if o["kind"] == kind and (not name or o["metadata"]["name"] == name)
    ]
    assert len(matching) == 1, f"{len(matching)} of {kind} {name}"
    return matching[0]


def notes(*options: str) -> str:
    done = subprocess.run(
        [
            "helm", "install", RELEASE, str(CHART), "--namespace", NAMESPACE,
            "--dry-run=client", *options,
        ],
        capture_output=True,
        text=True,
        env={"PATH": _path(), "KUBECONFIG": "/nowhere"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.partition("\nNOTES:\n")[2]


def _path() -> str:
    found = shutil.which("helm")
    assert found
    return str(Path(found).parent)


def environment(deployment: Object) -> dict[str, Any]:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {e["name"]: e.get("value", e.get("valueFrom")) for e in container["env"]}
