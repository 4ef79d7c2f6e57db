"""`telemock inject` as Helm's post-renderer, as the documentation says it for Helm 3 and for 4."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from charts.generate import CHART
from tests.chart.helm import Object, needs_helm, objects, one

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "charts/post-renderer"
PAGE = (ROOT / "docs/operations/install.md").read_text(encoding="utf-8")
needs_helm_4 = pytest.mark.skipif(not shutil.which("helm4"), reason="needs helm4 in PATH")


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """A chart with a Deployment and a ConfigMap."""
    pod = {"containers": [{"name": "web", "image": "web:1"}]}
    labels = {"matchLabels": {"app": "web"}}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": pod}
    found: list[Object] = [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
         "spec": {"selector": labels, "template": template}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web"}, "data": {"a": "b"}},
    ]  # fmt: skip
    made = tmp_path / "web"
    (made / "templates").mkdir(parents=True)
    (made / "Chart.yaml").write_text("apiVersion: v2\nname: web\nversion: 1.0.0\n")
    (made / "templates/all.yaml").write_text(yaml.safe_dump_all(found))
    return made


def documented(words: str) -> list[str]:
    """The options that the page tells to give."""
    line = next(line for line in PAGE.replace("\\\n", " ").splitlines() if words in line)
    return re.findall(r"--post-renderer\S*\s+\S+", line.partition("#")[0])


def rendered_by(program: str, chart: Path, options: list[str], **environ: str) -> list[Object]:
    given = [word for option in options for word in option.split()]
    done = subprocess.run(
        [program, "template", "web", str(chart), *given],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            **environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        },
    )
    assert done.returncode == 0, done.stderr
    return objects(done.stdout)


def check(found: list[Object]) -> None:
    spec = one(found, "Deployment")["spec"]["template"]["spec"]
    assert [c["name"] for c in spec["initContainers"]] == ["telemock", "telemock-redirect"]
    assert one(found, "ConfigMap")["data"] == {"a": "b"}


@needs_helm
def test_of_helm_3(chart: Path) -> None:
    check(rendered_by("helm", chart, documented("# Helm 3")))


@needs_helm_4
def test_of_helm_4(chart: Path, tmp_path: Path) -> None:
    plugins = tmp_path / "plugins"
    shutil.copytree(PLUGIN, plugins / "telemock")
    check(rendered_by("helm4", chart, documented("# Helm 4"), HELM_PLUGINS=str(plugins)))


def test_the_plugin_is_of_the_chart_s_version() -> None:
    plugin = yaml.safe_load((PLUGIN / "plugin.yaml").read_text())
    of_chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert plugin["version"] == of_chart["version"]
    assert "helm plugin install charts/post-renderer" in PAGE
