"""Charts as shapes for the templates, which draw them as SVG: no script draws anything."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

WIDTH, HEIGHT = 960, 120


class Box(NamedTuple):
    """One part of a bar."""

    name: str
    x: float
    y: float
    width: float
    height: float


class Bar(NamedTuple):
    at_ns: int
    until_ns: int
    counts: dict[str, int]
    boxes: list[Box]

    @property
    def total(self) -> int:
        return sum(self.counts.values())


class Chart(NamedTuple):
    bars: list[Bar]
    most: int
    names: list[str]


def stacked(
    rows: Iterable[tuple[int, str, int]],
    step_ns: int,
    order: Sequence[str],
    within: tuple[int, int],
) -> Chart:
    """Stacks the counts of (time, name, count) by name, bar by bar; steps without any are bars too,
    so that a silence shows."""
    counts: dict[int, dict[str, int]] = {}
    for at, name, count in rows:
        of = counts.setdefault(at, {})
        of[name] = of.get(name, 0) + count
    if not counts:
        return Chart([], 0, [])
    first = min(*counts, within[0] // step_ns * step_ns)
    last = max(*counts, (within[1] - 1) // step_ns * step_ns)
    steps = range(first, last + 1, step_ns)
    most = max(sum(of.values()) for of in counts.values())
    width = WIDTH / len(steps)
    bars = []
    for n, at in enumerate(steps):
        boxes, top = [], float(HEIGHT)
        of = counts.get(at, {})
        for name in order:
            if name in of:
                height = max(1.0, of[name] / most * HEIGHT)
                top -= height
                boxes.append(Box(name, n * width + 1, max(0.0, top), max(1.0, width - 2), height))
        bars.append(Bar(at, at + step_ns, of, boxes))
    return Chart(bars, most, [name for name in order if any(name in of for of in counts.values())])


def spark(counts: Mapping[int, int], steps: Sequence[int], height: int = 24) -> list[Box]:
    """A small chart: one bar for each step, 4 wide."""
    most = max(counts.values(), default=0)
    found = []
    for n, at in enumerate(steps):
        if count := counts.get(at):
            tall = max(2.0, count / most * height)
            found.append(Box("", n * 4, height - tall, 3, tall))
    return found
