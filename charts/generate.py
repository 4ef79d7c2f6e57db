"""Writes what is made from the chart's values.yaml and templates: `python charts/generate.py`.

values.schema.json, README.md and the dashboards of the chart; and, where helm is installed, what
each case in `tests/chart/cases/` renders to. A test compares them.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from charts import alerts, dashboards
from charts.values import ValuesError, markdown, read, schema

ROOT = Path(__file__).parents[1]
CHART = ROOT / "charts/telemock"
CASES = ROOT / "tests/chart/cases"
RELEASE, NAMESPACE = "telemock", "observe"
AS_DEFAULT = "as-default.txt"  # names of files
KUBERNETES = "1.34.0"  # that the cases are rendered for

_README = """<!-- Written by charts/generate.py from values.yaml. -->
# The chart telemock

The app (mock, store, report) as a Deployment with one volume, and the injector, a webhook that puts
a sidecar into pods that opt in. Kubernetes >= {kubernetes}.

```bash
helm install telemock charts/telemock --namespace telemock --create-namespace --wait
kubectl label namespace NAMESPACE telemock.io/inject=enabled
```

How to install, look and remove it: docs/operations of the repository; what it asks for and why:
docs/security.

## Values

Unknown names and wrong types are refused by `values.schema.json`, what cannot be used together by
one sentence each (`templates/requirements.yaml`).

"""


class HelmError(Exception):
    """helm refused; its words."""


def render(values: Path, *more: str) -> str:
    """`helm template` of the chart. Raises HelmError, FileNotFoundError."""
    done = subprocess.run(  # noqa: S603
        [  # noqa: S607
            "helm", "template", RELEASE, str(CHART), "--namespace", NAMESPACE,
            "--kube-version", KUBERNETES, "--values", str(values), *more,
        ],
        capture_output=True,
        text=True,
    )  # fmt: skip
    if done.returncode:
        raise HelmError(done.stderr)
    return done.stdout


def by_file(manifests: str) -> Mapping[str, str]:
    """What `helm template` printed, by template; each document begins with the comment that names
    its template."""
    found: dict[str, str] = {}
    for part in manifests.split("---\n# Source: ")[1:]:
        source, _, text = part.partition("\n")
        name = source.removeprefix("telemock/templates/").replace("/", "-")
        document = text.rstrip("\n") + "\n"
        found[name] = f"{found[name]}---\n{document}" if name in found else document
    return found


def documents() -> Mapping[Path, str]:
    """The chart's schema, README and dashboards, and its alerts for the page; the same every time.
    Raises ValuesError."""
    values = read(CHART / "values.yaml")
    profile = json.loads((ROOT / "app/profiles/schema.json").read_text(encoding="utf-8"))
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    kubernetes = chart["kubeVersion"].removeprefix(">=").removesuffix(".0-0")
    return {
        CHART / "values.schema.json": json.dumps(
            schema(values, profile), indent=2, ensure_ascii=False
        )
        + "\n",
        CHART / "README.md": _README.format(kubernetes=kubernetes) + markdown(values),
        ROOT / "app/web/alerts.json": alerts.document(),
        **{CHART / "dashboards" / name: text for name, text in dashboards.documents().items()},
    }


def rendered() -> Mapping[Path, str]:
    """What each case renders to; files that the case `default` has too are only named. Raises
    HelmError, FileNotFoundError."""
    found = {}
    usual: Mapping[str, str] = {}
    for case in sorted(CASES.iterdir(), key=lambda path: path.name != "default"):
        files = by_file(render(case / "values.yaml"))
        alike = [name for name, text in files.items() if usual.get(name) == text]
        for name in files.keys() - set(alike):
            found[case / "rendered" / name] = files[name]
        if alike:
            found[case / "rendered" / AS_DEFAULT] = "\n".join(sorted(alike)) + "\n"
        usual = usual or files
    return found


def stale(wanted: Mapping[Path, str]) -> list[Path]:
    """Files below the cases that no template makes any more."""
    return [p for p in CASES.glob("*/rendered/*") if p not in wanted]


def main() -> int:
    try:
        wanted = dict(documents())
        _write(wanted)  # the schema first: helm reads it
        if shutil.which("helm"):
            cases = rendered()
            _write(cases)
            for path in stale(cases):
                path.unlink()
                sys.stdout.write(f"removed {path.relative_to(ROOT)}\n")
        else:
            sys.stdout.write("helm is not installed: tests/chart/cases stay as they are\n")
    except (ValuesError, HelmError) as e:
        sys.stderr.write(f"error: {e}\n")
        return 1
    return 0


def _write(files: Mapping[Path, str]) -> None:
    for path, text in files.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"wrote {path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    sys.exit(main())
