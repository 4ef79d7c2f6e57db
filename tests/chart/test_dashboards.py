"""Dashboards show every metric of the table, and no other."""

import json
import re
from itertools import combinations
from typing import Any

import pytest

from app.contract.metrics import METRICS
from charts import dashboards

FOUND = {name: json.loads(text) for name, text in dashboards.documents().items()}


def queries(board: dict[str, Any]) -> list[str]:
    return [t["expr"] for panel in board["panels"] for t in panel.get("targets", ())]


def metrics(promql: str) -> set[str]:
    """Our names as the table has them: without what Prometheus puts behind them."""
    labels = {label for row in METRICS for label in row.prometheus_labels}
    found = set(re.findall(r"\b(?:telemock|http)_\w+", promql)) - labels
    return {re.sub(r"_(total|bucket|count|sum)$", "", name) for name in found}


def test_every_metric_is_on_a_dashboard() -> None:
    shown = {m for board in FOUND.values() for query in queries(board) for m in metrics(query)}
    assert shown == {row.prometheus for row in METRICS}


@pytest.mark.parametrize("name", FOUND)
def test_panels_have_a_place_of_their_own(name: str) -> None:
    places = [panel["gridPos"] for panel in FOUND[name]["panels"]]
    for a, b in combinations(places, 2):
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        below = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert beside or below
    assert all(place["x"] + place["w"] <= 24 for place in places)


@pytest.mark.parametrize("name", FOUND)
def test_the_viewer_chooses_the_data_source(name: str) -> None:
    board = FOUND[name]
    assert board["uid"].startswith("telemock-")
    variables = {v["name"]: v for v in board["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    asked = [p for p in board["panels"] if p["type"] != "row"]
    sources = [p["datasource"] for p in asked] + [
        t["datasource"] for p in asked for t in p["targets"]
    ]
    assert {s["uid"] for s in sources} == {"${datasource}"}
    used = {v for query in queries(board) for v in re.findall(r"\$(\w+)", query)}
    assert used - {"__rate_interval", "__range"} == set(variables) - {"datasource"}
