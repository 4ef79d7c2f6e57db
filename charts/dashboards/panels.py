"""Dashboards for Grafana, put together from a few kinds of panels. The modules beside this one
say what they show.

Every query goes to the data source that the viewer chooses, and takes the labels that metrics have
both when they are scraped through the chart's monitors and when they come by OTLP: `job`,
`k8s_namespace_name`, `k8s_pod_name` and the metrics' own.
"""

import json
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    GraphDrawStyle,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
TAG = "telemock"
_WIDTH = 24  # of Grafana's grid
_HEIGHT = {"stat": 4, "lines": 8, "bars": 8, "table": 8}


class Query(NamedTuple):
    expr: str
    legend: str = ""


class Panel(NamedTuple):
    """`unit` is Grafana's name of it. `width` of 24. Exemplars lead from a point to its trace,
    where the data source knows how."""

    title: str
    help: str
    unit: str
    queries: Sequence[Query]
    kind: Literal["lines", "bars", "stat", "table"] = "lines"
    width: int = 8
    exemplars: bool = False


class Variable(NamedTuple):
    """A choice of the values that a label has. `all` is what "All" stands for, where it is not
    these values: `.*` lets what lacks the label in too."""

    name: str
    title: str
    metric: str
    label: str
    all: str = ""


class Board(NamedTuple):
    """`rows`: a title and what is below it."""

    uid: str
    title: str
    help: str
    variables: Sequence[Variable]
    rows: Sequence[tuple[str, Sequence[Panel]]]


def as_json(board: Board) -> str:
    """The same text every time."""
    made = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.help)
        .tags([TAG])
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .time("now-6h", "now")
        .refresh("1m")
        .link(
            dashboard.DashboardLink(TAG)
            .type(DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .as_dropdown(True)
            .keep_time(True)
        )
        .with_variable(
            dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
        )
    )
    for variable in board.variables:
        made = made.with_variable(_variable(variable))
    for title, panels in board.rows:
        made = made.with_row(dashboard.Row(title))
        for panel in panels:
            made = made.with_panel(_panel(panel))
    found = json.loads(json.dumps(made.build(), cls=JSONEncoder))
    for number, panel in enumerate(found["panels"], 1):
        panel["id"] = number
    return json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _variable(given: Variable) -> dashboard.QueryVariable:
    made = (
        dashboard.QueryVariable(given.name)
        .label(given.title)
        .datasource(SOURCE)
        .query(f"label_values({given.metric}, {given.label})")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
    )
    return made.all_value(given.all) if given.all else made


def _panel(panel: Panel) -> Any:
    if panel.kind == "stat":
        made: Any = stat.Panel().reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    elif panel.kind == "table":
        made = (
            table.Panel()
            .show_header(True)
            .with_transformation(
                DataTransformerConfig(id_val="organize", options={"excludeByName": {"Time": True}})
            )
        )
    else:
        made = _lines(panel)
    made = (
        made.title(panel.title)
        .description(panel.help)
        .datasource(SOURCE)
        .unit(panel.unit)
        .height(_HEIGHT[panel.kind])
        .span(min(panel.width, _WIDTH))
    )
    for number, query in enumerate(panel.queries):
        made = made.with_target(_target(panel, query).ref_id(chr(ord("A") + number)))
    return made


def _lines(panel: Panel) -> timeseries.Panel:
    made = (
        timeseries.Panel()
        .min(0)
        .line_width(1)
        .fill_opacity(10)
        .show_points(VisibilityMode.NEVER)
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
        )
    )
    if panel.kind == "bars":
        made = (
            made.draw_style(GraphDrawStyle.BARS)
            .fill_opacity(60)
            .stacking(common.StackingConfig().mode(StackingMode.NORMAL))
        )
    return made


def _target(panel: Panel, query: Query) -> prometheus.Dataquery:
    made = prometheus.Dataquery().datasource(SOURCE).expr(query.expr)
    if panel.kind == "table":
        return made.instant().format(PromQueryFormat.TABLE)
    if panel.kind == "stat":
        return made.instant()
    made = made.range().legend_format(query.legend or "__auto")
    return made.exemplar(True) if panel.exemplars else made
