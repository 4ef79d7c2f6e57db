"""The chart's dashboards, made from code; `charts/generate.py` writes their JSON into the chart.

A test runs every query against a Prometheus that scrapes the real processes.
"""

from collections.abc import Mapping

from charts.dashboards.leaving import LEAVING
from charts.dashboards.panels import as_json
from charts.dashboards.server import SERVER
from charts.dashboards.sidecars import SIDECARS

BOARDS = (LEAVING, SIDECARS, SERVER)


def documents() -> Mapping[str, str]:
    """File name -> JSON; the same every time."""
    return {f"{board.uid.removeprefix('telemock-')}.json": as_json(board) for board in BOARDS}
