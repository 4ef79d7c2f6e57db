"""The chart's alerts as README lists them: `python -m charts.alerts` prints the table.

The rules stand in the chart's `alerts/`, as Prometheus reads them.
"""

import re
import sys
from pathlib import Path
from typing import Any

import yaml

ALERTS = Path(__file__).parent / "telemock/alerts"


def files() -> list[Path]:
    return sorted(ALERTS.glob("*.yaml"))


def rules() -> list[dict[str, Any]]:
    """In the files' order."""
    read = (yaml.safe_load(file.read_text(encoding="utf-8")) for file in files())
    return [rule for found in read for group in found["groups"] for rule in group["rules"]]


def markdown() -> str:
    rows = ["| Alert | Severity | When |", "|---|---|---|"]
    for rule in rules():
        summary = re.sub(r"\{\{[^}]*\$labels\.([a-z0-9_]+)[^}]*\}\}", r"`\1`", _plain(rule))
        summary = re.sub(r"\{\{[^}]*\}\}", "…", summary)
        rows.append(f"| `{rule['alert']}` | {rule['labels']['severity']} | {summary} |")
    return "\n".join(rows) + "\n"


def _plain(rule: dict[str, Any]) -> str:
    """The summary without what is only said when a label is there."""
    text = rule["annotations"]["summary"]
    return re.sub(r"\{\{ with [^}]*\}\}.*?(\{\{ else \}\}(.*?))?\{\{ end \}\}", r"\2", text)


if __name__ == "__main__":
    sys.stdout.write(markdown())
