"""Holds what the cases render to against Kubernetes' own schemas, offline, with kubeconform:
`python charts/conform.py WHEEL`, as `make chart-lint` runs it.

The schemas of all minor versions come in the wheel of the package kubernetes-validate.
"""

import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
CASES = ROOT / "tests/chart/cases"
OLDEST, NEWEST = "1.29", "1.37"  # what the chart needs, and the newest that there are schemas of
# kind -> why no schema of Kubernetes has it
FOREIGN = {
    "Certificate": "cert-manager's",
    **dict.fromkeys(("ServiceMonitor", "PodMonitor", "PrometheusRule"), "Prometheus Operator's"),
}
TOO_NEW = {"strict": "1.30"}  # case -> the version it needs


def unpack(wheel: Path, version: str, folder: Path) -> None:
    """The strict schemas of that version, each kind in a file, as kubeconform looks for them."""
    start = f"kubernetes_validate/kubernetes-json-schema/v{version}.0-local-strict/"
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if not name.startswith(start) or not name.endswith(".json"):
                continue
            schema = json.loads(archive.read(name))
            # Their own addresses lead nowhere; without one the references are files beside it.
            schema.pop("$id", None)
            text = json.dumps(schema).replace('"/api/_definitions.json#', '"_definitions.json#')
            (folder / name.removeprefix(start)).write_text(text, encoding="utf-8")


def conform(wheel: Path, version: str, cases: list[Path]) -> int:
    """kubeconform's exit code."""
    with tempfile.TemporaryDirectory() as folder:
        unpack(wheel, version, Path(folder))
        location = folder + "/{{.ResourceKind}}{{.KindSuffix}}.json"
        return subprocess.run(  # noqa: S603
            [  # noqa: S607
                "kubeconform", "-strict", "-summary", "-skip", ",".join(FOREIGN),
                "-schema-location", location, *(str(c / "rendered") for c in cases),
            ]
        ).returncode  # fmt: skip


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def main() -> int:
    wheel = Path(sys.argv[1])
    failed = 0
    for version in (OLDEST, NEWEST):
        known = [
            c
            for c in sorted(CASES.iterdir())
            if _number(version) >= _number(TOO_NEW.get(c.name, OLDEST))
        ]
        sys.stdout.write(f"Kubernetes {version}: ")
        sys.stdout.flush()
        failed |= conform(wheel, version, known)
    return failed


if __name__ == "__main__":
    sys.exit(main())
