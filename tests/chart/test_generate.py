"""What is generated is what the sources make."""

from pathlib import Path

import pytest
import yaml

from app.version import VERSION
from charts import generate
from charts.generate import CASES, CHART, ROOT, by_file, documents, rendered, stale
from tests.chart.helm import needs_helm


def test_schema_and_readme_are_up_to_date() -> None:
    old = [p.name for p, text in documents().items() if p.read_text("utf-8") != text]
    assert old == [], "run `make generate`"


@needs_helm
def test_every_case_renders_to_its_files() -> None:
    wanted = rendered()
    old = [
        str(p.relative_to(ROOT))
        for p, text in wanted.items()
        if not p.exists() or p.read_text("utf-8") != text
    ]
    assert (old, stale(wanted)) == ([], []), "run `make generate`"


def test_documents_are_told_apart_by_their_template() -> None:
    text = (
        "---\n# Source: telemock/templates/a.yaml\na: 1\n"
        "---\n# Source: telemock/templates/tests/b.yaml\nb: 1\n"
        "---\n# Source: telemock/templates/tests/b.yaml\nb: 2\n"
    )
    assert by_file(text) == {"a.yaml": "a: 1\n", "tests-b.yaml": "b: 1\n---\nb: 2\n"}


def test_without_helm_the_documents_are_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert generate.main() == 0
    assert "helm is not installed" in capsys.readouterr().out


def test_chart_and_software_have_one_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    assert chart["version"] == chart["appVersion"] == VERSION


def test_each_case_says_what_it_is_for() -> None:
    for case in CASES.iterdir():
        assert (case / "values.yaml").read_text("utf-8").startswith("# "), case.name
