"""The chart's alerts, as far as the app itself can tell whether their condition holds.

The declaration is the chart's, from which `charts/generate.py` writes alerts.json: its expressions
are read here, in the few forms that those of the app's own metrics have. The others need
Prometheus, and are named as such.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from app.contract.metrics import METRICS
from app.otel.recent import Labels, Recent, Values

_FILE = Path(__file__).with_name("alerts.json")
_METRIC = r"(?P<metric>telemock_[a-z_]+)(?:\{(?P<labels>[^}]*)\})?"
_OVER = r"(?:max|sum|min) by \([a-z0-9_, ]*\) "
_ENDS = r"(?P<op>==|>|<) (?P<than>[0-9.]+)"
_NOW = re.compile(rf"{_OVER}\({_METRIC}\) {_ENDS}")
_SHARE = re.compile(rf"{_OVER}\({_METRIC} / \((?P<whole>telemock_[a-z_]+) > 0\)\) {_ENDS}")
_RISES = re.compile(rf"{_OVER}\((?:increase|delta)\({_METRIC}\[15m\]\)\) > 0")
_LABEL = re.compile(r'([a-z_]+)="([^"]*)"')
_OPS: dict[str, Callable[[float, float], bool]] = {
    "==": lambda value, than: value == than,
    ">": lambda value, than: value > than,
    "<": lambda value, than: value < than,
}
_OURS = {row.prometheus for row in METRICS if "app" in row.of}


class Alert(msgspec.Struct, rename={"name": "alert", "expression": "expr", "wait": "for"}):
    """`wait`: how long the condition holds before it fires, "" for at once."""

    name: str
    severity: str
    summary: str
    description: str
    expression: str
    wait: str = ""


State = Literal["holds", "quiet", "elsewhere"]


class Judged(NamedTuple):
    """`state`: elsewhere is for Prometheus alone to tell."""

    alert: Alert
    state: State


class _Term(NamedTuple):
    """One condition: a metric's value now, its share of a whole, or its increase."""

    kind: Literal["now", "share", "rises"]
    metric: str
    labels: Labels
    whole: str = ""
    op: str = ">"
    than: float = 0.0


def alerts() -> list[Alert]:
    return msgspec.json.decode(_FILE.read_bytes(), type=list[Alert])


def terms(alert: Alert) -> list[_Term]:
    """The alternatives of its expression; empty where the app cannot tell."""
    # A second half is for series that Prometheus does not know yet: here they count from zero.
    parts = [" ".join(part.split()) for part in alert.expression.split("\nor\n")]
    found = [term for part in parts if " unless " not in part for term in [_term(part)]]
    return [t for t in found if t] if all(found) else []


def _term(part: str) -> _Term | None:
    for kind, pattern in (("now", _NOW), ("share", _SHARE), ("rises", _RISES)):
        if match := pattern.fullmatch(part):
            of = match.groupdict()
            metrics = {name for name in (of["metric"], of.get("whole")) if name}
            if not {name.removesuffix("_total") for name in metrics} <= _ours():
                return None
            return _Term(
                kind,  # type: ignore[arg-type]
                of["metric"],
                frozenset(_LABEL.findall(of["labels"] or "")),
                of.get("whole") or "",
                of.get("op") or ">",
                float(of.get("than") or 0),
            )
    return None


def _ours() -> set[str]:
    return {name.removesuffix("_total") for name in _OURS}


def names() -> set[str]:
    """All metrics that the conditions read."""
    found = {name for alert in alerts() for t in terms(alert) for name in (t.metric, t.whole)}
    return found - {""}


def judge(now: Values, recent: Recent) -> list[Judged]:
    """Those whose condition holds come first."""
    found = []
    for alert in alerts():
        of = terms(alert)
        state: State = "elsewhere"
        if of:
            state = "holds" if any(_holds(term, now, recent) for term in of) else "quiet"
        found.append(Judged(alert, state))
    order = ("holds", "quiet", "elsewhere")
    return sorted(found, key=lambda one: order.index(one.state))


def _holds(term: _Term, now: Values, recent: Recent) -> bool:
    if term.kind == "rises":
        return recent.increase(term.metric, term.labels).number > 0
    of = _of(now, term.metric, term.labels)
    if term.kind == "share":
        whole = _of(now, term.whole, frozenset())
        of = [value / all for value, all in zip(of, whole, strict=False) if all > 0]
    return any(_OPS[term.op](value, term.than) for value in of)


def _of(now: Values, metric: str, labels: Labels) -> list[float]:
    return [value for (name, has), value in now.items() if name == metric and labels <= has]
