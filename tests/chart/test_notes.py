"""NOTES.txt says what to type next, and what to mind."""

import shutil
from pathlib import Path

import pytest
import yaml

from charts import generate
from tests.chart.helm import Object, needs_helm, rendered

pytestmark = needs_helm


@pytest.fixture
def chart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """helm prints no notes without a cluster: a copy of the chart has them in an object."""
    copy = tmp_path / "telemock"
    shutil.copytree(generate.CHART, copy)
    notes = (copy / "templates/NOTES.txt").read_text("utf-8")
    (copy / "templates/NOTES.txt").unlink()
    (copy / "templates/notes.yaml").write_text(
        '{{- define "notes" }}' + notes + "{{ end }}\n"
        "apiVersion: v1\nkind: Notes\nmetadata: {name: notes}\n"
        'notes: {{ include "notes" . | toJson }}\n',
        encoding="utf-8",
    )
    monkeypatch.setattr(generate, "CHART", copy)
    return tmp_path


def notes(values: Object, folder: Path) -> str:
    (found,) = [o for o in rendered(values, folder) if o["kind"] == "Notes"]
    return str(found["notes"])


def test_what_to_type_next(chart: Path) -> None:
    text = notes({}, chart)
    assert "kubectl label namespace NAMESPACE telemock.io/inject=enabled" in text
    assert "helm -n observe test telemock" in text
    assert "telemock status -n NAMESPACE" in text
    assert "leaves the claim telemock with captures and log files" in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, True),
        ({"mode": "mock"}, True),
        ({"mode": "block"}, True),
        ({"mode": "observe"}, False),
    ],
)
def test_who_answers_for_cribl_reads_of_its_licence(
    values: Object, said: bool, chart: Path
) -> None:
    assert ("Cribl's Free license does not allow that" in notes(values, chart)) is said


def test_only_cribl_s_users_do(chart: Path) -> None:
    acme = yaml.safe_load((generate.CASES / "everything/values.yaml").read_text("utf-8"))
    extra = {"acme": acme["profiles"]["extra"]["acme"]}
    text = notes({"profiles": {"builtin": [], "extra": extra}}, chart)
    assert "LICENCE" not in text and "A change of profiles.extra" in text


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"redirect": "all"}, "WARNING: redirect=all"),
        ({"rbac": {"create": False}}, "rbac.create is false"),
        ({"admissionPolicy": {"enabled": True}}, "admissionPolicy: a pod"),
        ({"persistence": {"existingClaim": "mine"}}, "leaves the claim mine with"),
        (
            {"tls": {"certManager": {"enabled": True, "issuerRef": {"name": "x"}}}},
            "Secret telemock-cert-manager:",
        ),
    ],
)
def test_what_to_mind(values: Object, said: str, chart: Path) -> None:
    assert said not in notes({}, chart)
    assert said in notes(values, chart)
