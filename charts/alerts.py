"""The chart's alerts as docs/operations/alerts.md shows them; `python -m charts.alerts` prints it.

The rules stand in the chart's `alerts/`, as Prometheus reads them.
"""

import json
import re
import sys
from collections.abc import Callable
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
    """A table of all alerts, then a section for each: its `runbook_url` leads there."""
    rows = ["| Alert | Severity | When |", "|---|---|---|"]
    sections = []
    for rule in rules():
        name, severity = rule["alert"], rule["labels"]["severity"]
        summary = _said(rule, "summary", lambda label: f"`{label}`")
        description = _said(rule, "description", str.upper)  # labels stand in commands there
        rows.append(f"| [`{name}`](#{name.lower()}) | {severity} | {summary} |")
        sections.append(
            f"\n## {name}\n\n**{summary}** ({severity})\n\n{description}\n\n"
            f"```text\n{rule['expr']}\n```\n"
        )
    return "\n".join(rows) + "\n" + "".join(sections)


def document() -> str:
    """The alerts as the app reads them, to judge those that it can."""
    found = [
        {
            "alert": rule["alert"],
            "severity": rule["labels"]["severity"],
            "summary": _said(rule, "summary", lambda label: "…"),
            "description": _said(rule, "description", _placeholder),
            "expr": rule["expr"],
            "for": rule.get("for", ""),
        }
        for rule in rules()
    ]
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def _placeholder(label: str) -> str:
    """In a command: k8s_pod_name as POD."""
    return re.sub(r"^(k8s|telemock)_|_name$", "", label).upper()


def _said(rule: dict[str, Any], part: str, show: Callable[[str], str]) -> str:
    """A text of the rule with its labels shown, without what is only said when a label is there."""
    text = rule["annotations"][part]
    text = re.sub(r"\{\{ with [^}]*\}\}.*?(\{\{ else \}\}(.*?))?\{\{ end \}\}", r"\2", text)
    text = re.sub(r"\{\{[^}]*\$labels\.([a-z0-9_]+)[^}]*\}\}", lambda m: show(m[1]), text)
    return re.sub(r"\{\{[^}]*\}\}", "…", text).strip()


if __name__ == "__main__":
    sys.stdout.write(markdown())
