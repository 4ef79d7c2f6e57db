"""The targets of a run as a picture: SVG, written by hand, readable on light and dark pages."""

import math
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

WIDTH, ROW, TOP, LABEL, RIGHT = 860, 24, 44, 330, 120
# Ratios on a logarithmic scale, so that x2 and x1/2 are as far from 1.
_GREEN, _RED, _GREY = "#2e8b57", "#c0392b", "#888888"


def draw(targets: Sequence[Mapping[str, Any]]) -> str:
    """Bars of how many times better than its base each system is, its interval, and the target as
    a mark. Targets without a base are not ratios, and are left out."""
    rows = [_better(t) for t in targets if t["base"]]
    highest = max((max(r["high"], r["target"]) for r in rows), default=1.0)
    lowest = min((min(r["low"], r["target"]) for r in rows), default=1.0)
    low, high = math.log(min(lowest, 0.5)), math.log(max(highest, 2.0))

    def x(ratio: float) -> float:
        return LABEL + (math.log(ratio) - low) / (high - low) * (WIDTH - LABEL - RIGHT)

    height = TOP + ROW * len(rows) + 16
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="12" '
        f'fill="{_GREY}">',
        '<text x="8" y="20">how many times better than its base (| target, - interval of the '
        "median)</text>",
        f'<line x1="{x(1):.1f}" x2="{x(1):.1f}" y1="{TOP - 10}" y2="{height - 8}" '
        f'stroke="{_GREY}" stroke-dasharray="2 3"/>',
    ]
    for number, row in enumerate(rows):
        parts += _row(row, TOP + ROW * number, x)
    return "\n".join([*parts, "</svg>", ""])


def _better(target: Mapping[str, Any]) -> dict[str, Any]:
    """Inverts ratios where less is better, so that more always is."""
    found = {k: target[k] for k in ("median", "low", "high", "target")}
    if target["better"] == "lower":
        found = {k: 1 / v for k, v in found.items()}
        found["low"], found["high"] = found["high"], found["low"]
    return {**found, "label": f"{target['id']} {target['what']}", "met": target["met"]}


def _row(row: Mapping[str, Any], y: float, x: Any) -> list[str]:
    begin, end = sorted((x(1), x(row["median"])))
    middle = y + ROW / 2 - 4
    color = _GREEN if row["met"] else _RED
    return [
        f'<text x="8" y="{middle + 4:.1f}">{escape(row["label"])}</text>',
        f'<rect x="{begin:.1f}" y="{y:.1f}" width="{max(end - begin, 1):.1f}" height="{ROW - 8}" '
        f'fill="{color}" fill-opacity="0.75"/>',
        f'<line x1="{x(row["low"]):.1f}" x2="{x(row["high"]):.1f}" y1="{middle:.1f}" '
        f'y2="{middle:.1f}" stroke="{_GREY}" stroke-width="2"/>',
        f'<line x1="{x(row["target"]):.1f}" x2="{x(row["target"]):.1f}" y1="{y - 2:.1f}" '
        f'y2="{y + ROW - 6:.1f}" stroke="{_GREY}" stroke-width="2"/>',
        f'<text x="{WIDTH - RIGHT + 12}" y="{middle + 4:.1f}">x{row["median"]:.2f}</text>',
    ]
